"""Masks of boxes: each is kept with its place alone, so that hundreds of them fit into memory.

All are float tensors in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .boxes import Box


@dataclass(frozen=True, eq=False)
class BoxMask:
    """A mask that is 0 outside `box`.

    values: (1 or batch, box.height, box.width).
    """

    box: Box
    values: Tensor


def painted(masks: Sequence[BoxMask], width: int, height: int) -> Tensor:
    """One mask (1 or batch, height, width) of all masks: the largest value of each pixel."""
    canvas = torch.zeros(max(len(mask.values) for mask in masks), height, width)
    for mask in masks:
        part = canvas[mask.box.index]  # a view
        part.copy_(torch.maximum(part, mask.values))
    return canvas


def partition(masks: Sequence[BoxMask], width: int, height: int) -> tuple[list[BoxMask], Tensor]:
    """Make overlapping masks disjoint, the later one winning.

    Returns them, and the mask (1 or batch, height, width) of what none of them covers.
    """
    free = torch.ones(max(len(mask.values) for mask in masks), height, width)
    parts: list[BoxMask] = []
    for mask in reversed(masks):
        here = free[mask.box.index]  # a view
        parts.append(BoxMask(mask.box, mask.values * here))
        here.copy_(torch.minimum(here, 1 - mask.values))
    return parts[::-1], free


def framed(mask: BoxMask, box: Box) -> BoxMask:
    """The same mask with a larger box."""
    inner = mask.box
    frame = (inner.x - box.x, box.right - inner.right, inner.y - box.y, box.bottom - inner.bottom)
    return BoxMask(box, F.pad(mask.values, frame))


def on_grid(mask: BoxMask, step: int) -> BoxMask:
    """The same mask with a box of whole cells of `step` pixels."""
    return framed(mask, mask.box.snap(step))


def snapped(mask: BoxMask, step: int) -> BoxMask:
    """Give every cell of `step` pixels the mask's largest value in it."""
    mask = on_grid(mask, step)
    return BoxMask(mask.box, snap_mask(mask.values, step))


def enlarged(mask: BoxMask, window: Box, size: tuple[int, int]) -> BoxMask:
    """The mask of a window at `size` (width, height); a pixel gets the largest value of those it touches."""
    box = mask.box
    x, columns = _touched(box.x, box.right, window.width, size[0])
    y, rows = _touched(box.y, box.bottom, window.height, size[1])
    values = F.pad(mask.values, (1, 1, 1, 1))[:, rows].amax(dim=2)[..., columns].amax(dim=-1)
    return BoxMask(Box(x, y, len(columns), len(rows)), values)


def _touched(start: int, end: int, old: int, new: int) -> tuple[int, Tensor]:
    """Stretch `old` pixels to `new`: the first new one that touches start..end, and what each touches there.

    The latter (new pixels, most touched) counts from 1; 0 and the last number stand for what lies outside.
    """
    first = start * new // old
    pixels = torch.arange(first, -(-end * new // old))
    low, high = pixels * old // new, -(-(pixels + 1) * old // new) - 1
    touched = low[:, None] + torch.arange(int((high - low).max()) + 1)
    return first, torch.minimum(touched, high[:, None]).clamp(start - 1, end) - start + 1


def snap_mask(mask: Tensor, cell: int) -> Tensor:
    """Give every cell of (batch, h, w) its largest value; h and w are multiples of `cell`."""
    if cell == 1:
        return mask
    cells = F.max_pool2d(mask.unsqueeze(1), cell)
    return F.interpolate(cells, scale_factor=cell, mode="nearest").squeeze(1)
