"""Objects of a label map: find them, cut them out as pieces, and fill the holes they leave.

An object is a connected area of one label; pixels that touch at a corner are connected. Values are never
interpolated, so no new value appears.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np

from ..components import connected_components
from ..small_objects.boxes import Box

FAR = 1 << 62  # greater than every distance, and a distance can still be added without overflow


@dataclass(eq=False)
class MapObject:
    """One object of a map.

    label: the label of its pixels. area: the number of its pixels. box: the smallest box around them.
    """

    label: int
    area: int
    box: Box
    number: int = field(repr=False)
    numbers: np.ndarray = field(repr=False)

    @property
    def mask(self) -> np.ndarray:
        """Bool (H, W): the object's pixels in the map. It is not kept, since a noisy map has thousands."""
        return self.numbers == self.number

    @property
    def crop(self) -> np.ndarray:
        """Bool (height, width): the object's pixels in its box."""
        return self.numbers[self.box.index[1:]] == self.number


@dataclass(frozen=True, eq=False)
class Piece:
    """Pixels that were cut out of a map or will be laid on it; they may reach past its edge.

    x, y: the place of the top left. mask: bool (h, w), the pixels that count. values: (h, w) or (h, w, 3).
    """

    x: int
    y: int
    mask: np.ndarray
    values: np.ndarray

    @property
    def box(self) -> Box:
        return Box(self.x, self.y, self.mask.shape[1], self.mask.shape[0])

    def moved(self, dx: int, dy: int) -> Piece:
        return replace(self, x=self.x + dx, y=self.y + dy)

    def flipped(self, horizontally: bool) -> Piece:
        axis = 1 if horizontally else 0
        return replace(self, mask=np.flip(self.mask, axis), values=np.flip(self.values, axis))

    def resized(self, box: Box, width: int, height: int) -> Piece:
        """The piece stretched to `box`, clipped to a map of `width` x `height`."""
        x, columns = _samples(self.box.width, box.x, box.width, width)
        y, rows = _samples(self.box.height, box.y, box.height, height)
        grid = np.ix_(rows, columns)
        return Piece(x, y, self.mask[grid], self.values[grid])

    def scaled(self, fx: float, fy: float, width: int, height: int) -> Piece:
        """The piece scaled about its centre, clipped to a map of `width` x `height`; at least one pixel."""
        old = self.box
        new = Box(0, 0, max(1, round(old.width * fx)), max(1, round(old.height * fy)))
        return self.resized(_centred(new, old), width, height)

    def rotated(self, degrees: float) -> Piece:
        """The piece rotated clockwise about its centre."""
        turns, rest = divmod(degrees % 360, 90)
        if rest:
            return self._turned(math.radians(degrees % 360))
        mask, values = np.rot90(self.mask, -int(turns)), np.rot90(self.values, -int(turns))
        box = _centred(Box(0, 0, mask.shape[1], mask.shape[0]), self.box)
        return Piece(box.x, box.y, mask, values)

    def _turned(self, angle: float) -> Piece:
        box = self.box
        cos, sin = math.cos(angle), math.sin(angle)
        middle_x, middle_y = box.x + box.width / 2, box.y + box.height / 2
        reach_x = (abs(cos) * box.width + abs(sin) * box.height) / 2
        reach_y = (abs(sin) * box.width + abs(cos) * box.height) / 2
        left, top = math.floor(middle_x - reach_x), math.floor(middle_y - reach_y)
        dx = np.arange(left, math.ceil(middle_x + reach_x)) + 0.5 - middle_x
        dy = np.arange(top, math.ceil(middle_y + reach_y))[:, None] + 0.5 - middle_y
        column = np.floor(cos * dx + sin * dy + box.width / 2).astype(int)
        row = np.floor(cos * dy - sin * dx + box.height / 2).astype(int)
        inside = (column >= 0) & (column < box.width) & (row >= 0) & (row < box.height)
        row, column = np.where(inside, row, 0), np.where(inside, column, 0)
        return Piece(left, top, inside & self.mask[row, column], self.values[row, column])

    def clipped(self, width: int, height: int) -> Piece:
        """The part of the piece inside a map of `width` x `height`; it may be empty."""
        left, top = max(self.x, 0), max(self.y, 0)
        right, bottom = max(min(self.box.right, width), left), max(min(self.box.bottom, height), top)
        part = slice(top - self.y, bottom - self.y), slice(left - self.x, right - self.x)
        return Piece(left, top, self.mask[part], self.values[part])


def objects_of(
    labels: np.ndarray, minimal_area: float = 0.0, ignore: Collection[int] = ()
) -> list[MapObject]:
    """The objects of a map, the largest first, then by the top and left of their boxes.

    labels: integers or bools (H, W). minimal_area: the smallest share of the map an object must cover, as in
    `object_recall`. ignore: labels of the background, which is no object. Raises ValueError for other shapes
    and types, and for a share outside 0..1.
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.dtype.kind not in "biu":
        raise ValueError(
            f"labels: got {labels.dtype} of shape {labels.shape}; give the integer labels of one map (H, W)"
        )
    if not 0 <= minimal_area <= 1:
        raise ValueError(f"minimal_area: got {minimal_area}; give a fraction of the map, 0 to 1")
    if not labels.size:
        return []
    numbers, found, areas, boxes = connected_components(labels)
    kept = (areas >= minimal_area * labels.size) & ~np.isin(found, list(ignore))
    order = np.lexsort((boxes[:, 0], boxes[:, 1], -areas))
    order = order[kept[order]]
    rows = zip(
        found[order].tolist(), areas[order].tolist(), boxes[order].tolist(), order.tolist(), strict=True
    )
    return [
        MapObject(label, area, Box(x, y, right - x, bottom - y), number, numbers)
        for label, area, (x, y, right, bottom), number in rows
    ]


def connected_to(mask: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Bool (H, W): the objects of a mask that contain at least one of the seeds, both bool (H, W)."""
    numbers, found, _, _ = connected_components(mask)
    reached = np.zeros(len(found), bool)
    reached[numbers[mask & seeds]] = True
    return reached[numbers]


def fill_holes_by_nearest(
    labels: np.ndarray, hole_mask: np.ndarray, skipped: np.ndarray | None = None
) -> np.ndarray:
    """A copy in which every pixel of the holes has the value of the nearest pixel outside them.

    labels: (H, W) or (H, W, channels). hole_mask: bool (H, W). Distances are Euclidean, between the centres
    of pixels; of equally near pixels the first in scan order is taken. skipped: bool (H, W), more pixels
    whose values are not used. Raises ValueError if the shapes differ or if no pixel is outside.
    """
    labels, hole = np.asarray(labels), np.asarray(hole_mask, bool)
    if hole.shape != labels.shape[:2]:
        raise ValueError(
            f"hole_mask is {hole.shape} but labels are {labels.shape}; give a mask of their size"
        )
    filled = labels.copy()
    if not hole.any():
        return filled
    closed = hole if skipped is None else hole | skipped
    if closed.all():
        raise ValueError(f"hole_mask covers the whole map {hole.shape}; leave pixels to fill it from")
    # the nearest pixel outside is never farther than the first row or column around the holes
    window = box_of(closed).grow(1).clip(hole.shape[1], hole.shape[0]).index[1:]
    inner = hole[window]
    filled[window][inner] = labels[window][_nearest_outside(closed[window], inner)]
    return filled


def crumbs_around(labels: np.ndarray, hole_mask: np.ndarray) -> np.ndarray:
    """Bool (H, W): crumbs, objects smaller than a tenth of the hole that touch it or another crumb.

    Sampled maps have crumbs around their objects; spread over the hole they would become large patches.
    labels: integers (H, W), none negative. hole_mask: bool (H, W).
    """
    numbers, _, areas, _ = connected_components(np.where(hole_mask, np.int16(-1), labels))
    small = (10 * areas < np.count_nonzero(hole_mask))[numbers]
    return connected_to(small | hole_mask, hole_mask) & ~hole_mask


def box_of(mask: np.ndarray) -> Box:
    """The smallest box around the set pixels of a mask (H, W), which must not be empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return Box(x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y)


def _centred(box: Box, on: Box) -> Box:
    """`box` moved to the centre of `on`, rounded so that the way back gives the same pixels."""
    x, y = on.x + int((on.width - box.width) / 2), on.y + int((on.height - box.height) / 2)
    return Box(x, y, box.width, box.height)


def _samples(length: int, start: int, size: int, limit: int) -> tuple[int, np.ndarray]:
    """Stretch `length` pixels to `size` from `start` on: the first visible pixel, and the source of each."""
    first = max(0, -start)
    visible = np.arange(first, min(size, limit - start))
    return start + first, (2 * visible + 1) * length // (2 * size)


def _nearest_outside(hole: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the nearest pixel outside, for each wanted pixel of a hole in scan order.

    The search is separable: first the nearest row in every column, then the best column. A candidate is the
    number distance² * pixels + position, so its minimum also decides between equally near pixels.
    """
    height, width = hole.shape
    rows = np.arange(height)[:, None]
    none = 2 * (height + width)
    above = np.maximum.accumulate(np.where(hole, -none, rows), 0)
    below = np.minimum.accumulate(np.where(hole, none, rows)[::-1], 0)[::-1]
    row = np.where(rows - above <= below - rows, above, below)
    candidates = np.full((height, 3 * width), FAR)  # margins, so that no check for the edge is needed
    candidates[:, width : 2 * width] = np.where(
        hole.all(0), FAR, (row - rows) ** 2 * hole.size + row * width + np.arange(width)
    )
    y, x = np.nonzero(wanted)
    flat, position = candidates.ravel(), y * 3 * width + width + x
    best = flat[position]
    unsettled = np.arange(len(best))
    for step in range(1, width):
        added = step * step * hole.size
        unsettled = unsettled[best[unsettled] >= added]
        if not len(unsettled):
            break
        at = position[unsettled]
        nearer = np.minimum(flat[at - step], flat[at + step]) + added
        best[unsettled] = np.minimum(best[unsettled], nearer)
    return np.divmod(best % hole.size, width)
