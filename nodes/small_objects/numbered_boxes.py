"""Draws boxes with their numbers on a picture."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ...core.images import to_bytes
from ...core.small_objects.boxes import Box

SMALLEST, LARGEST = 384, 1024  # longer side of what is drawn, in pixels
COLOURS = ("#ffcd50", "#5ac8fa", "#ff8a80", "#82d68c", "#d7a6ff")
FONT_SIZE = 14


def numbered_boxes(picture: Tensor, boxes: Sequence[Box]) -> Image.Image:
    """Draw boxes with their numbers, from 1, on a picture (H, W, 3 or 4), scaled until one can read them."""
    height, width = picture.shape[:2]
    factor = min(max(1.0, SMALLEST / max(width, height)), LARGEST / max(width, height))
    shown = Image.fromarray(to_bytes(picture[..., :3]).cpu().numpy())
    shown = shown.resize((max(1, round(width * factor)), max(1, round(height * factor))))
    draw, font = ImageDraw.Draw(shown), ImageFont.load_default(FONT_SIZE)
    for index, box in enumerate(boxes):
        colour, number = COLOURS[index % len(COLOURS)], str(index + 1)
        left, top, right, bottom = (round(edge * factor) for edge in (box.x, box.y, box.right, box.bottom))
        draw.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=colour, width=2)
        draw.rectangle(
            (left, top, left + draw.textlength(number, font) + 5, top + FONT_SIZE + 2), fill=colour
        )
        draw.text((left + 3, top), number, "black", font)
    return shown
