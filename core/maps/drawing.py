"""A drawing holds the changes that a user painted on the maps of a batch, one cropped picture for each map.

    {"version": 1,
     "maps": {"0": {"base": "<hash>", "width": 512, "height": 512, "x": 8, "y": 60, "png": "<base64>"}}}

The key is the map's index in the batch. `base` is the `map_hash` of the map that was drawn on ("" for any
map), `width` and `height` are its size, and x, y is the top left of the crop. The crop is an RGBA PNG with 8
bits per channel: a pixel with alpha 255 replaces the map's pixel, alpha 0 keeps it. Instead of `png`, a large
crop has `file`, the name of a file.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .edit_fields import Fields, short
from .palettes import Palette

VERSION = 1
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
RGBA_8_BIT = (8, 6)  # a PNG's bit depth and colour type


@dataclass(frozen=True)
class DrawnPatch:
    """The drawing on one map of width x height pixels: the bytes of a PNG in `png`, or its name in `file`."""

    base: str
    width: int
    height: int
    x: int
    y: int
    png: bytes | None
    file: str | None

    def check_base(self, shape: Sequence[int], found: str) -> None:
        """Raise ValueError unless the drawing fits a map of this shape (H, W, …) and hash."""
        height, width = shape[:2]
        if (self.width, self.height) != (width, height):
            raise ValueError(
                f"drawing was made on a map of {self.width}×{self.height} px, but this one is "
                f"{width}×{height} px; give the map its former size, or drop the drawing in the editor."
            )
        if self.base not in ("", found):
            raise ValueError(
                f"the map has changed since drawing was made (its hash was {self.base[:8]}…, now it is "
                f"{found[:8]}…); open the editor and re-apply or drop the drawing. A program can set its "
                'base to "", which fits any map of this size.'
            )

    def check_png(self, data: bytes) -> None:
        """Raise ValueError unless the bytes begin as a PNG that fits into the map. Nothing is unpacked."""
        most = 5 * self.width * self.height + 2**16  # more than the uncompressed map needs
        if len(data) > most:
            raise ValueError(
                f"its picture has {len(data)} bytes, but a PNG of this map has at most {most}; draw it again"
            )
        if len(data) < 33 or not data.startswith(PNG_SIGNATURE) or data[12:16] != b"IHDR":
            raise ValueError(f"its picture is no PNG, it begins with {data[:8]!r}; draw it again")
        width, height, *kind = struct.unpack(">IIBB", data[16:26])
        if tuple(kind) != RGBA_8_BIT:
            raise ValueError(
                f"its PNG has bit depth {kind[0]} and colour type {kind[1]}; give RGBA of 8 bits per channel"
            )
        if not (0 < width <= self.width - self.x and 0 < height <= self.height - self.y):
            raise ValueError(
                f"its picture of {width}×{height} px at ({self.x}, {self.y}) reaches past the map of "
                f"{self.width}×{self.height} px; crop it to the map"
            )

    def laid_on(self, image: np.ndarray, picture: np.ndarray, palette: Palette | None = None) -> np.ndarray:
        """A copy of a map, RGB float (H, W, 3) in [0, 1], with the picture, RGBA uint8, put on it at x, y.

        The rest of the map keeps its exact values. Raises ValueError for a half transparent pixel and, with a
        palette, for a pixel whose colour is not in it.
        """
        result = image.copy()
        height, width = picture.shape[:2]
        place = result[self.y : self.y + height, self.x : self.x + width]
        drawn, alpha = picture[..., 3] == 255, picture[..., 3]
        if not (drawn | (alpha == 0)).all():
            found = int(alpha[~drawn & (alpha > 0)][0])
            raise ValueError(f"its picture has a pixel with alpha {found}; make each alpha 0 or 255")
        colours = picture[..., :3][drawn]
        if palette is not None:
            self._check_colours(colours, drawn, palette)
        place[drawn] = colours.astype(result.dtype) / 255
        return result

    def _check_colours(self, colours: np.ndarray, drawn: np.ndarray, palette: Palette) -> None:
        wrong = (palette.encode(palette.decode(colours)) != colours).any(-1)
        if wrong.any():
            first = int(wrong.argmax())
            y, x = (int(along[first]) for along in np.nonzero(drawn))
            raise ValueError(
                f"the pixel drawn at ({self.x + x}, {self.y + y}) is {colours[first].tolist()}, which is no "
                f"colour of the palette {palette.name}; choose the palette that the drawing was made in"
            )


def map_hash(pixels: np.ndarray) -> str:
    """The SHA-256 of a map's RGB uint8 pixels (H, W, 3), row after row, in hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


def parse_drawing(value: Any) -> dict[int, DrawnPatch]:
    """The drawing on each map, by the map's index in the batch; {} is no drawing.

    Raises ValueError that names the field, the value and what to do.
    """
    if not isinstance(value, dict):
        raise ValueError(f"drawing must be a JSON object, {{}} for none, got {short(value)}.")
    if not value:
        return {}
    if value.get("version") != VERSION:
        raise ValueError(
            f"drawing has version {short(value.get('version'))}, but this node reads version {VERSION}; "
            "update ComfyUI-Finesse."
        )
    try:
        maps = Fields(value, ("version", "maps")).values.get("maps")
        if not isinstance(maps, dict):
            raise ValueError(f"maps must be an object of patches by the map's index, got {short(maps)}")
        return {_place(key): _patch(key, patch) for key, patch in maps.items()}
    except ValueError as error:
        raise ValueError(f"drawing: {error}") from error


def _place(key: Any) -> int:
    if not isinstance(key, str) or not re.fullmatch(r"0|[1-9][0-9]{0,5}", key):
        raise ValueError(f'the key {short(key)} of maps must be a map\'s index in the batch, such as "0"')
    return int(key)


def _patch(key: str, values: Any) -> DrawnPatch:
    try:
        if not isinstance(values, dict):
            raise ValueError(f"must be an object, got {short(values)}")
        fields = Fields(values, ("base", "width", "height", "x", "y", "png", "file"))
        base = values.get("base")
        if not isinstance(base, str) or not re.fullmatch(r"([0-9a-f]{64})?", base):
            raise fields.wrong("base", 'the SHA-256 of the map in 64 lower-case hexadecimal digits, or ""')
        kind = fields.one_of("png", "file")
        if not isinstance(values[kind], str) or not values[kind]:
            raise fields.wrong(
                kind, "a PNG in base64" if kind == "png" else "a file in ComfyUI's input folder"
            )
        size = (fields.whole("width", low=1), fields.whole("height", low=1))
        return DrawnPatch(
            base,
            *size,
            *(fields.whole(name) for name in ("x", "y")),
            png=_decoded(values["png"]) if kind == "png" else None,
            file=values.get("file"),
        )
    except ValueError as error:
        raise ValueError(f"maps[{key!r}]: {error}") from error


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"png is no base64 ({error}), got {short(text)}") from error
