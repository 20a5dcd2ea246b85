"""Finds the boxes of masks and tidies up those of detectors: specks left out, neighbours joined, in order.

A mask is bool (H, W). Its connected parts are the pixels that touch each other, also at a corner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from ..components import connected_components
from .boxes import Box, LabelledBox, union
from .region import extent

ORDERS = ("reading", "largest first", "as found")
OWN_TEXT = "-"  # a line that leaves a box the text it has


def boxes_of_parts(mask: Tensor, split: bool = True) -> list[Box]:
    """The smallest box around each connected part of a mask, in the order of their first pixels.

    split: if off, there is one box around all parts.
    """
    around = extent(mask)
    if around is None or not split:
        return [around] if around else []
    _, is_part, _, edges = connected_components(mask[around.index[1:]].cpu().numpy())
    return [
        Box(around.x + x, around.y + y, right - x, bottom - y)
        for x, y, right, bottom in edges[is_part].tolist()
    ]


def without_specks(boxes: Sequence[LabelledBox], side: int) -> list[LabelledBox]:
    """The boxes that are at least `side` pixels wide or high."""
    return [item for item in boxes if max(item.box.width, item.box.height) >= side]


def joined(boxes: Sequence[LabelledBox], distance: int) -> list[LabelledBox]:
    """Join boxes with less than `distance` pixels between them, until none are left that near each other.

    Boxes that touch or overlap have no pixel between them; with `distance` 0 none are joined. The result
    does not depend on the boxes' order; it stands in the order of each group's first box, has their
    different texts with commas between, and the first seed.
    """
    found = list(boxes)
    while distance > 0 and len(found) > 1:
        groups: dict[int, list[LabelledBox]] = {}
        for group, item in zip(_groups([item.box for item in found], distance), found, strict=True):
            groups.setdefault(group, []).append(item)
        if len(groups) == len(found):
            break
        found = [_joined(group) for group in groups.values()]
    return found


def _groups(boxes: Sequence[Box], distance: int) -> list[int]:
    """For each box the number of its group: those that near boxes connect.

    Boxes widened to the right and downwards by `distance` - 1 touch if they are near. They are drawn on a
    grid that has only lines at their edges, so the work does not grow with the picture.
    """
    wider = distance - 1
    edges = np.array([(box.x, box.y, box.right + wider, box.bottom + wider) for box in boxes])
    lines = [np.unique(edges[:, axis::2]) for axis in (0, 1)]
    left, right = np.searchsorted(lines[0], edges[:, ::2]).T
    top, bottom = np.searchsorted(lines[1], edges[:, 1::2]).T
    drawn = np.zeros((len(lines[1]), len(lines[0])), bool)
    for x, y, x_end, y_end in zip(left, top, right, bottom, strict=True):
        drawn[y:y_end, x:x_end] = True
    return connected_components(drawn)[0][top, left].tolist()


def _joined(group: Sequence[LabelledBox]) -> LabelledBox:
    texts = dict.fromkeys(item.text for item in group if item.text)
    seed = next((item.seed for item in group if item.seed is not None), None)
    return replace(group[0], box=union(item.box for item in group), text=", ".join(texts), seed=seed)


def ordered(boxes: Sequence[LabelledBox], order: str) -> list[LabelledBox]:
    """Sort boxes in one of ORDERS.

    reading: rows from the top, each from the left. A row takes in the boxes whose middles are less than half
    a box's height from its own, so boxes need not stand at exactly one height.
    """
    if order == "largest first":
        return sorted(boxes, key=lambda item: -item.box.width * item.box.height)
    if order == "as found":
        return list(boxes)
    rows: list[list[LabelledBox]] = []
    for item in sorted(boxes, key=lambda item: (_middle(item), item.box.x)):
        if not rows or not _in_row(item, rows[-1]):
            rows.append([])
        rows[-1].append(item)
    return [item for row in rows for item in sorted(row, key=lambda item: item.box.x)]


def _middle(item: LabelledBox) -> float:
    return item.box.y + item.box.height / 2


def _in_row(item: LabelledBox, row: Sequence[LabelledBox]) -> bool:
    middle = sum(_middle(other) for other in row) / len(row)
    height = sum(other.box.height for other in row) / len(row)
    return _middle(item) - middle < min(item.box.height, height) / 2


def with_texts(boxes: Sequence[LabelledBox], lines: Sequence[str]) -> list[LabelledBox]:
    """Give the boxes the lines as texts; the last line holds for all boxes that remain.

    An empty line, or one of OWN_TEXT, leaves a box the text it has.
    """
    if not lines:
        return list(boxes)
    texts = [lines[min(index, len(lines) - 1)] for index in range(len(boxes))]
    return [
        item if text in ("", OWN_TEXT) else replace(item, text=text)
        for item, text in zip(boxes, texts, strict=True)
    ]


def lines_of(texts: str) -> list[str]:
    """The lines of a text without the empty ones at its end."""
    return [line.strip() for line in texts.rstrip().splitlines()]
