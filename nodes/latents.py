"""Makes and checks latents for the nodes."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from .model_grid import reads_concat, reads_mask
from .types import Conditioning

MAX_SIDE = 16384  # largest side of a picture, as in ComfyUI's own nodes


def encode_pictures(vae: Any, pixels: Tensor) -> Tensor:
    """Encode pictures (B, H, W, C) -> a latent each, (B, C, h, w) or, for a video model, (B, C, 1, h, w)."""
    if getattr(vae, "latent_dim", 2) == 3:  # takes a batch for the frames of one video
        samples = torch.cat([vae.encode(picture) for picture in pixels.split(1)])
    else:
        samples = vae.encode(pixels)
    if not bool(torch.isfinite(samples).all()):
        raise ValueError(
            f"vae gave {int((~torch.isfinite(samples)).sum())} latent values that are NaN or infinite; "
            "use a VAE made for half precision, or start ComfyUI with --fp32-vae."
        )
    return samples


def mask_of_pictures(mask: Tensor, samples: Tensor) -> Tensor:
    """Give a mask of several pictures, (B, H, W) or (B, 1, H, W), the axis of time that `samples` have.

    Without it ComfyUI takes the pictures for frames. Other nodes expect the mask of one picture without it.
    """
    return mask.unsqueeze(-3) if samples.ndim == 5 and len(mask) > 1 else mask


def for_sampler(
    conditioning: Conditioning, inpaint: dict[str, Tensor], samples: Tensor, model: ModelPatcher | None
) -> Conditioning:
    """Put the values of `encode_edit` on a conditioning, and place its masks as `mask_of_pictures` does.

    A picture that it has already stays if the model reads it without a mask, as Flux's control models do.
    """
    keeps_picture = model is not None and not reads_mask(model)
    made = []
    for text, values in conditioning:
        values = {**inpaint, **values} if keeps_picture else {**values, **inpaint}
        if "mask" in values:
            values["mask"] = mask_of_pictures(values["mask"], samples)
        made.append([text, values])
    return made


def empty_latent(model: ModelPatcher, vae: Any, width: int, height: int) -> Tensor:
    """The empty latent, as `encode_pictures` makes them, of the smallest picture that covers these pixels."""
    cell, latent_format = vae.spacial_compression_encode(), model.get_model_object("latent_format")
    time = (1,) * (latent_format.latent_dimensions - 2)
    return torch.zeros(
        (1, latent_format.latent_channels, *time, -(-height // cell), -(-width // cell)),
        device=comfy.model_management.intermediate_device(),
        dtype=comfy.model_management.intermediate_dtype(),
    )


def encode_edit(
    vae: Any, pixels: Tensor, mask: Tensor, noise_mask: bool, model: ModelPatcher | None = None
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Encode the latent for the sampler, and the values that an inpainting conditioning also needs.

    pixels: (B, h, w, 3), the window as it is sampled. mask: (1 or B, h, w), 1 where the model draws. A model
    that reads no picture from its conditioning gets none, which saves its encoding; one that reads no mask
    with it, as InstructPix2Pix, gets the whole picture.
    """
    mask = mask.unsqueeze(1).to(pixels)  # BHW -> B1HW
    samples = encode_pictures(vae, pixels)
    latent, inpaint = {"samples": samples}, {"concat_mask": mask_of_pictures(mask, samples)}
    if noise_mask:
        latent["noise_mask"] = inpaint["concat_mask"]
    if model is None or reads_mask(model):
        # the arithmetic of core's InpaintModelConditioning, so that models see what they see there
        keep = (1.0 - mask.round()).movedim(1, -1)  # B1HW -> BHW1
        inpaint["concat_latent_image"] = encode_pictures(vae, (pixels - 0.5) * keep + 0.5)
    elif reads_concat(model):
        inpaint["concat_latent_image"] = samples
    return latent, inpaint
