"""Embeds the texts of cached examples once each, by the base's own encoders, and keeps them on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from ...core.files import file_hash
from ..loop.cache import cached, code_hash
from .base_model import BaseModel, Embedded

AT_ONCE = 64


def gathered_texts(
    shards: Sequence[dict[str, Tensor]], base: BaseModel, cache: Path, accelerator: Accelerator
) -> dict[str, Tensor]:
    """Embed the texts of all shards in one table, each once; the empty prompt is its first row.

    A shard's `words` are its texts as `as_bytes` packs them; its `text` column, rows of those, is made to
    point into the table: `context` (T, L, width) and, for an SDXL, `pooled` (T, width), in fp16.
    """
    words = [from_bytes(shard["words"]) for shard in shards]
    table = {text: row for row, text in enumerate(dict.fromkeys(["", *chain.from_iterable(words)]))}
    for shard, own in zip(shards, words, strict=True):
        shard["text"] = torch.tensor([table[text] for text in own])[shard["text"]]
    encoders = [folder_hash(base.folder / f"text_encoder{end}") for end in ("", "_2")]
    causes = {"texts": list(table), "encoders": encoders, "dtype": str(base.unet.dtype)}
    causes["code"] = code_hash(__name__)
    with accelerator.main_process_first():
        return cached(cache, "texts", causes, partial(_embed, base, list(table)))


def as_bytes(value: Any) -> Tensor:
    """Pack a JSON value as a tensor, for a safetensors file."""
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)


def from_bytes(tensor: Tensor) -> Any:
    """Unpack what `as_bytes` packed."""
    return json.loads(bytes(tensor.tolist()))


def folder_hash(folder: Path) -> str:
    """Hash a network's weights and config, as a cause."""
    return file_hash(*sorted(folder.glob("*.safetensors")), *sorted(folder.glob("*.json")))


def _embed(base: BaseModel, texts: list[str]) -> dict[str, Tensor]:
    parts: list[Embedded] = [
        base.embed(texts[start : start + AT_ONCE]) for start in range(0, len(texts), AT_ONCE)
    ]
    found = {"context": torch.cat([part.context for part in parts]).half().cpu()}
    if parts[0].pooled is not None:
        found["pooled"] = torch.cat([part.pooled for part in parts]).half().cpu()
    return found
