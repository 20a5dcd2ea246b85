"""Makes and checks latents for the nodes."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..core.small_objects.region import PlannedEdit, cut_window

MAX_SIDE = 16384  # largest side of a picture, as in ComfyUI's own nodes


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


def encode_edit(
    vae: Any, image: Tensor, edit: PlannedEdit, noise_mask: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Encode the latent for the sampler, and the values that an inpainting conditioning also needs."""
    pixels = cut_window(image, edit.region)
    mask = edit.mask.unsqueeze(1).to(pixels)  # BHW -> B1HW
    # the arithmetic of core's InpaintModelConditioning, so that models see what they see there
    keep = (1.0 - mask.round()).movedim(1, -1)  # B1HW -> BHW1
    masked = (pixels - 0.5) * keep + 0.5
    latent = {"samples": finite_latent(vae.encode(pixels))}
    if noise_mask:
        latent["noise_mask"] = mask
    return latent, {"concat_latent_image": finite_latent(vae.encode(masked)), "concat_mask": mask}
