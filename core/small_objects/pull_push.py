"""Spreads values from where they are known over where they are not, by pull and push (Gortler 1996)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pull_push(values: Tensor, weight: Tensor) -> Tensor:
    """Fill in what is unknown from what is known around it, smoothly.

    values: (B, H, W, C). weight: (1 or B, H, W) in [0, 1], how far a value is known. What weighs 1 stays;
    a value that weighs less is mixed with those around it; where nothing is known at all, 0 comes out.
    """
    weight = weight.to(values).unsqueeze(1)  # BHW -> B1HW
    sums = values.movedim(-1, 1) * weight
    levels = [(sums, weight.expand(len(sums), -1, -1, -1))]
    while max(levels[-1][0].shape[-2:]) > 1:
        sums, weight = levels[-1]
        levels.append((F.avg_pool2d(sums, 2, ceil_mode=True), F.avg_pool2d(weight, 2, ceil_mode=True)))
    filled = torch.zeros_like(levels[-1][0])
    for level, (sums, weight) in reversed(list(enumerate(levels))):
        coarser = F.interpolate(filled, sums.shape[-2:], mode="bilinear")
        certainty = (weight * 4**level).clamp(max=1)  # a pixel of this level stands for so many
        filled = torch.lerp(coarser, sums / weight.clamp(min=1e-12), certainty)
    return filled.movedim(1, -1)
