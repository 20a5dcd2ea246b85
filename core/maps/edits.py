"""Edits of condition maps are a JSON list of objects, each with `op`, `select` and the op's own fields.

    [{"op": "move", "select": {"label": "dog", "index": 0}, "dx": 20},
     {"op": "delete", "select": {"point": [30, 40]}},
     {"op": "paste", "select": {"source": 0, "label": "cat"}, "x": 8, "y": 60, "factor": 0.5}]

Pixels count from the top left. `select` has exactly one of `label` and `colour` ([r, g, b] or "#rrggbb"),
which select all their objects or, with `index`, the n-th largest; `point` ([x, y]), which selects the object
under it; and `box`, which selects the pixels of a rectangle. An object is a connected area. Each object is
scaled, rotated and flipped about its own centre, or with `together` all are changed as one. On a map without
palette, `tolerance` (0 to 255) says how much a channel may differ from the colour. With `source` the
selection is made in another map.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..small_objects.boxes import Box
from .canvas import FONT, Canvas, stroke_mask, text_mask
from .edit_fields import MapEdit, short
from .objects import Piece
from .palettes import Palette

Source = np.ndarray | tuple[np.ndarray, Palette | None]
"""Another map to select in, alone if it has the palette of the edited map, else with its palette."""


def apply_edits(
    image: np.ndarray,
    edits: str | Sequence[dict[str, Any]],
    palette: Palette | None = None,
    sources: Sequence[Source] = (),
) -> np.ndarray:
    """Apply edits to one map in their order, each to the result of the one before.

    image: RGB (H, W, 3), uint8 or float in [0, 1]; it is not changed. edits: the JSON, as text or parsed.
    palette: the palette of a segmentation map; None for depth, sketch, normal and pose maps. sources: the
    maps that `{"source": i}` in a selection refers to. Returns a picture of the same shape and dtype; with a
    palette it holds only that palette's colours. Raises ValueError that names the edit, its op and field, the
    value and what to do.
    """
    *_, result = edit_steps(image, edits, palette, sources)
    return result


def edit_steps(
    image: np.ndarray,
    edits: str | Sequence[dict[str, Any]],
    palette: Palette | None = None,
    sources: Sequence[Source] = (),
) -> Iterator[np.ndarray]:
    """Yield the map in the palette's colours before the first edit and after each; see `apply_edits`."""
    canvas = Canvas(image, palette)
    others = [
        Canvas(*(source if isinstance(source, tuple) else (source, palette)), canvas.dtype, f"sources[{i}]")
        for i, source in enumerate(sources)
    ]
    yield canvas.image
    for number, values in enumerate(parse_edits(edits)):
        operation = OPERATIONS[values["op"]]
        try:
            operation.run(MapEdit(values, operation.fields, canvas, others))
        except ValueError as error:
            raise ValueError(f"edits[{number}] ({values['op']}): {error}") from error
        yield canvas.image


def parse_edits(edits: str | Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Read a list of edits, from JSON if it is a text; a blank text holds no edits.

    Raises ValueError that says where the JSON does not parse, or which edit has no known `op`.
    """
    if isinstance(edits, str):
        try:
            edits = json.loads(edits) if edits.strip() else []
        except json.JSONDecodeError as error:
            place = f"line {error.lineno}, column {error.colno}"
            raise ValueError(f"edits is not JSON: {error.msg} at {place}; correct it there") from error
        except (RecursionError, ValueError) as error:  # nested too deep, or a number with too many digits
            raise ValueError(f"edits cannot be read as JSON: {error}; shorten it") from error
    if not isinstance(edits, (list, tuple)):
        raise ValueError(f"edits must be a list of edits, got {short(edits)}; put it into [ ]")
    for number, edit in enumerate(edits):
        if not isinstance(edit, dict) or not isinstance(edit.get("op"), str):
            raise ValueError(f'edits[{number}] must be like {{"op": "move", …}}, got {short(edit)}')
        if edit["op"] not in OPERATIONS:
            known = ", ".join(OPERATIONS)
            raise ValueError(f"edits[{number}]: op {short(edit['op'])} is unknown; use one of {known}")
    return list(edits)


@dataclass(frozen=True)
class Operation:
    """An operation: the function that runs it, and the fields of an edit that it reads."""

    run: Callable[[MapEdit], None]
    fields: tuple[str, ...]


OPERATIONS: dict[str, Operation] = {}
"""All operations by their `op`."""


def operation(op: str, *fields: str) -> Callable[[Callable[[MapEdit], None]], Callable[[MapEdit], None]]:
    """Register a function as the operation `op`, which reads these fields."""

    def register(run: Callable[[MapEdit], None]) -> Callable[[MapEdit], None]:
        OPERATIONS[op] = Operation(run, fields)
        return run

    return register


@operation("move", "select", "dx", "dy", "fill")
def _move(edit: MapEdit) -> None:
    """Move by dx, dy pixels; the hole takes the nearest value, or the label or colour `fill`."""
    dx, dy = edit.pixels("dx", 0), edit.pixels("dy", 0)
    edit.transform(lambda piece: piece.moved(dx, dy), as_one=True)


@operation("scale", "select", "factor", "fx", "fy", "fill")
def _scale(edit: MapEdit) -> None:
    """Scale about the centre by factor, or by fx and fy."""
    fx, fy = edit.factors()
    edit.transform(lambda piece: piece.scaled(fx, fy, edit.canvas.width, edit.canvas.height))


@operation("rotate", "select", "degrees", "fill")
def _rotate(edit: MapEdit) -> None:
    """Rotate clockwise about the centre."""
    degrees = edit.number("degrees")
    edit.transform(lambda piece: piece.rotated(degrees))


@operation("flip", "select", "direction", "fill")
def _flip(edit: MapEdit) -> None:
    """Mirror in a direction: "horizontal" (left and right change places) or "vertical"."""
    horizontally = edit.choice("direction", "horizontal", "vertical") == "horizontal"
    edit.transform(lambda piece: piece.flipped(horizontally))


@operation("duplicate", "select", "dx", "dy")
def _duplicate(edit: MapEdit) -> None:
    """Put a copy dx, dy pixels further."""
    dx, dy = edit.pixels("dx", 0), edit.pixels("dy", 0)
    for piece in edit.canvas.cut(edit.selection().mask, together=True):
        edit.canvas.lay(piece.moved(dx, dy))


@operation("delete", "select", "fill")
def _delete(edit: MapEdit) -> None:
    """Delete objects; the hole takes the nearest value, or the label or colour `fill`."""
    edit.canvas.exchange(edit.selection().mask, [], edit.fill())


@operation("recolour", "select", "to")
def _recolour(edit: MapEdit) -> None:
    """Give the selected pixels the label or colour `to`."""
    edit.canvas.values[edit.selection().mask] = edit.paint("to")


@operation("paste", "select", "x", "y", "factor", "fx", "fy")
def _paste(edit: MapEdit) -> None:
    """Copy a selection from a source, scaled, with its top left at x, y or where it is in the source."""
    selection = edit.selection(elsewhere=True)
    source, canvas = selection.canvas, edit.canvas
    if source.palette != canvas.palette:
        names = [map_.palette.name if map_.palette else "no palette" for map_ in (source, canvas)]
        raise ValueError(f"select: the source has {names[0]} but the map has {names[1]}; convert one of them")
    fx, fy = edit.factors()
    for piece in source.cut(selection.mask, together=True):
        x, y = edit.pixels("x", piece.x), edit.pixels("y", piece.y)
        width, height = max(1, round(piece.box.width * fx)), max(1, round(piece.box.height * fy))
        canvas.lay(piece.resized(Box(x, y, width, height), canvas.width, canvas.height))


@operation("order", "select", "to", "of")
def _order(edit: MapEdit) -> None:
    """Bring objects to the "front" or "back" of the objects in `of`; without `of`, to the front of all.

    A flat map does not know what is behind an object, so this uncovers only what earlier edits covered.
    """
    if edit.canvas.palette is None:
        raise ValueError("order needs a map with a palette; on a depth map use the op depth")
    selected = edit.selection().mask
    to_front = edit.choice("to", "front", "back") == "front"
    if to_front and "of" not in edit:
        return edit.canvas.reveal(selected, np.ones_like(selected))
    others = edit.selection("of").mask
    edit.canvas.reveal(*((selected, others) if to_front else (others, selected)))


@operation("depth", "select", "set", "add")
def _depth(edit: MapEdit) -> None:
    """Set selected pixels to a brightness in 0..1, or add one in -1..1; in a depth map near is bright."""
    canvas, mask = edit.canvas, edit.selection().mask
    if canvas.palette is not None:
        raise ValueError("depth needs a map without palette; on a segmentation map use the op order")
    top = 255 if canvas.dtype == np.uint8 else 1
    if edit.one_of("set", "add") == "set":
        changed = np.full((int(mask.sum()), 3), edit.number("set", low=0, high=1) * top)
    else:
        added = edit.number("add", low=-1, high=1) * top
        changed = np.clip(canvas.values[mask].astype(np.float64) + added, 0, top)
    canvas.values[mask] = np.rint(changed) if canvas.dtype == np.uint8 else changed


@operation("stroke", "points", "width", "colour")
def _stroke(edit: MapEdit) -> None:
    """Draw a line of `width` pixels through points [[x, y], …] in a label or colour."""
    mask = stroke_mask(edit.points("points"), edit.whole("width", 1, low=1), edit.canvas.values.shape[:2])
    edit.canvas.paint(mask, edit.paint("colour"))


@operation("text", "text", "x", "y", "scale", "colour")
def _text(edit: MapEdit) -> None:
    """Write a text in letters of 5 x 7 pixels times scale, from the top left x, y, in a label or colour."""
    text = edit.text("text")
    unknown = sorted(set(text.upper()) - FONT.keys() - {"\n"})
    if unknown:
        raise edit.wrong("text", f"a text of the characters {''.join(FONT)}, without {' '.join(unknown)}")
    x, y, scale = edit.pixels("x", 0), edit.pixels("y", 0), edit.whole("scale", 1, 1, 1000)
    mask, value = text_mask(text), edit.paint("colour")
    piece = Piece(x, y, mask, np.broadcast_to(value, (*mask.shape, *np.shape(value))))
    size = Box(x, y, mask.shape[1] * scale, mask.shape[0] * scale)
    edit.canvas.lay(piece.resized(size, edit.canvas.width, edit.canvas.height))
