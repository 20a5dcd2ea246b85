"""Custom palettes are read from JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .palettes import Palette, read_colour

LIMIT = 256  # labels, because a decoded map holds bytes
EXAMPLE = '{"dog": "#ff0000", "grass": [0, 128, 0]}'


def custom_palette(value: str | Mapping[str, Any], name: str = "custom") -> Palette:
    """The palette that a JSON object of labels and colours describes, with the labels in its order.

    value: the JSON as text, or already parsed: each label's colour as "#rrggbb" or [r, g, b] in 0..255.
    Raises ValueError, naming the faulty entry, unless it is an object of 1 to 256 labels, all different, not
    empty and without commas, semicolons or line breaks, with colours in one of these forms, all different.
    """
    given = _parsed(value)
    if not isinstance(given, Mapping) or not all(isinstance(label, str) for label in given):
        raise ValueError(f"palette: got {_short(given)}; give an object of labels such as {EXAMPLE}")
    if not 1 <= len(given) <= LIMIT:
        raise ValueError(f"palette: got {len(given)} labels; give 1 to {LIMIT}, such as {EXAMPLE}")
    painted: dict[tuple[int, int, int], str] = {}
    for label, colour in given.items():
        if not label.strip() or re.search("[,;]", label) or len(label.splitlines()) > 1:
            raise ValueError(
                f"palette: {label!r} is no label; give a name without commas, semicolons and line breaks"
            )
        rgb = _rgb(colour, label)
        if rgb in painted:
            raise ValueError(
                f"palette: {painted[rgb]!r} and {label!r} have the same colour {list(rgb)}; change one, since"
                " a map could not tell them apart"
            )
        painted[rgb] = label.strip()
    _refuse_repeats(label.casefold() for label in painted.values())
    return Palette(name, tuple(painted.values()), tuple(painted))


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, object_pairs_hook=_object)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"palette: {_short(value)} is not JSON ({error}); write {EXAMPLE}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    _refuse_repeats(label for label, _ in pairs)
    return dict(pairs)


def _refuse_repeats(labels: Iterable[str]) -> None:
    seen: set[str] = set()
    for label in labels:
        if label in seen:
            raise ValueError(f"palette: the label {label!r} is given twice; give each label once")
        seen.add(label)


def _rgb(colour: Any, label: str) -> tuple[int, int, int]:
    rgb = read_colour(colour)
    if rgb is None:
        raise ValueError(
            f"palette: the colour of {label!r} is {_short(colour)}; give '#rrggbb' or [r, g, b] in 0 to 255"
        )
    return rgb


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
