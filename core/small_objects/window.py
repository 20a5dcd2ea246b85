"""Plans the window around the boxes: which part of the picture is sampled, and how large.

A model hardly draws in a box of less than two cells of its coarsest grid, but it does in an enlarged window.
web/box_picker/window.js computes the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .boxes import Box, Grid, union

WANTED_CELLS = 2  # of the coarsest grid, along a box's shorter side
WANTED_TOKENS = 8  # the same of the finest: a transformer has no other, and a UNet of three levels no more
LARGEST_SHARE = 1 / 3  # of the window's side that a box takes; the rest shows the model what is around
MEGAPIXEL = 1024 * 1024  # as ComfyUI counts


@dataclass(frozen=True)
class Scale:
    """How large a window is sampled.

    kind: "none" samples the picture's own pixels. "auto" enlarges the window until every box has
    `WANTED_CELLS` and `WANTED_TOKENS`, at most `amount` times and while a box has `LARGEST_SHARE` at most,
    and takes no more of the picture than fits `model_side`. "side" samples the window's longer side at
    `amount` pixels, "megapixels" samples so many of them.
    model_side: side in pixels of the pictures that the model knows; only "auto" needs it.
    """

    kind: Literal["none", "auto", "side", "megapixels"] = "none"
    amount: float = 1.0
    model_side: int = 512


@dataclass(frozen=True)
class Window:
    """A part of a picture, and the width and height in pixels at which it is sampled.

    box: may pass the picture's right and bottom edge by less than a token of the sampled size.
    """

    box: Box
    width: int
    height: int


def plan_window(
    boxes: Sequence[Box], picture: tuple[int, int], context: int, scale: Scale, grid: Grid
) -> Window:
    """The window around `boxes` in a picture of (width, height), sampled at whole tokens of `grid`.

    context: the window's side in the picture's pixels, 0 for the whole picture; with "auto" its largest side.
    It is larger where it must be to leave one token free around the boxes.
    """
    around, factor = union(boxes), 1.0
    if scale.kind == "auto":
        factor = _factor(boxes, around, scale, grid)
        fitting = math.floor(scale.model_side / factor)
        context = min(context or fitting, fitting)
    near = around.grow(math.ceil(grid.token / factor) - 1)  # Box.window adds a pixel
    box = near.window(*picture, context, 1)
    if scale.kind == "side":
        factor = scale.amount / max(box.width, box.height)
    elif scale.kind == "megapixels":
        factor = math.sqrt(scale.amount * MEGAPIXEL / (box.width * box.height))
    x, box_width, width = _whole_tokens(box.x, box.width, picture[0], factor, grid.token)
    y, box_height, height = _whole_tokens(box.y, box.height, picture[1], factor, grid.token)
    if factor == 1 or (width, height) == (box_width, box_height):  # then the window lies on the grid
        box = around.window(*picture, context, grid.token)
        return Window(box, box.width, box.height)
    return Window(Box(x, y, box_width, box_height), width, height)


def _factor(boxes: Sequence[Box], around: Box, scale: Scale, grid: Grid) -> float:
    smallest = min(min(box.width, box.height) for box in boxes)
    largest = max(max(box.width, box.height) for box in boxes)
    wanted = max(WANTED_CELLS * grid.coarsest, WANTED_TOKENS * grid.token) / smallest
    fitting = (scale.model_side - 2 * grid.token) / max(around.width, around.height)
    return max(1.0, min(wanted, scale.amount, fitting, LARGEST_SHARE * scale.model_side / largest))


def _whole_tokens(start: int, length: int, limit: int, factor: float, token: int) -> tuple[int, int, int]:
    """Widen a span to whole tokens of the scaled picture: its start, its length, and that when scaled."""
    scaled = max(1, math.ceil(length * factor / token - 1e-6)) * token
    wider = max(1, math.floor(scaled / factor + 0.5))
    begin = min(start - (wider - length) // 2, limit - wider)
    return max(begin, 0), wider, scaled
