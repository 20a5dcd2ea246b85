"""Pictures and masks as ComfyUI hands them on, checked."""

from __future__ import annotations

import torch
from torch import Tensor

PLACEHOLDER_SIDE = 64  # Load Image gives an all-zero mask of this side for a picture without alpha


def check_image(image: Tensor, name: str) -> None:
    """ValueError unless `image` is (batch, height, width, 3 or 4), not empty, and finite."""
    if image.ndim != 4 or image.shape[-1] not in (3, 4) or image.numel() == 0:
        raise ValueError(f"{name} must be pictures (batch, height, width, 3 or 4), got {tuple(image.shape)}.")
    if not bool(torch.isfinite(image).all()):
        count = int((~torch.isfinite(image)).sum())
        raise ValueError(
            f"{name} holds {count} values that are NaN or infinite; check the node that made it "
            "(a VAE that overflows in half precision is run with --fp32-vae)."
        )


def check_mask(mask: Tensor, image: Tensor) -> Tensor | None:
    """The mask as (1 or batch, height, width), or None for Load Image's placeholder.

    image: (batch, height, width, channels). Raises ValueError for another size or batch, values
    outside [0, 1], and an empty mask.
    """
    mask = mask.reshape(-1, *mask.shape[-2:])
    batch, height, width = image.shape[:3]
    is_empty = not bool(mask.any())
    if is_empty and tuple(mask.shape[1:]) == (PLACEHOLDER_SIDE, PLACEHOLDER_SIDE):
        return None
    if tuple(mask.shape[1:]) != (height, width):
        raise ValueError(
            f"mask is {mask.shape[2]}×{mask.shape[1]} px but image is {width}×{height} px; "
            "resize or crop both the same way, or unlink mask."
        )
    if mask.shape[0] not in (1, batch):
        raise ValueError(
            f"mask has {mask.shape[0]} pictures but image has {batch}; give one mask, or one a picture."
        )
    if is_empty:
        raise ValueError(
            "mask is empty (all zero): paint the part to change, or unlink mask to use the whole box."
        )
    low, high = float(mask.min()), float(mask.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(f"mask has values from {low:g} to {high:g}; a mask lies between 0 and 1.")
    return mask.float()
