"""`scene(seed, size)` draws a scene of the miniature world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple

import numpy as np

from ...core.maps.objects import box_of
from ...core.maps.palettes import COCO_STUFF
from .backgrounds import SceneCanvas, draw_background
from .captions import caption
from .layout import Layout, Placement, compose
from .scene import Scene, SceneObject
from .sprites import picture
from .things import THINGS

SPLITS = ("train", "validation", "test", "held_out")
"""Streams of seeds that share no scene. Only "held_out" shows held-out combinations, at least one each."""

MOST_OBJECTS = 8


def scene(
    seed: int,
    size: int = 64,
    *,
    count: int | None = None,
    split: str = "train",
    things: Sequence[str] = THINGS,
) -> Scene:
    """Draw the scene of a seed; the same seed gives the same composition at every size.

    Below 64 pixels a tiny object may be hidden completely by its neighbours; it is then left out of the
    objects.

    seed: any integer from 0. size: side in pixels, at least 16. count: the number of objects, 1 to 8; None
    draws the number. split: one of SPLITS. things: at least 8 names of THINGS that the scene may show. Raises
    ValueError for anything else.
    """
    if len(set(things) & set(THINGS)) < MOST_OBJECTS:
        raise ValueError(f"things: got {', '.join(things)}; give at least {MOST_OBJECTS} names of THINGS")
    if split not in SPLITS:
        raise ValueError(f"split: got {split!r}; use one of {', '.join(SPLITS)}")
    if count is not None and not 1 <= count <= MOST_OBJECTS:
        raise ValueError(f"count: got {count}; use 1 to {MOST_OBJECTS}, or None")
    if size < 16:
        raise ValueError(f"size: got {size}; use at least 16 pixels")
    if seed < 0:
        raise ValueError(f"seed: got {seed}; use 0 or more")
    layout, rng = _composed(seed, count, split, things)
    text = caption(layout, rng)
    canvas = draw_background(layout.background, layout.horizon, size, rng)
    owner = np.zeros((size, size), np.uint8)
    frames = [_draw(canvas, owner, number, placed) for number, placed in enumerate(layout.placements, 1)]
    objects = tuple(
        _describe(placed, frame, owner == number)
        for number, (placed, frame) in enumerate(zip(layout.placements, frames, strict=True), 1)
        if (owner == number).any()
    )
    return Scene(canvas.pixels, text, layout.background, objects, canvas.labels, layout.horizon)


def background_of(seed: int, *, split: str = "train") -> str:
    """Say where the scene of a seed is, which takes far less time than to draw it."""
    return _composed(seed, None, split, THINGS)[0].background


def _composed(
    seed: int, count: int | None, split: str, things: Sequence[str]
) -> tuple[Layout, np.random.Generator]:
    """Place what a scene shows; with the generator that the rest of the scene is drawn with."""
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split),)))
    return compose(rng, count, split == "held_out", things), rng


def _draw(
    canvas: SceneCanvas, owner: np.ndarray, number: int, placed: Placement
) -> tuple[int, int, int, int]:
    """Draw one object over the canvas, its labels and the owner map, and return its frame in pixels."""
    size = canvas.size
    width, height = max(1, round(placed.width * size)), max(1, round(placed.height * size))
    x = min(max(0, round(placed.x * size)), size - width)
    y = min(max(0, round(placed.y * size)), size - height)
    if placed.grounded:
        _shade(canvas, x + width / 2, y + height, width)
    rgb, alpha = picture(placed.sprite.index, placed.colour, width, height, placed.flipped)
    window = (slice(y, y + height), slice(x, x + width))
    canvas.image[window] = canvas.image[window] * (1 - alpha) + rgb
    solid = alpha[..., 0] >= min(0.5, 0.9 * float(alpha.max()))
    owner[window][solid] = number
    canvas.labels[window][solid] = COCO_STUFF.index(placed.sprite.name)
    return x, y, width, height


def _shade(canvas: SceneCanvas, x: float, y: float, width: int) -> None:
    """Draw a soft contact shadow around (x, y), in pixels."""
    reach, thick = 0.6 * width, max(1.0, 0.1 * width)
    top, bottom = max(0, int(y - 2 * thick)), min(canvas.size, int(y + 2 * thick) + 1)
    left, right = max(0, int(x - reach)), min(canvas.size, int(x + reach) + 1)
    down = np.exp(-(((np.arange(top, bottom, dtype=np.float32) + 0.5 - y) / thick) ** 2))
    across = np.clip(1 - ((np.arange(left, right, dtype=np.float32) + 0.5 - x) / reach) ** 2, 0, 1)
    canvas.image[top:bottom, left:right] *= 1 - 0.35 * (down[:, None] * across)[..., None]


def _describe(placed: Placement, frame: tuple[int, int, int, int], mask: np.ndarray) -> SceneObject:
    sprite = placed.sprite
    return SceneObject(
        sprite.name,
        placed.colour,
        sprite.action,
        sprite.variant,
        astuple(box_of(mask)),
        mask,
        placed.depth,
        sprite,
        frame,
        placed.flipped,
    )
