"""Reads and writes layered edits: the fine-tuned weights and the embeddings they belong to, in one file.

The weights lie under the names that stock *Load LoRA* takes, the embeddings beside them under PREFIX.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from ..files import read_tensors, write_tensors

PREFIX = "finesse_layered."
POSITIVE, OBJECT, BACKGROUND = "positive", "object", "background"
POOLED = ".pooled"  # ends the name of a pooled text, which an SDXL also reads
NAMES = (POSITIVE, OBJECT, BACKGROUND)


@dataclass(frozen=True, eq=False)
class LayeredEdit:
    """What LayerDiffusion has learnt from a photo.

    lora: weights by ComfyUI's names or kohya's: `.diff` and `.diff_b`, or `.lora_up.weight`,
    `.lora_down.weight` and `.alpha`. embeddings: (1, L, D) each, `positive` at least, which is the mixture;
    `object` is the object's text as encoded, for iterative guidance, `background` the background's as it was
    fitted; their pooled texts (1, P) as `positive.pooled`. metadata: strings, of the header.
    """

    lora: Mapping[str, Tensor]
    embeddings: Mapping[str, Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)


def write_edit(path: str | Path, edit: LayeredEdit) -> None:
    """Write an edit, atomically."""
    embeddings = {PREFIX + name: value for name, value in edit.embeddings.items()}
    write_tensors(path, {**edit.lora, **embeddings}, {"finesse.kind": "layered edit", **edit.metadata})


def read_edit(path: str | Path) -> LayeredEdit:
    """Read an edit; ValueError, naming the file, if it is not one."""
    tensors, metadata = read_tensors(path)
    embeddings = {key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)}
    known = {name + end for name in NAMES for end in ("", POOLED)}
    if POSITIVE not in embeddings or not set(embeddings) <= known:
        raise ValueError(
            f"{Path(path).name} is no layered edit: it holds {', '.join(sorted(embeddings)) or 'no'} "
            "embeddings; give a file of Save Layered Edit or of finesse.training.layered."
        )
    lora = {key: value for key, value in tensors.items() if not key.startswith(PREFIX)}
    return LayeredEdit(lora, embeddings, metadata)
