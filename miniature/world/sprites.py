"""Sprites are the pictures of things in the atlas; this module finds, recolours and scales them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from .things import COLOUR_VALUES, KINDS

FOLDER = Path(__file__).with_name("atlas")
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Sprite:
    """One picture in the atlas; `rect` is x, y, width, height in pixels of the atlas."""

    index: int
    name: str
    action: str | None
    variant: str | None
    rect: tuple[int, int, int, int]

    @property
    def proportions(self) -> tuple[float, float]:
        """The width and height if the longer side is 1."""
        longer = max(self.rect[2:])
        return self.rect[2] / longer, self.rect[3] / longer


@cache
def sprites() -> tuple[Sprite, ...]:
    """All sprites in the atlas, in the order of atlas.json."""
    entries = json.loads((FOLDER / "atlas.json").read_text(encoding="utf-8"))
    return tuple(
        Sprite(i, entry["name"], entry.get("action"), entry.get("variant"), tuple(entry["rect"]))
        for i, entry in enumerate(entries)
    )


@cache
def sprites_of(name: str, action: str | None = None) -> tuple[Sprite, ...]:
    """The sprites of a thing, or of a person who does something."""
    return tuple(s for s in sprites() if s.name == name and (action is None or s.action == action))


@lru_cache(maxsize=16384)
def picture(
    index: int, colour: str | None, width: int, height: int, flipped: bool
) -> tuple[np.ndarray, np.ndarray]:
    """A sprite in a colour and size: premultiplied RGB (H, W, 3) in 0..255 and alpha (H, W, 1) in 0..1."""
    image = painted(index, colour).resize((width, height), Image.Resampling.LANCZOS)
    if flipped:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    pixels = np.asarray(image, np.float32)
    return pixels[..., :3], pixels[..., 3:] / 255


@cache
def painted(index: int, colour: str | None) -> Image.Image:
    """A sprite at its size in the atlas, premultiplied ("RGBa"), in its own colours or recoloured."""
    sprite = sprites()[index]
    x, y, width, height = sprite.rect
    image = _atlas().crop((x, y, x + width, y + height))
    if colour is not None:
        pixels = np.asarray(image, np.float32) / 255
        pixels = np.concatenate(
            [_paint(pixels, COLOUR_VALUES[colour], KINDS[sprite.name].paint), pixels[..., 3:]], 2
        )
        image = Image.fromarray(np.uint8(np.round(pixels * 255)), "RGBA")
    return image.convert("RGBa")


@cache
def _atlas() -> Image.Image:
    with Image.open(FOLDER / "atlas.png") as image:
        return image.convert("RGBA")


def _paint(pixels: np.ndarray, target: tuple[int, int, int], hues: tuple[int, int] | None) -> np.ndarray:
    """Recolour RGBA in 0..1 to the target colour, keeping light and shade; the result is RGB (H, W, 3).

    The median lightness of the recoloured part becomes the target colour itself; darker pixels go towards a
    darker shade of it and lighter ones towards white.
    """
    rgb, alpha = pixels[..., :3], pixels[..., 3]
    colour = np.array(target, np.float32) / 255
    weight = np.ones_like(alpha) if hues is None else _hue_weight(rgb, hues)
    light = rgb @ LUMA
    middle = np.median(light[(weight > 0.5) & (alpha > 0.5)])
    shade = np.clip(light / middle, 0, 1)[..., None]
    shine = np.clip((light - middle) / (1 - middle + 1e-3), 0, 1)[..., None]
    toned = colour * (0.3 + 0.7 * shade)
    toned = toned + (1 - toned) * 0.6 * shine**1.5
    return rgb + weight[..., None] * (toned - rgb)


def _hue_weight(rgb: np.ndarray, hues: tuple[int, int]) -> np.ndarray:
    """How much each pixel belongs to a range of hues (degrees, may pass 360); 0 for greys and other hues."""
    high, low = rgb.max(-1), rgb.min(-1)
    chroma = high - low
    red, green, blue = np.moveaxis(rgb, -1, 0)
    sector = np.select(
        [high == red, high == green], [(green - blue), (blue - red) + 2 * chroma], (red - green) + 4 * chroma
    )
    hue = sector / np.maximum(chroma, 1e-6) * 60 % 360
    start, end = hues
    inside = (hue - start) % 360 <= (end - start) % 360
    saturation = chroma / np.maximum(high, 1e-6)
    return inside * np.clip((saturation - 0.15) / 0.2, 0, 1)
