"""A model of transformers in the hands of ComfyUI's memory management."""

from __future__ import annotations

import comfy.model_management
from comfy.model_patcher import ModelPatcher
from torch import nn


def held(network: nn.Module) -> ModelPatcher:
    """Loads to the graphics card and goes off it as ComfyUI decides; `.model.network` is the network."""
    return ModelPatcher(
        _Holder(network.eval()),
        load_device=comfy.model_management.get_torch_device(),
        offload_device=comfy.model_management.unet_offload_device(),
    )


class _Holder(nn.Module):
    """Keeps what ComfyUI writes on a model, such as its device, off transformers' own attributes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
