"""What is dear to compute and always the same is kept on disk, under a hash of all it depends on."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor

from ..core.files import read_tensors, write_tensors

log = logging.getLogger(__name__)


def cached(
    folder: Path, name: str, causes: Mapping[str, object], make: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """The tensors `make()` returns, from `folder/name-<hash of causes>.safetensors` when they are there.

    `causes` is all that the tensors depend on, JSON-able; it is kept in the file's header. A damaged file is
    made again.
    """
    described = json.dumps(causes, sort_keys=True)
    path = folder / f"{name}-{hashlib.sha256(described.encode()).hexdigest()[:16]}.safetensors"
    if path.exists():
        try:
            return read_tensors(path)[0]
        except ValueError as error:
            log.warning("Making a damaged cache again: %s", error)
    tensors = make()
    write_tensors(path, tensors, {"finesse.causes": described})
    return tensors


def file_hash(*paths: Path) -> str:
    """SHA-256 over the contents of files, in the given order, as a cause."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()
