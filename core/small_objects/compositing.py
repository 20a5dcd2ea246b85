"""Pastes an edited window back: feathered inside the region, bit-identical outside it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import check_image
from .colour_match import MATCHES
from .pull_push import pull_push
from .region import Region, extent


def composite(
    original: Tensor, edited: Tensor, region: Region, feather: int = 0, colour_match: str = "none"
) -> Tensor:
    """Put the edited window into the original image.

    original: (B or 1, H, W, 3 or 4), a fourth channel is kept. edited: (B, h, w, 3 or 4), the decoded
    result at the sampled size. feather: pixels inside the region over which the edit fades in.
    colour_match: one of `MATCHES`, which first corrects the edit's colours. Returns (B, H, W, channels of the
    original) in the original's dtype; every value where `region.alpha` is 0 is the original's, bit
    for bit. Raises ValueError for sizes or batches that do not belong together.
    """
    _check(original, edited, region)
    visible = region.visible
    alpha = region.alpha[:, : visible.height, : visible.width].to(original.device)
    dtype = torch.promote_types(original.dtype, torch.float32)

    result = original.repeat(edited.shape[0] // original.shape[0], 1, 1, 1)
    inside = result[visible.index]  # a view
    old = inside[..., :3]
    edited = _unscaled(edited[..., :3].to(original.device, dtype), region)
    new = edited[:, : visible.height, : visible.width]
    new = MATCHES[colour_match](new, old.to(dtype), alpha, _cell_in_image(region))
    weight = (alpha * feather_ramp(alpha, feather)).unsqueeze(-1).to(dtype)  # BHW -> BHW1
    blended = torch.lerp(old.to(dtype), new, weight).to(original.dtype)
    inside[..., :3] = torch.where(weight > 0, blended, old)
    return result


def _unscaled(edited: Tensor, region: Region) -> Tensor:
    """The edited window at its size in the image: by area where it shrinks."""
    if region.scaled is None:
        return edited
    size = (region.window.height, region.window.width)
    shrinks = edited.shape[1] >= size[0]
    pixels = edited.movedim(-1, 1)  # BHWC -> BCHW
    mode = {"mode": "area"} if shrinks else {"mode": "bicubic"}
    return F.interpolate(pixels, size, **mode).clamp(0, 1).movedim(1, -1)


def fill_from_around(pixels: Tensor, mask: Tensor) -> Tensor:
    """Fill the pixels under a mask from their surroundings, by pull and push (Gortler 1996).

    pixels: (B, H, W, C). mask: (1 or B, H, W), 0 where the pixels stay; some must stay.
    """
    return pull_push(pixels, mask <= 0)


def feather_ramp(alpha: Tensor, feather: int) -> Tensor:
    """Compute weights that rise linearly from the edge of `alpha` > 0 inwards.

    alpha: (B, h, w). The k-th pixel from the outside weighs k / (feather + 1), at most 1; 0 outside.
    The frame of the picture is no edge: there is nothing beyond it to blend with.
    """
    depth = (alpha > 0).float()
    mask = extent(depth.amax(dim=0))
    if mask is None:
        return depth
    part = depth[mask.grow(1).clip(alpha.shape[2], alpha.shape[1]).index]  # a view
    inside = part.clone()
    for _ in range(feather):
        # padding of max_pool2d is -inf, so beyond the frame counts as inside
        inside = -F.max_pool2d(-inside.unsqueeze(1), 3, stride=1, padding=1).squeeze(1)
        if not bool(inside.any()):
            break
        part += inside
    return depth / (feather + 1)


def _cell_in_image(region: Region) -> int:
    """Pixels of the image under one latent value of the sampled window."""
    return max(1, region.cell * region.window.width // region.sampled_size[0])


def _check(original: Tensor, edited: Tensor, region: Region) -> None:
    check_image(original, "original")
    check_image(edited, "edited")
    height, width = original.shape[1:3]
    if (width, height) != (region.image_width, region.image_height):
        raise ValueError(
            f"original is {width}×{height} px but region was made for an image of "
            f"{region.image_width}×{region.image_height} px; link the same image to both nodes."
        )
    width, height = region.sampled_size
    if tuple(edited.shape[1:3]) != (height, width):
        raise ValueError(
            f"edited is {edited.shape[2]}×{edited.shape[1]} px but the region's window is sampled at "
            f"{width}×{height} px; link the decoded result of this region's latent, as it is."
        )
    batch = edited.shape[0]
    if original.shape[0] not in (1, batch) or region.alpha.shape[0] not in (1, batch):
        raise ValueError(
            f"edited has {batch} pictures, original {original.shape[0]} and region {region.alpha.shape[0]}; "
            "original and region must have one, or as many as edited."
        )
