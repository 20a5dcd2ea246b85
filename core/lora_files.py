"""Reads and writes LoRA files under kohya's names, whose keys ComfyUI all maps; also reads peft's.

A layer holds `<layer>.lora_down.weight` (rank, in, ...), `<layer>.lora_up.weight` (out, rank, ...) and
`<layer>.alpha` (); its change of the weight is alpha / rank * up @ down (Hu et al. 2022).
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .files import read_tensors

PREFIX = "lora_unet_"
TEXT_PREFIXES = ("lora_te", "text_encoder")
PEFT_PREFIX = "unet.base_model.model."
PEFT_PARTS = {".lora_A.weight": ".lora_down.weight", ".lora_B.weight": ".lora_up.weight"}
PARTS = (".lora_down.weight", ".lora_up.weight", ".alpha")
TEXT_WIDTHS = {768: "SD1.x", 1024: "SD2.x", 2048: "SDXL"}  # a layer of the cross-attention


@dataclass
class LoraFile:
    """A UNet's adapters from a file: tensors under kohya's names, and the header's metadata."""

    path: Path
    tensors: dict[str, Tensor]
    metadata: dict[str, str]

    @property
    def layers(self) -> list[str]:
        """Keys of the adapted layers, `lora_unet_...`."""
        return sorted({key.rsplit(PARTS[0], 1)[0] for key in self.tensors if key.endswith(PARTS[0])})

    @property
    def base(self) -> str:
        """Name of the base model it was made for: from the header, else told by its shapes."""
        if "finesse.base" in self.metadata:
            return self.metadata["finesse.base"]
        widths = {
            self.tensors[layer + PARTS[0]].shape[1]
            for layer in self.layers
            if layer.endswith(("attn2_to_k", "attn2_to_v"))
        }
        return (
            " or ".join(TEXT_WIDTHS.get(width, "another base") for width in sorted(widths)) or "another base"
        )

    @property
    def needs_mask(self) -> bool:
        """Tell whether the header says that it was trained on an inpainting model of 9 channels."""
        return self.metadata.get("finesse.in_channels") == "9"


def layer_key(name: str) -> str:
    """Turn diffusers' name of a layer into kohya's key: dots become underscores."""
    return PREFIX + name.replace(".", "_")


def read_lora(path: str | Path) -> LoraFile:
    """Read a UNet's adapters under kohya's names or peft's (`unet.base_model.model….lora_A.weight`).

    peft's files hold no alpha; it is then the rank, as in the scripts that write such files. Raises
    ValueError, naming file and key, when something else is in it, a text encoder's layers included, or a
    layer is incomplete or of two ranks.
    """
    path = Path(path)
    stored, metadata = read_tensors(path)
    tensors = {_kohya_name(key): tensor for key, tensor in stored.items()}
    file = LoraFile(path, tensors, metadata)
    _check_keys(file)
    for layer in file.layers:
        down, up = (tensors[layer + part] for part in PARTS[:2])
        rank = len(down) if down.ndim else 0
        alpha = tensors.setdefault(layer + PARTS[2], torch.tensor(float(rank)))
        if not rank or up.ndim < 2 or up[0].numel() != rank or alpha.numel() != 1:
            raise ValueError(
                f"{path.name} is damaged: in layer {layer} lora_down is {list(down.shape)}, lora_up "
                f"{list(up.shape)} and alpha {list(alpha.shape)}, which do not agree on one rank. Copy, "
                "download or train it again."
            )
    return file


def _check_keys(file: LoraFile) -> None:
    """Raise ValueError unless the file holds whole layers of a UNet and nothing else."""
    whole = {layer + part for layer in file.layers for part in PARTS}
    lacking = {layer + PARTS[1] for layer in file.layers} - set(file.tensors)
    if texts := sorted(key for key in file.tensors if key.startswith(TEXT_PREFIXES)):
        reason = f"{texts[0]} is of a text encoder, which stock Load LoRA (Model and CLIP) reads"
    elif others := sorted(key for key in file.tensors if not key.startswith(PREFIX)):
        reason = f"{others[0]} is of no UNet"
    elif odd := sorted(set(file.tensors) - whole) + sorted(lacking):
        reason = f"{odd[0]} is of no whole layer"
    else:
        return
    raise ValueError(
        f"{file.path.name} is no LoRA of a UNet alone: {reason}. Give one with kohya's names ({PREFIX}…) or "
        f"peft's ({PEFT_PREFIX}…)."
    )


def _kohya_name(key: str) -> str:
    for theirs, ours in PEFT_PARTS.items():
        if key.startswith(PEFT_PREFIX) and key.endswith(theirs):
            return layer_key(key[len(PEFT_PREFIX) : -len(theirs)]) + ours
    return key


def misfit(tensors: Mapping[str, Tensor], shapes: Mapping[str, Sequence[int]]) -> str:
    """Say why changes of weights do not fit a model; "" when they do.

    tensors: by their names in files, `<layer>.lora_down.weight`, `.lora_up.weight` and `.alpha`, or `.diff`
    and `.diff_b`, which change the whole weight and bias. shapes: of the model's weights, by layer.
    """
    for name, tensor in tensors.items():
        layer, part = _layer_of(name, shapes)
        if layer is None:
            return f"its weight {name} belongs to no layer of the model"
        found, wanted = list(tensor.shape), list(shapes[layer])
        fits = {
            "diff": found == wanted,
            "diff_b": found == wanted[:1],
            "lora_up.weight": found[:1] == wanted[:1],
            "lora_down.weight": math.prod(found[1:]) == math.prod(wanted[1:]),
        }
        if not fits.get(part, True):
            return f"its weight {name} is of shape {found}, but the model's weight is {wanted}"
    return ""


def _layer_of(name: str, layers: Container[str]) -> tuple[str | None, str]:
    """Split a weight's name into its layer and the rest."""
    places = [place for place, letter in enumerate(name) if letter == "."]
    return next(((name[:i], name[i + 1 :]) for i in places if name[:i] in layers), (None, name))
