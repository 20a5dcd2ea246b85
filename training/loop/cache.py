"""Keeps on disk what is costly to compute and always the same, under a hash of all it depends on."""

from __future__ import annotations

import ast
import hashlib
import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from accelerate import Accelerator
from torch import Tensor
from tqdm import tqdm

from ...core.files import file_hash, read_tensors, write_tensors

Item = TypeVar("Item")
log = logging.getLogger(__name__)

PACKAGE = Path(__file__).resolve().parents[2]
MACHINERY = ("training/loop/", "core/files.py")  # moves data without changing its values


def cached(
    folder: Path, name: str, causes: Mapping[str, object], make: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Return the tensors of `make()`, read from `folder/name-<hash of causes>.safetensors` if it exists.

    `causes` is all that the tensors depend on, as JSON; it is kept in the file's header. A damaged file is
    made again.
    """
    described = json.dumps(causes, sort_keys=True)
    path = folder / f"{name}-{hashlib.sha256(described.encode()).hexdigest()}.safetensors"
    if path.exists():
        try:
            return read_tensors(path)[0]
        except ValueError as error:
            log.warning("Making a damaged cache again: %s", error)
    tensors = make()
    write_tensors(path, tensors, {"finesse.causes": described})
    return tensors


def shared(
    paths: Sequence[Path], load: Callable[[Path], Item], accelerator: Accelerator, what: str
) -> list[Item]:
    """Run `load` on each path: processes first share the paths among them, then each reads all results."""
    mine = paths[accelerator.process_index :: accelerator.num_processes]
    for path in tqdm(mine, desc=what, disable=not accelerator.is_main_process):
        load(path)
    accelerator.wait_for_everyone()
    return [load(path) for path in paths]


def tensor_hash(tensor: Tensor) -> str:
    """SHA-256 of a tensor's content, as a cause."""
    return hashlib.sha256(tensor.cpu().contiguous().numpy()).hexdigest()


def code_hash(*modules: str) -> str:
    """SHA-256 over the source of loaded modules and of all of this project that they import, as a cause."""
    return file_hash(*sources(*modules))


def sources(*modules: str) -> list[Path]:
    """The files of loaded modules and of all of this project that they import, but for the MACHINERY."""
    found: set[Path] = set()
    waiting = [Path(sys.modules[name].__file__).resolve() for name in modules]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += imported_by(path)
    return [path for path in sorted(found) if not path.relative_to(PACKAGE).as_posix().startswith(MACHINERY)]


@lru_cache
def imported_by(path: Path) -> tuple[Path, ...]:
    """The files of this project that a file imports itself, also within its functions."""
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue  # inside the package imports are relative
        named = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
        parts = [named / f"{alias.name}.py" for alias in node.names]
        modules = [named.with_suffix(".py"), named / "__init__.py", *parts]
        yield from (module for module in modules if module.is_file())
