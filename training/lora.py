"""Low-rank adapters on a diffusers UNet (Hu et al. 2022), and the LoRA file that ComfyUI takes whole.

peft holds the adapters while they are trained; on disk they have kohya's names, since those are the only ones
of which ComfyUI maps every key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor

from ..core.files import read_tensors, write_tensors

# Every kind of layer that SO-LoRA adapts (SOEDiff, section 4.2).
MODULES = (
    *("to_q", "to_k", "to_v", "to_out.0", "proj_in", "proj_out", "ff.net.0.proj", "ff.net.2"),
    *("conv1", "conv2", "conv_shortcut", "downsamplers.0.conv", "upsamplers.0.conv", "time_emb_proj"),
)
BLOCKS = ("down_blocks", "mid_block", "up_blocks")
PREFIX = "lora_unet_"


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
    return adapted


def kohya_tensors(unet: UNet2DConditionModel) -> dict[str, Tensor]:
    """The adapters under kohya's names: lora_down (rank, in, …), lora_up (out, rank, …) and alpha ()."""
    tensors = {}
    for name, tensor in get_peft_model_state_dict(unet).items():
        layer, part = name.removesuffix(".weight").rsplit(".", 1)
        key = PREFIX + layer.replace(".", "_")
        tensors[f"{key}.{'lora_down' if part == 'lora_A' else 'lora_up'}.weight"] = tensor
        tensors[f"{key}.alpha"] = torch.tensor(float(unet.peft_config["default"].lora_alpha))
    return tensors


def save_lora(unet: UNet2DConditionModel, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the adapters of `unet` in fp16; `metadata` says what they were trained on, how and for what."""
    halves = {name: tensor.detach().half() for name, tensor in kohya_tensors(unet).items()}
    write_tensors(path, halves, {"modelspec.architecture": "stable-diffusion/lora", **metadata})


def load_lora(unet: UNet2DConditionModel, path: Path) -> None:
    """Put a file of `save_lora` on a `unet` without adapters, ready to sample or to train on.

    Raises ValueError, naming the file and a key, when it was made for another UNet.
    """
    tensors, _ = read_tensors(path)
    downs = {key.removesuffix(".lora_down.weight"): t for key, t in tensors.items() if "lora_down" in key}
    layers = {PREFIX + name.replace(".", "_"): name for name, _ in unet.named_modules()}
    if unknown := sorted(set(downs) - set(layers)):
        raise ValueError(f"{path} adapts {unknown[0]}, which this UNet lacks: it is for another base model.")
    ranks = {len(down) for down in downs.values()}
    if len(ranks) != 1:
        raise ValueError(f"{path} holds ranks {sorted(ranks)}; one rank throughout is supported.")
    add_lora(unet, ranks.pop(), [layers[key] for key in downs])
    state = {}
    for key in downs:
        state[f"{layers[key]}.lora_A.weight"] = tensors[f"{key}.lora_down.weight"].float()
        state[f"{layers[key]}.lora_B.weight"] = tensors[f"{key}.lora_up.weight"].float()
    set_peft_model_state_dict(unet, state)


def _ends(name: str, part: str) -> bool:
    return name == part or name.endswith("." + part)


def _begins(name: str, part: str) -> bool:
    return name == part or name.startswith(part + ".")
