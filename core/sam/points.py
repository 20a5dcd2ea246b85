"""Parses points of a picture that a user writes, or that another node writes as JSON."""

from __future__ import annotations

import json
import math
import re
from typing import Any

Point = tuple[float, float]


def parse_points(text: str, width: int, height: int, name: str) -> list[Point]:
    """Parse points (x, y), in pixels from the top left, of a picture of `width` x `height`; "" has none.

    text: JSON, `[{"x": 120, "y": 80}, ...]` as core's point nodes have it or `[[120, 80], ...]`; or plain
    pairs, "120, 80; 30, 40". Raises ValueError that names `name` and the faulty point.
    """
    if not text.strip():
        return []
    points = [_point(item, name) for item in _items(text.strip(), name)]
    for x, y in points:
        if not (0 <= x <= width and 0 <= y <= height):
            raise ValueError(
                f"{name}: the point ({x:g}, {y:g}) lies outside the picture of {width}×{height} px; "
                "move it inside."
            )
    return points


def _items(text: str, name: str) -> list[Any]:
    if text[0] not in "[{":
        return [re.split(r"[\s,]+", pair.strip()) for pair in re.split(r"[;\n]", text) if pair.strip()]
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(
            f'{name}: {text[:80]!r} is not JSON ({error}); write [{{"x": 120, "y": 80}}] or 120, 80.'
        ) from error
    is_one = isinstance(value, dict) or (
        len(value) == 2 and not any(isinstance(x, list | dict) for x in value)
    )
    return [value] if is_one else value


def _point(item: Any, name: str) -> Point:
    pair = [item.get("x"), item.get("y")] if isinstance(item, dict) else item
    try:
        x, y = (float(number) for number in pair)
    except (TypeError, ValueError):
        x = y = math.nan
    if not (math.isfinite(x) and math.isfinite(y)):
        raise ValueError(f'{name}: {item!r} is no point; write [{{"x": 120, "y": 80}}] or 120, 80.')
    return x, y
