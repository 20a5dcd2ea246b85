"""Prepares pictures for a Segment Anything model, and finds the largest object among its masks.

The model sees a square of `side` pixels with the picture at its top left, and answers with logits on a
grid of a quarter of that. Kirillov et al. 2023, "Segment Anything"; the constants are those of its section B.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import to_bytes

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
LEAST_IOU = 0.88
LEAST_STABILITY = 0.95
OFFSET = 1.0
MOST_AREA = 0.8
MOST_BORDER = 0.4


@dataclass(frozen=True, eq=False)
class FoundMask:
    """A mask from the model: logits (h, w), above 0 inside, and the IoU that the model predicts for it."""

    logits: Tensor
    iou: float


def size_in_model(height: int, width: int, side: int) -> tuple[int, int]:
    """Height and width of a picture scaled to a longer side of `side` pixels."""
    scale = side / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def model_input(picture: Tensor, side: int) -> Tensor:
    """Prepare a picture (H, W, 3) in [0, 1]: (1, 3, side, side) on the CPU, zero beyond the picture."""
    pixels = to_bytes(picture.cpu()).movedim(-1, 0)[None]  # HWC -> 1CHW
    size = size_in_model(*picture.shape[:2], side)
    # in bytes on the CPU, because there torch rounds as Pillow does, which Meta's code resizes with
    pixels = F.interpolate(pixels, size, mode="bilinear", antialias=True).float()
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1).to(pixels) for values in (MEAN, DEVIATION))
    return F.pad((pixels - mean) / deviation, (0, side - size[1], 0, side - size[0]))


def to_picture(logits: Tensor, height: int, width: int, side: int) -> Tensor:
    """Scale the model's logits (N, K, h, w) to the picture's own size (N, K, height, width)."""
    rows, columns = size_in_model(height, width, side)
    whole = F.interpolate(logits, (side, side), mode="bilinear", align_corners=False)
    return F.interpolate(whole[..., :rows, :columns], (height, width), mode="bilinear", align_corners=False)


def point_grid(height: int, width: int, count: int) -> Tensor:
    """Spread `count` x `count` points (x, y) evenly over a picture, in pixels: (count * count, 2)."""
    steps = (torch.arange(count) + 0.5) / count
    y, x = torch.meshgrid(steps * height, steps * width, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2)


def largest_object(logits: Tensor, ious: Tensor, height: int, width: int) -> FoundMask | None:
    """Find the largest mask that is an object of a picture of `height` x `width`; None if there is none.

    logits: (N, K, h, w), of which the part under the picture counts. ious: (N, K), as the model predicts.

    A mask is reliable if its IoU is at least 0.88 and its stability, the IoU of the masks at logits of +1
    and -1, at least 0.95. It is background, not an object, if it covers more than 80% of the picture or more
    than 40% of its outermost pixels: a sky or a floor does, a person cut off by the lower edge does not.
    """
    rows, columns = size_in_model(height, width, logits.shape[-1])
    logits, ious = logits.flatten(0, 1), ious.flatten()
    seen = logits[:, :rows, :columns]
    inside = seen > 0
    area = inside.float().mean((1, 2))
    edge = torch.cat([inside[:, [0, -1]].flatten(1), inside[:, 1:-1, [0, -1]].flatten(1)], dim=1)
    sure, possible = (seen > OFFSET).sum((1, 2)), (seen > -OFFSET).sum((1, 2))
    is_reliable = (ious >= LEAST_IOU) & (sure >= LEAST_STABILITY * possible) & (area > 0)
    is_object = is_reliable & (area <= MOST_AREA) & (edge.float().mean(1) <= MOST_BORDER)
    best = int(torch.where(is_object, area, -1).argmax())
    return FoundMask(logits[best], float(ious[best])) if bool(is_object[best]) else None
