"""Boxes in pixels: clipping, snapping to the latent grid, the crop window, the effective area.

A `Box` is core's BOUNDING_BOX (x, y, width, height in pixels, origin top left). A `Grid` is what a
model sees of the pixels. `parse_boxes` reads what the box picker and *Create Bounding Boxes* put out.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..seeds import LARGEST_SEED

ELEMENT_UNITS = 1000  # an element's bbox is in thousandths of its canvas


@dataclass(frozen=True)
class Box:
    """A rectangle of whole pixels, origin at the image's top left; it may reach past the image."""

    x: int
    y: int
    width: int
    height: int

    @classmethod
    def from_dict(cls, value: Any, name: str = "box") -> Box:
        """Read a BOUNDING_BOX dict, rounding to whole pixels, at least one.

        Raises ValueError, naming `name` and the value, if it is no such dict, holds something that
        is not a finite number, or has no area.
        """
        if not isinstance(value, dict) or not {"x", "y", "width", "height"} <= value.keys():
            raise ValueError(f"{name} must be a bounding box with x, y, width and height, got {value!r}.")
        numbers = [value[key] for key in ("x", "y", "width", "height")]
        if not all(_is_finite_number(number) for number in numbers):
            raise ValueError(f"{name} must hold four finite numbers, got {value!r}; enter pixels.")
        x, y, *sides = numbers
        box = cls(round(x), round(y), *(max(round(side), int(side > 0)) for side in sides))
        if box.width <= 0 or box.height <= 0:
            raise ValueError(f"{name} has no area: {box}; give it a width and height of at least one pixel.")
        return box

    def to_dict(self) -> dict[str, int]:
        """The BOUNDING_BOX dict of this box."""
        return {"x": self.x, "y": self.y, "width": self.width, "height": self.height}

    @property
    def right(self) -> int:
        """First column right of the box."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below the box."""
        return self.y + self.height

    @property
    def index(self) -> tuple[slice, slice, slice]:
        """Index of the box in a tensor (batch, height, width, ...)."""
        return slice(None), slice(self.y, self.bottom), slice(self.x, self.right)

    def __str__(self) -> str:
        return f"{self.width}×{self.height} px at ({self.x}, {self.y})"

    def clip(self, width: int, height: int, name: str = "box") -> Box:
        """The part inside an image of `width` x `height`; ValueError if there is none."""
        x, y = max(self.x, 0), max(self.y, 0)
        right, bottom = min(self.right, width), min(self.bottom, height)
        if right <= x or bottom <= y:
            raise ValueError(
                f"{name} lies outside the image: {self}, image {width}×{height} px; move it inside."
            )
        return Box(x, y, right - x, bottom - y)

    def grow(self, pixels: int) -> Box:
        """The box with `pixels` more on every side."""
        return Box(self.x - pixels, self.y - pixels, self.width + 2 * pixels, self.height + 2 * pixels)

    def snap(self, cell: int) -> Box:
        """Find the smallest box on the grid of `cell` pixels that contains this one."""
        x, y = self.x // cell * cell, self.y // cell * cell
        return Box(x, y, ceil_to(self.right, cell) - x, ceil_to(self.bottom, cell) - y)

    def window(self, width: int, height: int, side: int, cell: int) -> Box:
        """The crop window around the box in an image of `width` x `height`.

        A square of about `side` pixels on the grid of `cell`, moved inside the image and larger
        where it must be to leave one cell free around the box. `side` 0 gives the whole image. At
        the right and bottom it may pass the image's edge by less than a cell, which is to be padded.
        """
        x, span_x = _window_span(self.x, self.right, width, side, cell)
        y, span_y = _window_span(self.y, self.bottom, height, side, cell)
        return Box(x, y, span_x, span_y)


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box that contains all of `boxes` (at least one)."""
    boxes = list(boxes)
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    return Box(x, y, max(box.right for box in boxes) - x, max(box.bottom for box in boxes) - y)


def ceil_to(value: int, step: int) -> int:
    """The smallest multiple of `step` that is at least `value`."""
    return -(-value // step) * step


def _window_span(start: int, end: int, limit: int, side: int, cell: int) -> tuple[int, int]:
    limit = ceil_to(limit, cell)
    if side == 0:
        return 0, limit
    low = max(0, (start - cell) // cell * cell)
    high = min(limit, ceil_to(end + cell, cell))
    size = min(limit, max(high - low, ceil_to(side, cell)))
    begin = (low - (size - (high - low)) // 2) // cell * cell
    return min(max(begin, 0), limit - size), size


@dataclass(frozen=True)
class Grid:
    """The grid that a model lays over a picture, in pixels.

    cell: pixels under one latent value, i.e. the VAE's own scale. patch: latent values along a side of a
    transformer's token, 1 for a UNet. levels: of a UNet, each half as fine as the one before, 1 for a
    transformer.
    """

    cell: int
    patch: int = 1
    levels: int = 1

    @property
    def token(self) -> int:
        """Side of the smallest square that the model edits whole."""
        return self.cell * self.patch

    @property
    def coarsest(self) -> int:
        """Side of a cell at the lowest level."""
        return self.token << (self.levels - 1)


@dataclass(frozen=True)
class LabelledBox:
    """A box and the text that describes what belongs in it; "" leaves the choice to the main prompt.

    seed: of the noise in the box, None for the one of the noise around it.
    picture: index of the picture of a batch that the box is in, None if it is in all of them.
    """

    box: Box
    text: str = ""
    seed: int | None = None
    picture: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The box as *Create Bounding Boxes* reads and writes it, with the text as description."""
        metadata = {"type": "obj", "text": "", "desc": self.text, "palette": []}
        own = {} if self.seed is None else {"seed": self.seed}
        return {**self.box.to_dict(), "metadata": metadata, **own}


def parse_boxes(
    value: Any, width: int, height: int, name: str = "boxes", pictures: int = 1
) -> list[LabelledBox]:
    """Read the value of the box picker, or the `elements` or the `bboxes` of core's *Create Bounding Boxes*.

    Elements are dicts with `bbox` = [ymin, xmin, ymax, xmax] in thousandths of their canvas, here of
    an image of `width` x `height` pixels, and a text in `desc`. Bounding boxes are dicts in pixels, alone,
    in a list, in a list of one list, or in a list for each of several `pictures`, as *SAM3 Detect* gives
    them; the box picker's have a `text` and a `seed` beside, if any: a whole number, or its digits, because
    JavaScript rounds what is above 2^53. Raises ValueError that names the faulty box, counting from 1.
    """
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, Sequence) or isinstance(items, str):
        raise ValueError(f"{name} must be a list of boxes, got {value!r}; link Create Bounding Boxes.")
    frames = [items]
    if items and all(isinstance(item, (list, tuple)) for item in items):
        frames = items
    if len(frames) not in (1, pictures):
        here = f"image has {pictures}" if pictures > 1 else "image is one picture"
        raise ValueError(
            f"{name} holds boxes for {len(frames)} pictures, but {here}; link the boxes of this image."
        )
    if not any(frames):
        raise ValueError(
            f"{name} is empty: {value!r}; draw at least one box, lower a detector's threshold, or unlink it."
        )
    is_only = sum(map(len, frames)) == 1
    places = [None] if len(frames) == 1 else range(len(frames))
    return [
        _parse_box(item, width, height, name if is_only else box_name(index, place), place)
        for place, frame in zip(places, frames, strict=True)
        for index, item in enumerate(frame)
    ]


def box_name(index: int, picture: int | None) -> str:
    """What messages call a box; both count from 0, the name from 1."""
    return f"box {index + 1}" if picture is None else f"box {index + 1} of picture {picture + 1}"


def _parse_box(item: Any, width: int, height: int, name: str, picture: int | None) -> LabelledBox:
    if not isinstance(item, dict) or "bbox" not in item:
        box = Box.from_dict(item, name)
        return LabelledBox(
            box, _own_text(item, name) or _text_of(item.get("metadata") or {}), _seed(item, name), picture
        )
    bbox = item["bbox"]
    if not isinstance(bbox, (list, tuple)) or len(bbox) != 4 or not all(map(_is_finite_number, bbox)):
        raise ValueError(f"{name} needs bbox = [ymin, xmin, ymax, xmax] in thousandths, got {bbox!r}.")
    top, bottom = sorted((round(bbox[0] * height / ELEMENT_UNITS), round(bbox[2] * height / ELEMENT_UNITS)))
    left, right = sorted((round(bbox[1] * width / ELEMENT_UNITS), round(bbox[3] * width / ELEMENT_UNITS)))
    box_width = max(right - left, int(bbox[1] != bbox[3]))
    box_height = max(bottom - top, int(bbox[0] != bbox[2]))
    pixels = {"x": left, "y": top, "width": box_width, "height": box_height}
    return LabelledBox(Box.from_dict(pixels, name), _text_of(item), picture=picture)


def _own_text(item: dict[str, Any], name: str) -> str:
    text = item.get("text")
    if text is None or isinstance(text, str):
        return (text or "").strip()
    raise ValueError(f"{name} must have a text made of words, got {text!r}; write it in quotes.")


def _seed(item: dict[str, Any], name: str) -> int | None:
    seed = item.get("seed")
    if seed is None or seed == "":
        return None
    if isinstance(seed, str) and seed.isascii() and seed.isdecimal() and len(seed) <= len(str(LARGEST_SEED)):
        seed = int(seed)
    if isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed <= LARGEST_SEED:
        return seed
    raise ValueError(f"{name} has the seed {seed!r}; give a whole number from 0 to {LARGEST_SEED}, or none.")


def _text_of(item: dict[str, Any]) -> str:
    words = f'the words "{item["text"]}"' if item.get("text") else ""
    return ", ".join(part for part in (str(item.get("desc") or "").strip(), words) if part)


def _is_finite_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def effective_area(box: Box, grid: Grid) -> list[tuple[float, float]]:
    """Compute the box's width and height in cells at each of the grid's levels, finest first.

    Under one cell at the last level an inpainting model tends to leave the object out (SOEDiff, section 3).
    """
    sides = [grid.token << level for level in range(grid.levels)]
    return [(box.width / side, box.height / side) for side in sides]


def grade_effective_area(box: Box, grid: Grid) -> Literal["green", "amber", "red"]:
    """Grade a box: red under one cell at the last level, amber under two; the box picker shows the same."""
    smallest = min(effective_area(box, grid)[-1])
    return "red" if smallest < 1 else "amber" if smallest < 2 else "green"


def describe_effective_area(box: Box, sampled: Box, grid: Grid, name: str = "box") -> str:
    """Describe the effective area in a paragraph, with a remark if the last level has under two cells.

    box: in the picture. sampled: the same in the window as it is sampled.
    """
    sizes = ", ".join(f"{width:g}×{height:g}" for width, height in effective_area(sampled, grid))
    is_unet, side = grid.levels > 1, grid.coarsest
    text = f"{name}: {box}"
    if (sampled.width, sampled.height) != (box.width, box.height):
        text += f", sampled at {sampled.width}×{sampled.height} px"
    text += f"; {'cells per UNet level' if is_unet else 'cells of the model'}: {sizes}."
    where = " at the lowest level" if is_unet else ""
    grade = grade_effective_area(sampled, grid)
    if grade == "red":
        return (
            f"{text} Warning: less than one cell{where}, so the object may be left out or misshapen; set "
            f"scale to auto or larger, or make the box at least {side}×{side} px."
        )
    if grade == "amber":
        return f"{text} Less than two cells{where}: shapes come out better from {2 * side} px on."
    return text
