"""Drawings on maps: what somebody changed of the maps of a batch by hand, each as a cropped picture.

    {"version": 1,
     "maps": {"0": {"base": "<hash>", "width": 512, "height": 512, "x": 8, "y": 60, "png": "<base64>"}}}

The key is the map's place in the batch, `base` the `map_hash` of the map that was drawn on ("" for any),
width and height its size, and x, y the crop's top left. The crop is an RGBA PNG of 8 bits a channel: alpha
255 means this pixel, alpha 0 the map's own. Instead of `png` a large one has `file`, the name of a file.
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
    """What was drawn on a map of width x height pixels: a picture's bytes, `png`, or its name, `file`."""

    base: str
    width: int
    height: int
    x: int
    y: int
    png: bytes | None
    file: str | None

    def check_base(self, shape: Sequence[int], found: str) -> None:
        """Raise ValueError unless it was drawn on a map of this shape (H, W, …) and hash, or on any such."""
        height, width = shape[:2]
        if (self.width, self.height) != (width, height):
            raise ValueError(
                f"drawing was made on a map of {self.width}×{self.height} px, but this one is "
                f"{width}×{height} px; give the map its former size, or open the editor and drop the drawing."
            )
        if self.base not in ("", found):
            raise ValueError(
                f"the map has changed since drawing was made (its hash was {self.base[:8]}…, now it is "
                f"{found[:8]}…); open the editor and re-apply or drop the drawing. A program may set its "
                'base to "", which lays it on any map of this size.'
            )

    def check_png(self, data: bytes) -> None:
        """Raise ValueError unless the bytes begin as a PNG that lies within the map; nothing is unpacked."""
        most = 5 * self.width * self.height + 2**16  # more than the whole map takes uncompressed
        if len(data) > most:
            raise ValueError(f"its picture has {len(data)} bytes; a PNG of this map has at most {most}")
        if len(data) < 33 or not data.startswith(PNG_SIGNATURE) or data[12:16] != b"IHDR":
            raise ValueError(f"its picture is no PNG, it begins with {data[:8]!r}; draw it anew")
        width, height, *kind = struct.unpack(">IIBB", data[16:26])
        if tuple(kind) != RGBA_8_BIT:
            raise ValueError(
                f"its PNG has bit depth {kind[0]} and colour type {kind[1]}; give RGBA with 8 bits a channel"
            )
        if not (0 < width <= self.width - self.x and 0 < height <= self.height - self.y):
            raise ValueError(
                f"its picture of {width}×{height} px at ({self.x}, {self.y}) reaches out of the map of "
                f"{self.width}×{self.height} px"
            )

    def laid_on(self, image: np.ndarray, picture: np.ndarray, palette: Palette | None = None) -> np.ndarray:
        """A copy of a map, RGB float (H, W, 3) in [0, 1], with the picture, RGBA uint8, in its place.

        The rest of the map keeps its exact values. Raises ValueError for a pixel that is half transparent
        or, with a palette, of none of its colours.
        """
        result = image.copy()
        height, width = picture.shape[:2]
        place = result[self.y : self.y + height, self.x : self.x + width]
        drawn, alpha = picture[..., 3] == 255, picture[..., 3]
        if not (drawn | (alpha == 0)).all():
            found = int(alpha[~drawn & (alpha > 0)][0])
            raise ValueError(f"its picture has a pixel of alpha {found}; each must be 0 or 255")
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
                f"colour of the palette {palette.name}; choose the palette that it was drawn in"
            )


def map_hash(pixels: np.ndarray) -> str:
    """SHA-256, in hexadecimal digits, of a map's RGB uint8 pixels (H, W, 3), row after row."""
    return hashlib.sha256(np.ascontiguousarray(pixels)).hexdigest()


def parse_drawing(value: Any) -> dict[int, DrawnPatch]:
    """What is drawn on each map, by its place in the batch; {} is no drawing.

    Raises ValueError that names the field, the value and what to do.
    """
    if not isinstance(value, dict):
        raise ValueError(f"drawing must be a JSON object, {{}} for none, got {short(value)}.")
    if not value:
        return {}
    if value.get("version") != VERSION:
        raise ValueError(
            f"drawing is of version {short(value.get('version'))}, this node reads version {VERSION}; "
            "update ComfyUI-Finesse."
        )
    try:
        maps = Fields(value, ("version", "maps")).values.get("maps")
        if not isinstance(maps, dict):
            raise ValueError(f"maps must be an object of patches by the map's number, got {short(maps)}")
        return {_place(key): _patch(key, patch) for key, patch in maps.items()}
    except ValueError as error:
        raise ValueError(f"drawing: {error}") from error


def _place(key: Any) -> int:
    if not isinstance(key, str) or not re.fullmatch(r"0|[1-9][0-9]{0,5}", key):
        raise ValueError(f'the key {short(key)} of maps must be a map\'s place in the batch, such as "0"')
    return int(key)


def _patch(key: str, values: Any) -> DrawnPatch:
    try:
        if not isinstance(values, dict):
            raise ValueError(f"must be an object, got {short(values)}")
        fields = Fields(values, ("base", "width", "height", "x", "y", "png", "file"))
        base = values.get("base")
        if not isinstance(base, str) or not re.fullmatch(r"([0-9a-f]{64})?", base):
            raise fields.wrong("base", 'the SHA-256 of the map in 64 small hexadecimal digits, or ""')
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
