"""Puts low-rank adapters on a diffusers UNet (Hu et al. 2022); writes LoRA files that ComfyUI loads whole.

peft holds the adapters while they are trained; on disk they have kohya's names, the only ones that ComfyUI
maps completely.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict
from torch import Tensor

from ...core.files import write_tensors
from ...core.lora_files import PARTS, layer_key, misfit, read_lora

# Every kind of layer that SO-LoRA adapts (SOEDiff, section 4.2).
MODULES = (
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj"),
)
BLOCKS = ("down_blocks", "mid_block", "up_blocks")


def add_lora(
    unet: UNet2DConditionModel,
    rank: int = 64,
    modules: Sequence[str] = MODULES,
    blocks: Sequence[str] = BLOCKS,
) -> list[str]:
    """Freeze `unet` and put trainable adapters of this rank on it; they change nothing until trained.

    modules: ends of the layers' names. blocks: beginnings of them ("mid_block", "up_blocks.1"). alpha is the
    rank, so that the scale is 1. Returns the names of the adapted layers. Raises ValueError when a given name
    fits no layer.
    """
    layers = [name for name, _ in unet.named_modules() if name]
    for kind, wanted, fits in (("modules", modules, _ends), ("blocks", blocks, _begins)):
        if unknown := [part for part in wanted if not any(fits(name, part) for name in layers)]:
            raise ValueError(f"{kind}: {', '.join(unknown)} is in no layer of this UNet; give its own names.")
    adapted = [
        name
        for name in layers
        if any(_ends(name, part) for part in modules) and any(_begins(name, part) for part in blocks)
    ]
    unet.requires_grad_(False)
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=adapted))
    for parameter in unet.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()  # they learn in float32, also on a base in half precision
    return adapted


def kohya_tensors(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """Adapters under kohya's names: lora_down (rank, in, …), lora_up (out, rank, …) and alpha ()."""
    tensors = {}
    for name, tensor in get_peft_model_state_dict(unet).items():
        layer, part = name.removesuffix(".weight").rsplit(".", 1)
        key = layer_key(layer)
        tensors[f"{key}.{'lora_down' if part == 'lora_A' else 'lora_up'}.weight"] = tensor
        tensors[f"{key}.alpha"] = torch.tensor(float(unet.peft_config["default"].lora_alpha))
    return tensors


def save_lora(unet: UNet2DConditionModel, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the adapters of `unet` in fp16; `metadata` says what they were trained on, how and for what."""
    halves = {name: tensor.detach().half() for name, tensor in kohya_tensors(unet).items()}
    write_tensors(path, halves, {"modelspec.architecture": "stable-diffusion/lora", **metadata})


def merged(unet: UNet2DConditionModel, path: str | Path) -> UNet2DConditionModel:
    """Copy a plain `unet` with a file's adapters merged into its weights; it samples as fast as before.

    Raises ValueError, naming the file and a layer, when it was made for another UNet.
    """
    file, other = read_lora(path), copy.deepcopy(unet)
    layers = [(name, module) for name, module in other.named_modules() if hasattr(module, "weight")]
    weights = {layer_key(name): module.weight for name, module in layers if module.weight is not None}
    if reason := misfit(file.tensors, {key: weight.shape for key, weight in weights.items()}):
        raise ValueError(f"{path} was made for {file.base}, not for this UNet: {reason}.")
    for key in file.layers:
        down, up, alpha = (file.tensors[key + part].float() for part in PARTS)
        change = alpha / len(down) * up.flatten(1) @ down.flatten(1)
        weights[key].data += change.view_as(weights[key]).to(weights[key])
    return other


def _ends(name: str, part: str) -> bool:
    return name == part or name.endswith("." + part)


def _begins(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")
