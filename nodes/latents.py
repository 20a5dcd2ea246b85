"""Latents as the nodes make and check them."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

MAX_SIDE = 16384  # of a picture, as in core's nodes


def finite_latent(samples: Tensor) -> Tensor:
    if not bool(torch.isfinite(samples).all()):
        raise ValueError(
            f"vae gave {int((~torch.isfinite(samples)).sum())} latent values that are NaN or infinite; "
            "use a VAE made for half precision, or start ComfyUI with --fp32-vae."
        )
    return samples


def empty_latent(model: ModelPatcher, vae: Any, width: int, height: int) -> Tensor:
    """The empty latent (1, C, h, w) of the smallest picture of whole cells that covers these pixels."""
    cell, channels = vae.spacial_compression_encode(), model.get_model_object("latent_format").latent_channels
    return torch.zeros(
        (1, channels, -(-height // cell), -(-width // cell)),
        device=comfy.model_management.intermediate_device(),
        dtype=comfy.model_management.intermediate_dtype(),
    )
