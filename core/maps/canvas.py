"""Canvas holds a map while it is edited: it finds pixels, cuts pieces out, lays pieces on, draws and writes.

A map that is painted in a palette is held as label indices (H, W), so no edit can bring in a new colour. Any
other picture is held as its pixels (H, W, 3).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import pairwise

import numpy as np

from .objects import Piece, box_of, connected_to, crumbs_around, fill_holes_by_nearest, objects_of
from .palettes import Palette


class Canvas:
    """An editable copy of a map.

    values: (H, W) label indices if there is a palette, else (H, W, 3) pixels of `dtype`.
    name: the name of `image` in error messages. Raises ValueError unless `image` is one RGB picture, uint8 or
    float in [0, 1].
    """

    def __init__(
        self,
        image: np.ndarray,
        palette: Palette | None = None,
        dtype: np.dtype | None = None,
        name: str = "image",
    ) -> None:
        image = np.asarray(image)
        number = image.dtype == np.uint8 or np.issubdtype(image.dtype, np.floating)
        if image.ndim != 3 or image.shape[2] != 3 or not image.size or not number:
            raise ValueError(
                f"{name}: got {image.dtype} of shape {image.shape}; "
                "give one RGB picture (H, W, 3), uint8 or float in 0 to 1"
            )
        if not np.isfinite(image).all():
            raise ValueError(f"{name} holds values that are not finite; give float values in 0 to 1")
        self.palette, self.dtype = palette, image.dtype if dtype is None else dtype
        self.height, self.width = image.shape[:2]
        self.values = _converted(image, self.dtype) if palette is None else palette.decode(_bytes(image))
        self.covered: list[Piece] = []

    @property
    def image(self) -> np.ndarray:
        """The map as a picture (H, W, 3) of type `dtype`."""
        if self.palette is None:
            return self.values.copy()
        return _converted(self.palette.encode(self.values), self.dtype)

    @property
    def rgb(self) -> np.ndarray:
        """The map as RGB uint8 (H, W, 3)."""
        return _bytes(self.image)

    def value(self, paint: str | Sequence[int]) -> np.ndarray | int:
        """The value in `values` for a label's name or an RGB colour: an index, or without palette a pixel.

        If labels share a colour, the first is taken, as in decoding. Raises ValueError for a name or colour
        that is not in the palette, and for a name without palette.
        """
        if self.palette is None:
            if isinstance(paint, str):
                raise ValueError(f"label {paint!r} needs a palette; choose one, or give a colour")
            return _converted(np.array(paint, np.uint8), self.dtype)
        if isinstance(paint, str):
            if paint not in self.palette.labels:
                near = closest(paint, self.palette.labels)
                raise ValueError(f"label {paint!r} is not in the palette {self.palette.name}; {near}")
            paint = self.palette.colours[self.palette.index(paint)]
        index = int(self.palette.decode(np.array(paint, np.uint8)))
        if self.palette.colours[index] != tuple(paint):
            raise ValueError(
                f"colour {list(paint)} is not in the palette {self.palette.name}; the nearest is "
                f"{list(self.palette.colours[index])}, {self.palette.labels[index]!r}"
            )
        return index

    def painted(self, paint: str | Sequence[int], tolerance: int = 0) -> np.ndarray:
        """Bool (H, W): where the map shows a label or colour. Raises ValueError if it is nowhere.

        tolerance: how much each channel may differ from the colour, in 0..255; only without palette.
        """
        value = self.value(paint)
        if self.palette is None:
            mask = _close(self.rgb, np.array(paint, np.uint8), tolerance)
        else:
            mask = self.values == value
        if mask.any():
            return mask
        if self.palette is None:
            raise ValueError(f"finds nothing: no pixel has the colour {list(paint)}; raise the tolerance")
        counts = np.bincount(self.values.ravel())
        shown = _listed([self.palette.labels[i] for i in np.argsort(-counts, kind="stable") if counts[i]])
        raise ValueError(f"finds nothing: the map shows no {self.palette.labels[value]!r}, only {shown}")

    def object_at(self, x: int, y: int, tolerance: int = 0) -> np.ndarray:
        """Bool (H, W): the object under a pixel. Raises ValueError if the pixel is outside the map."""
        if not (0 <= x < self.width and 0 <= y < self.height):
            raise ValueError(f"point [{x}, {y}] lies outside the map of {self.width}×{self.height} px")
        if self.palette is None:
            alike = _close(self.rgb, self.rgb[y, x], tolerance)
        else:
            alike = self.values == self.values[y, x]
        under = np.zeros_like(alike)
        under[y, x] = True
        return connected_to(alike, under)

    def cut(self, mask: np.ndarray, together: bool) -> list[Piece]:
        """The pixels of a mask as pieces: one for each object, the largest first, or `together` as one."""
        if not mask.any():
            return []
        if together:
            box = box_of(mask)
            parts = [(box, mask[box.index[1:]])]
        else:
            parts = [(thing.box, thing.crop) for thing in objects_of(mask, ignore=(0,))]
        return [Piece(box.x, box.y, part, self.values[box.index[1:]].copy()) for box, part in parts]

    def exchange(
        self, mask: np.ndarray, pieces: Sequence[Piece], fill: np.ndarray | int | None = None
    ) -> None:
        """Clear the pixels of a mask, then lay pieces over the map.

        Cleared pixels take the value `fill`. If that is None they take the nearest value outside the mask;
        with a palette, crumbs (`crumbs_around`) are skipped unless nothing else is left. Raises ValueError if
        there is nothing outside.
        """
        self._forget(mask)
        if fill is not None:
            self.values[mask] = fill
        elif not mask.all():
            self.values = self._filled(mask)
        elif not self._covers(pieces):
            raise ValueError("select is the whole map, which leaves nothing to fill it from; give fill")
        for piece in pieces:
            self.lay(piece)

    def lay(self, piece: Piece) -> None:
        """Lay a piece over the map and remember the labels that it covers."""
        piece = piece.clipped(self.width, self.height)
        place = self.values[piece.box.index[1:]]  # a view
        if self.palette is not None:
            self.covered.append(Piece(piece.x, piece.y, piece.mask.copy(), place.copy()))
        place[piece.mask] = piece.values[piece.mask]

    def paint(self, mask: np.ndarray, value: np.ndarray | int) -> None:
        """Give the pixels of a mask one value."""
        for piece in self.cut(mask, together=True):
            self.lay(Piece(piece.x, piece.y, piece.mask, np.broadcast_to(value, piece.values.shape)))

    def reveal(self, top: np.ndarray, over: np.ndarray) -> None:
        """Uncover the objects in the mask `top` within the mask `over`, as far as they are in `covered`."""
        for label in np.unique(self.values[top]):
            self.paint(self._hidden(top, label) & over & (self.values != label), label)

    def _filled(self, hole: np.ndarray) -> np.ndarray:
        """The values, with a hole filled by the nearest values outside it."""
        skipped = hole if self.palette is None else hole | crumbs_around(self.values, hole)
        return fill_holes_by_nearest(self.values, hole, hole if skipped.all() else skipped)

    def _covers(self, pieces: Sequence[Piece]) -> bool:
        hidden = np.zeros((self.height, self.width), bool)
        for piece in pieces:
            piece = piece.clipped(self.width, self.height)
            hidden[piece.box.index[1:]] |= piece.mask
        return bool(hidden.all())

    def _hidden(self, mask: np.ndarray, label: int) -> np.ndarray:
        """Bool (H, W): where objects of a label in a mask are known to continue under pieces laid on them."""
        hidden = np.zeros_like(mask)
        for piece in self.covered:
            hidden[piece.box.index[1:]] |= piece.mask & (piece.values == label)
        if not hidden.any():
            return hidden
        shown = self.values == label
        return hidden & connected_to(hidden | shown, mask & shown)

    def _forget(self, mask: np.ndarray) -> None:
        for label in np.unique(self.values[mask]) if self.covered else ():
            hidden = self._hidden(mask, label)
            for piece in self.covered:
                piece.mask[hidden[piece.box.index[1:]] & (piece.values == label)] = False


def closest(name: str, names: Iterable[str]) -> str:
    """Advice for a message: the names that resemble `name`, or all names if none does."""
    names = list(names)
    near = get_close_matches(name, names)
    return f"did you mean {' or '.join(map(repr, near))}?" if near else f"use one of {_listed(names)}"


def _listed(names: Sequence[str], at_most: int = 20) -> str:
    return ", ".join(names[:at_most]) + (", …" if len(names) > at_most else "")


def _close(image: np.ndarray, colour: np.ndarray, tolerance: int) -> np.ndarray:
    return (np.abs(image.astype(np.int16) - colour.astype(np.int16)) <= tolerance).all(-1)


def _bytes(image: np.ndarray) -> np.ndarray:
    if image.dtype == np.uint8:
        return image
    return np.rint(np.clip(image.astype(np.float32), 0, 1) * 255).astype(np.uint8)


def _converted(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """A copy in another type; 0..255 in uint8 corresponds to 0..1 in float."""
    if dtype == np.uint8:
        return _bytes(image).copy()
    return image.astype(dtype) / 255 if image.dtype == np.uint8 else image.astype(dtype)


def stroke_mask(points: Sequence[tuple[float, float]], width: int, shape: tuple[int, int]) -> np.ndarray:
    """Bool (H, W) of `shape`: a line of `width` pixels with round ends through points x, y.

    Whole numbers are the centres of pixels. A line of even width has no middle pixel and is shifted by half a
    pixel to the top left.
    """
    mask = np.zeros(shape, bool)
    radius, shift = width / 2, 0.5 if width % 2 == 0 else 0.0
    points = [(x - shift, y - shift) for x, y in points]
    for (x0, y0), (x1, y1) in pairwise(points if len(points) > 1 else points * 2):
        left, right = math.floor(min(x0, x1) - radius), math.ceil(max(x0, x1) + radius) + 1
        top, bottom = math.floor(min(y0, y1) - radius), math.ceil(max(y0, y1) + radius) + 1
        x = np.arange(max(left, 0), min(right, shape[1])) - x0
        y = np.arange(max(top, 0), min(bottom, shape[0]))[:, None] - y0
        dx, dy = x1 - x0, y1 - y0
        along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy or 1), 0, 1)
        near = (x - along * dx) ** 2 + (y - along * dy) ** 2 <= radius**2 + 1e-9
        mask[max(top, 0) : max(top, 0) + len(y), max(left, 0) : max(left, 0) + x.size] |= near
    return mask


def text_mask(text: str) -> np.ndarray:
    """Bool (h, w): the pixels of a text of characters in `FONT`, written in upper case, and line breaks."""
    lines = text.upper().split("\n")
    mask = np.zeros((9 * len(lines) - 2, max(1, 6 * max(map(len, lines)) - 1)), bool)
    for top, line in enumerate(lines):
        for left, character in enumerate(line):
            rows = np.array([int(row, 32) for row in FONT[character]])
            mask[9 * top : 9 * top + 7, 6 * left : 6 * left + 5] = rows[:, None] >> np.arange(4, -1, -1) & 1
    return mask


_GLYPHS = """
    Aehhvhhh Buhhuhhu Cehggghe Duhhhhhu Evgguggv Fvgguggg Gehgnhhe Hhhhvhhh Ie44444e J72222ic Khikokih
    Lggggggv Mhrllhhh Nhhpljhh Oehhhhhe Puhhuggg Qehhhlid Ruhhukih Sfgge11u Tv444444 Uhhhhhhe Vhhhhha4
    Whhhllla Xhha4ahh Yhha4444 Zv1248gv 0ehjlphe 14c4444e 2eh1248v 3v2421he 426aiv22 5vgu11he 668guhhe
    7v124888 8ehhehhe 9ehhf12c .00000cc ,0000c48 :0cc0cc0 ;0cc0c48 !4444404 ?eh12404 'cc48000 "aaa0000
    -000v000 _000000v +044v440 =00v0v00 /01248g0 (2488842 )8422248 <248g842 >8421248 #aavavaa %op248j3
    &cik8lid *04lel40 @eh1dlle $4fke5u4
"""
FONT = {" ": "0000000"} | {glyph[0]: glyph[1:] for glyph in _GLYPHS.split()}
"""Seven rows of five pixels for each character; each row is a digit of base 32."""
