"""Scenes of the miniature world: `scene(seed, size)` draws a picture together with all that is true of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.palettes import COCO_STUFF
from . import maps
from .backgrounds import BACKGROUNDS, Canvas, draw_background
from .captions import caption, object_phrase
from .layout import Placement, compose
from .skeletons import Keypoints, keypoints
from .sprites import Sprite, picture
from .things import ACTIONS, COLOURABLE, COLOURS, THINGS, held_out

__all__ = [
    "ACTIONS",
    "BACKGROUNDS",
    "COLOURABLE",
    "COLOURS",
    "SPLITS",
    "THINGS",
    "Scene",
    "SceneObject",
    "held_out",
    "scene",
]

SPLITS = ("train", "validation", "test", "held_out")
"""Streams of seeds that share no scene; only "held_out" shows held-out combinations, one at least in each."""

MOST_OBJECTS = 8


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object of a scene.

    name, colour, action, variant: what it is; colour, action and variant are None where it has none.
    box: x, y, width, height in pixels around its visible pixels.
    mask: bool (H, W), its visible pixels.
    depth: how near it is, in 0..1 (1 is nearest).
    sprite, frame, flipped: its picture in the atlas, where the whole of it lies (x, y, width, height in
        pixels), and whether it is mirrored.
    """

    name: str
    colour: str | None
    action: str | None
    variant: str | None
    box: tuple[int, int, int, int]
    mask: np.ndarray
    depth: float
    sprite: Sprite
    frame: tuple[int, int, int, int]
    flipped: bool

    @property
    def phrase(self) -> str:
        """The object in words: "a red car", "a dancing person"."""
        return object_phrase(self.name, self.colour, self.action)

    @property
    def keypoints(self) -> Keypoints | None:
        """A person's 18 OpenPose keypoints (x, y) in pixels, None for those hidden; None for other things."""
        if self.action is None or self.variant is None:
            return None
        return keypoints(self.action, self.variant, self.frame, self.flipped)


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture of the miniature world.

    image: uint8 (H, W, 3) RGB. labels: uint8 (H, W), indices into the coco-stuff palette.
    objects: back to front. horizon: where the ground begins, as a fraction of the height.
    The maps (depth, normal, sketch, pose, segmentation) are drawn when first asked for.
    """

    image: np.ndarray
    caption: str
    background: str
    objects: tuple[SceneObject, ...]
    labels: np.ndarray
    horizon: float

    @cached_property
    def segmentation(self) -> np.ndarray:
        """The labels in the colours of the coco-stuff palette, uint8 (H, W, 3)."""
        return COCO_STUFF.encode(self.labels)

    @cached_property
    def depth(self) -> np.ndarray:
        """Nearness, float32 (H, W) in 0..1 (1 is nearest)."""
        return maps.depth(self)

    @cached_property
    def normal(self) -> np.ndarray:
        """Surface normals, uint8 (H, W, 3): x to the right in R, y upwards in G, towards the viewer in B."""
        return maps.normal(self)

    @cached_property
    def sketch(self) -> np.ndarray:
        """Outlines, uint8 (H, W): bright lines on black, as scribble ControlNets read them."""
        return maps.sketch(self)

    @cached_property
    def pose(self) -> np.ndarray:
        """Skeletons of the people, uint8 (H, W, 3): OpenPose's 18 keypoints and colours on black."""
        return maps.pose(self)


def scene(
    seed: int,
    size: int = 64,
    *,
    count: int | None = None,
    split: str = "train",
    things: Sequence[str] = THINGS,
) -> Scene:
    """Draw the scene of a seed; the same seed gives the same composition at every size.

    Below 64 pixels a tiny object may be wholly hidden by its neighbours; it is then not among the objects.

    seed: any integer from 0. size: side in pixels, at least 16. count: objects, 1 to 8; None to draw it too.
    split: one of SPLITS. things: what it may show, 8 names of THINGS at least. Raises ValueError for anything
    else.
    """
    if len(set(things) & set(THINGS)) < MOST_OBJECTS:
        raise ValueError(f"things: got {', '.join(things)}; give {MOST_OBJECTS} at least, out of THINGS")
    if split not in SPLITS:
        raise ValueError(f"split: got {split!r}; use one of {', '.join(SPLITS)}")
    if count is not None and not 1 <= count <= MOST_OBJECTS:
        raise ValueError(f"count: got {count}; use 1 to {MOST_OBJECTS}, or None")
    if size < 16:
        raise ValueError(f"size: got {size}; use at least 16 pixels")
    if seed < 0:
        raise ValueError(f"seed: got {seed}; use 0 or more")
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split),)))
    layout = compose(rng, count, split == "held_out", things)
    text = caption(layout, rng)
    canvas = draw_background(layout.background, layout.horizon, size, rng)
    owner = np.zeros((size, size), np.uint8)
    frames = [_draw(canvas, owner, number, placed) for number, placed in enumerate(layout.placements, 1)]
    objects = tuple(
        _describe(placed, frame, owner == number)
        for number, (placed, frame) in enumerate(zip(layout.placements, frames, strict=True), 1)
        if (owner == number).any()
    )
    image = np.clip(canvas.image + 0.5, 0, 255).astype(np.uint8)
    return Scene(image, text, layout.background, objects, canvas.labels, layout.horizon)


def _draw(canvas: Canvas, owner: np.ndarray, number: int, placed: Placement) -> tuple[int, int, int, int]:
    """Draw one object over the canvas, its labels and its owners; returns its frame in pixels."""
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


def _shade(canvas: Canvas, x: float, y: float, width: int) -> None:
    """A soft contact shadow around (x, y) in pixels."""
    reach, thick = 0.6 * width, max(1.0, 0.1 * width)
    top, bottom = max(0, int(y - 2 * thick)), min(canvas.size, int(y + 2 * thick) + 1)
    left, right = max(0, int(x - reach)), min(canvas.size, int(x + reach) + 1)
    down = np.exp(-(((np.arange(top, bottom, dtype=np.float32) + 0.5 - y) / thick) ** 2))
    across = np.clip(1 - ((np.arange(left, right, dtype=np.float32) + 0.5 - x) / reach) ** 2, 0, 1)
    canvas.image[top:bottom, left:right] *= 1 - 0.35 * (down[:, None] * across)[..., None]


def _describe(placed: Placement, frame: tuple[int, int, int, int], mask: np.ndarray) -> SceneObject:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    box = (x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y)
    sprite = placed.sprite
    return SceneObject(
        sprite.name,
        placed.colour,
        sprite.action,
        sprite.variant,
        box,
        mask,
        placed.depth,
        sprite,
        frame,
        placed.flipped,
    )
