"""Makes an inpainting UNet's other inputs beside the noisy latent: mask (1 to paint) and masked latent."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from .sampling import CHUNK, encode


def encoded(vae: torch.nn.Module, pixels: Tensor, holes: Tensor, *, fast: bool) -> dict[str, Tensor]:
    """Encode pixels uint8 (B, 3, H, W) with holes (B, 4) in pixels: latents, mask, masked_latents in fp16."""
    masks = draw_masks(holes, pixels.shape[-1])
    parts: dict[str, list[Tensor]] = {"latents": [], "mask": [], "masked_latents": []}
    for picture, mask in zip(pixels.split(CHUNK), masks.split(CHUNK), strict=True):
        picture, mask = picture.to(vae.device).float() / 255, mask.to(vae.device)
        latents, extra = encode(vae, picture, fast=fast), condition(vae, picture, mask, fast=fast)
        for name, part in (("latents", latents), ("mask", extra[:, :1]), ("masked_latents", extra[:, 1:])):
            parts[name].append(part.half().cpu())
    return {name: torch.cat(part) for name, part in parts.items()}


def condition(vae: torch.nn.Module, pixels: Tensor, mask: Tensor, *, fast: bool = False) -> Tensor:
    """The mask (B, 1, H, W) at latent size, and the latents of pixels with a mid-grey hole: (B, 5, h, w)."""
    masked = encode(vae, (pixels - 0.5) * (1 - mask) + 0.5, fast=fast)
    return torch.cat([F.interpolate(mask, size=masked.shape[-2:], mode="bilinear").round(), masked], dim=1)


def draw_masks(boxes: Tensor, size: int) -> Tensor:
    """Draw masks (B, 1, size, size), float32, 1 inside boxes (B, 4) of left, top, right, bottom in pixels."""
    place = torch.arange(size, device=boxes.device) + 0.5
    inside_x = (place >= boxes[:, :1]) & (place < boxes[:, 2:3])
    inside_y = (place >= boxes[:, 1:2]) & (place < boxes[:, 3:4])
    return (inside_y[:, None, :, None] & inside_x[:, None, None, :]).float()


def snapped(boxes: Tensor, cell: int) -> Tensor:
    """Grow boxes (B, 4) to whole latent cells, as the node *Inpaint Small Box* does."""
    return torch.cat([(boxes[:, :2] / cell).floor(), (boxes[:, 2:] / cell).ceil()], dim=1) * cell
