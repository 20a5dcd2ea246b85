"""MapEdit reads one edit of a map: its fields, and the pixels that it selects."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from reprlib import Repr
from typing import Any

import numpy as np

from ..small_objects.boxes import Box
from .canvas import Canvas, closest
from .objects import Piece, objects_of
from .palettes import read_colour

LIMIT = 1_000_000  # pixels, so that a typing error does not fill the memory
_repr = Repr()
_repr.maxstring = _repr.maxother = 80
short = _repr.repr


class Fields:
    """Reads the fields of an edit or of a selection, with error messages that name the field."""

    def __init__(self, values: dict[str, Any], known: Iterable[str]) -> None:
        self.values = values
        for field in values:
            if field not in known:
                raise ValueError(f"field {field!r} is unknown; {closest(str(field), known)}")

    def __contains__(self, field: str) -> bool:
        return field in self.values

    def wrong(self, field: str, need: str) -> ValueError:
        got = f"got {short(self.values[field])}" if field in self else "it is missing"
        return ValueError(f"{field} must be {need}; {got}")

    def one_of(self, *fields: str) -> str:
        """The name of the one field that is given; ValueError for none and for several."""
        given = [field for field in fields if field in self]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(fields)}; got {short(self.values)}")
        return given[0]

    def number(
        self, field: str, default: float | None = None, low: float = -LIMIT, high: float = LIMIT
    ) -> float:
        value = self.values.get(field, default)
        if not _is_number(value) or not low <= value <= high:
            raise self.wrong(field, f"a number from {low} to {high}")
        return value

    def pixels(self, field: str, default: int | None = None) -> int:
        """A number of pixels, rounded to an integer."""
        return round(self.number(field, default))

    def whole(self, field: str, default: int | None = None, low: int = 0, high: int = LIMIT) -> int:
        value = self.values.get(field, default)
        if not _is_number(value) or not low <= value <= high or value != int(value):
            raise self.wrong(field, f"a whole number from {low} to {high}")
        return int(value)

    def text(self, field: str) -> str:
        value = self.values.get(field)
        if not isinstance(value, str) or not 0 < len(value) <= 1000:
            raise self.wrong(field, "a text of 1 to 1000 characters")
        return value

    def choice(self, field: str, *choices: Any) -> Any:
        if self.values.get(field) not in choices:
            raise self.wrong(field, " or ".join(map(json.dumps, choices)))
        return self.values[field]

    def point(self, field: str) -> tuple[float, float]:
        if not _is_point(self.values.get(field)):
            raise self.wrong(field, f"[x, y] in pixels, within {LIMIT}")
        return tuple(self.values[field])

    def points(self, field: str) -> list[tuple[float, float]]:
        value = self.values.get(field)
        if not isinstance(value, (list, tuple)) or not value or not all(map(_is_point, value)):
            raise self.wrong(field, f"a list of [x, y] in pixels, within {LIMIT}")
        return [tuple(point) for point in value]

    def colour(self, field: str, need: str = "a colour") -> tuple[int, int, int]:
        """An RGB colour in 0..255, written as a list or as "#rrggbb"."""
        rgb = read_colour(self.values.get(field))
        if rgb is None:
            raise self.wrong(field, f'{need}, [r, g, b] in 0 to 255 or "#rrggbb"')
        return rgb


def _is_number(value: Any) -> bool:
    # math.isfinite fails on the long integers that JSON may hold
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


def _is_point(value: Any) -> bool:
    is_pair = isinstance(value, (list, tuple)) and len(value) == 2
    return is_pair and all(_is_number(part) and abs(part) <= LIMIT for part in value)


@dataclass(frozen=True)
class Selection:
    """The selected pixels of a map, bool (H, W), and whether its objects are changed `together`, as one."""

    mask: np.ndarray
    canvas: Canvas
    together: bool


class MapEdit(Fields):
    """One edit, the map that it changes, and the other maps that it may select in."""

    def __init__(
        self, values: dict[str, Any], fields: Sequence[str], canvas: Canvas, sources: Sequence[Canvas]
    ) -> None:
        super().__init__(values, ("op", *fields))
        self.canvas, self.sources = canvas, sources

    def selection(self, field: str = "select", elsewhere: bool = False) -> Selection:
        """The pixels that `field` selects in the map, or in one of the sources.

        elsewhere: select in a source, by default the first, which may have another size than the map.
        """
        values = self.values.get(field)
        if not isinstance(values, dict):
            raise self.wrong(field, 'a selection like {"label": "dog"}')
        try:
            kind = Fields(values, values).one_of(*SELECTIONS)
            find, more = SELECTIONS[kind]
            fields = Fields(values, ("source", kind, *more))
            canvas = self._source(fields, elsewhere) if elsewhere or "source" in fields else self.canvas
            mask = find(canvas, fields)
            together = kind == "box" or ("together" in fields and fields.choice("together", False, True))
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from error
        return Selection(mask, canvas, together)

    def _source(self, fields: Fields, any_size: bool) -> Canvas:
        if not self.sources:
            raise ValueError("there is no other map to select in; give sources")
        source = self.sources[fields.whole("source", 0, high=len(self.sources) - 1)]
        if not any_size and source.values.shape[:2] != self.canvas.values.shape[:2]:
            sizes = [f"{map_.width}×{map_.height} px" for map_ in (source, self.canvas)]
            raise ValueError(f"the source is {sizes[0]} but the map is {sizes[1]}; resize one of them")
        return source

    def paint(self, field: str) -> np.ndarray | int:
        """The value in the map for a field that names a label or a colour."""
        value = self.values.get(field)
        is_name = isinstance(value, str) and not value.startswith("#")
        paint = value if is_name else self.colour(field, "a label or a colour")
        try:
            return self.canvas.value(paint)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from error

    def fill(self) -> np.ndarray | int | None:
        """The value for holes; None takes the nearest value."""
        return self.paint("fill") if "fill" in self else None

    def factors(self) -> tuple[float, float]:
        """The horizontal and vertical scale, from `factor` or from `fx` and `fy`."""
        if "factor" in self:
            self.one_of("factor", "fx", "fy")
        both = self.number("factor", 1, 0.001, 1000)
        return self.number("fx", both, 0.001, 1000), self.number("fy", both, 0.001, 1000)

    def transform(self, change: Callable[[Piece], Piece], as_one: bool = False) -> None:
        """Change the selected objects and fill the holes that they leave."""
        selection = self.selection()
        pieces = self.canvas.cut(selection.mask, as_one or selection.together)
        self.canvas.exchange(selection.mask, [change(piece) for piece in pieces], self.fill())


def _labelled(canvas: Canvas, fields: Fields) -> np.ndarray:
    return _nth(canvas.painted(fields.text("label")), fields)


def _coloured(canvas: Canvas, fields: Fields) -> np.ndarray:
    return _nth(canvas.painted(fields.colour("colour"), _tolerance(canvas, fields)), fields)


def _pointed(canvas: Canvas, fields: Fields) -> np.ndarray:
    x, y = fields.point("point")
    return canvas.object_at(math.floor(x), math.floor(y), _tolerance(canvas, fields))


def _boxed(canvas: Canvas, fields: Fields) -> np.ndarray:
    value = fields.values["box"]
    if isinstance(value, dict) and any(_is_number(side) and abs(side) > LIMIT for side in value.values()):
        raise fields.wrong("box", f"within {LIMIT} pixels")
    mask = np.zeros((canvas.height, canvas.width), bool)
    mask[Box.from_dict(value).clip(canvas.width, canvas.height).index[1:]] = True
    return mask


SELECTIONS: dict[str, tuple[Callable[[Canvas, Fields], np.ndarray], tuple[str, ...]]] = {
    "label": (_labelled, ("index", "together")),
    "colour": (_coloured, ("index", "together", "tolerance")),
    "point": (_pointed, ("tolerance",)),
    "box": (_boxed, ()),
}
"""The ways to select: the function that finds the pixels, and the additional fields that it reads."""


def _nth(mask: np.ndarray, fields: Fields) -> np.ndarray:
    if "index" not in fields:
        return mask
    objects = objects_of(mask, ignore=(0,))
    return objects[fields.whole("index", high=len(objects) - 1)].mask


def _tolerance(canvas: Canvas, fields: Fields) -> int:
    if canvas.palette is not None and "tolerance" in fields:
        raise fields.wrong("tolerance", "left out where the map has a palette")
    return fields.whole("tolerance", 0, high=255)
