"""Checks, resizes and converts to bytes pictures and masks as ComfyUI gives them."""

from __future__ import annotations

import torch
from torch import Tensor

LANCZOS_LOBES = 3
PLACEHOLDER_SIDE = 64  # side of the all-zero mask that Load Image gives for a picture without alpha
ROUNDING = 0.5 / 255  # how far rounding, as in a blur, may carry a mask past 0 and 1; no picture shows it


def check_image(image: Tensor, name: str) -> None:
    """Raise ValueError unless `image` is (batch, height, width, 3 or 4), not empty, and finite."""
    if image.ndim != 4 or image.shape[-1] not in (3, 4) or image.numel() == 0:
        raise ValueError(f"{name} must be pictures (batch, height, width, 3 or 4), got {tuple(image.shape)}.")
    if not bool(torch.isfinite(image).all()):
        count = int((~torch.isfinite(image)).sum())
        raise ValueError(
            f"{name} holds {count} values that are NaN or infinite; check the node that made it "
            "(a VAE that overflows in half precision is run with --fp32-vae)."
        )


def to_bytes(values: Tensor) -> Tensor:
    """Convert values in [0, 1], of any shape, to uint8: rounded, and clamped if they lie outside."""
    return (values.float().clamp(0, 1) * 255).round().byte()


def check_mask(mask: Tensor, image: Tensor) -> Tensor | None:
    """Check a mask: -> (1 or batch, height, width), or None for Load Image's placeholder.

    image: (batch, height, width, channels). Raises ValueError for another size or batch, an empty mask,
    and what `unit_mask` refuses.
    """
    mask = unit_mask(mask.reshape(-1, *mask.shape[-2:])).float()
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
    return mask


def unit_mask(mask: Tensor) -> Tensor:
    """Clamp a mask of any shape where rounding took it past 0 or 1; ValueError if it is further outside."""
    mask = mask if mask.is_floating_point() else mask.float()
    low, high = float(mask.min()), float(mask.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise ValueError(
            f"mask has values from {low:g} to {high:g}; a mask lies between 0 and 1. Bicubic scaling "
            "overshoots: scale it by bilinear or area instead, or put Threshold Mask after it."
        )
    return mask.clamp(0, 1)


def resize_lanczos(pixels: Tensor, width: int, height: int) -> Tensor:
    """Resize pictures (B, H, W, C) by Lanczos' filter as Pillow does, but without rounding to bytes."""
    rows = _lanczos_weights(pixels.shape[1], height).to(pixels)
    columns = _lanczos_weights(pixels.shape[2], width).to(pixels)
    return torch.einsum("bhwc,ih,jw->bijc", pixels, rows, columns).clamp(0, 1)


def _lanczos_weights(old: int, new: int) -> Tensor:
    """Share (new, old) that each old pixel of a row has in each new one."""
    stretch = max(1.0, old / new)  # a smaller picture averages over more pixels
    centres = (torch.arange(new, dtype=torch.float64) + 0.5) * old / new
    distance = (torch.arange(old, dtype=torch.float64) + 0.5 - centres[:, None]) / stretch
    weights = torch.sinc(distance) * torch.sinc(distance / LANCZOS_LOBES)
    weights = torch.where(distance.abs() < LANCZOS_LOBES, weights, 0.0)
    return weights / weights.sum(dim=1, keepdim=True)
