"""Scenes are rendered to tensors once, by all processor cores, and cached on disk."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ...core.files import file_hash
from ...training.loop.cache import cached, code_hash
from . import scene_maps, sprites
from .backgrounds import BACKGROUNDS
from .scene import Scene
from .scenes import MOST_OBJECTS, scene
from .things import ACTIONS, COLOURS, THINGS, object_phrase

CHUNK = 500
CAPTION_BYTES = 400
MAPS = ("segmentation", "depth", "normal", "sketch", "pose")


def load_scenes(
    cache: Path,
    split: str,
    count: int,
    size: int,
    objects: int | None = None,
    things: Sequence[str] = THINGS,
) -> dict[str, Tensor]:
    """The scenes 0 … count-1 of a split, which may show `things`.

    pixels: uint8 (N, 3, size, size). labels: uint8 (N, size, size). caption: uint8 (N, 400), UTF-8 padded
    with zeros. background: (N,). For up to 8 objects per scene: thing, colour, action: int64 (N, 8), -1 for
    none. box: float32 (N, 8, 4), left, top, right, bottom in pixels. seen: float32 (N, 8), the number of
    visible pixels.
    """
    return _cached(cache, "scenes", _scenes, split, count, size, objects, things)


def load_maps(cache: Path, split: str, count: int, size: int) -> dict[str, Tensor]:
    """Maps of scenes as pictures, the five kinds in turn: pixels, uint8 (N, 3, size, size)."""
    return _cached(cache, "maps", _maps, split, count, size, None, THINGS)


def caption_row(text: str) -> np.ndarray:
    """A text as a row of `caption`."""
    return np.frombuffer(text.encode().ljust(CAPTION_BYTES, b"\0"), np.uint8)


def caption_text(row: Tensor) -> str:
    """A row of `caption` as text."""
    return bytes(row.tolist()).rstrip(b"\0").decode()


def phrase(thing: int, colour: int, action: int) -> str:
    """The words for the indices of an object, such as "a red car"."""
    return object_phrase(
        THINGS[thing], COLOURS[colour] if colour >= 0 else None, ACTIONS[action] if action >= 0 else None
    )


def _cached(
    cache: Path,
    name: str,
    make: Callable[..., dict[str, np.ndarray]],
    split: str,
    count: int,
    size: int,
    objects: int | None,
    things: Sequence[str],
) -> dict[str, Tensor]:
    causes = {"split": split, "count": count, "size": size, "objects": objects, "things": list(things)}
    causes["code"] = code_hash(__name__)
    causes["atlas"] = file_hash(*sorted(sprites.FOLDER.glob("atlas.*")))
    settings = (split, size, objects, things)
    return cached(cache, f"{name}-{split}-{size}", causes, lambda: _render(make, count, settings))


def _render(
    make: Callable[..., dict[str, np.ndarray]], count: int, settings: tuple[Any, ...]
) -> dict[str, Tensor]:
    split, size, *_ = settings
    seeds = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    if len(seeds) == 1:  # too few to be worth other processes
        chunks = [make(seeds[0], *settings)]
    else:
        with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
            work = pool.map(make, seeds, *map(repeat, settings))
            chunks = list(tqdm(work, desc=f"{split} scenes at {size} px", total=len(seeds), mininterval=5))
    return {key: torch.from_numpy(np.concatenate([chunk[key] for chunk in chunks])) for key in chunks[0]}


def _scenes(
    seeds: range, split: str, size: int, objects: int | None, things: Sequence[str]
) -> dict[str, np.ndarray]:
    rows = [_row(scene(seed, size, count=objects, split=split, things=things)) for seed in seeds]
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _row(drawn: Scene) -> dict[str, np.ndarray]:
    table = np.full((3, MOST_OBJECTS), -1, np.int64)
    box = np.zeros((MOST_OBJECTS, 4), np.float32)
    seen = np.zeros(MOST_OBJECTS, np.float32)
    for i, item in enumerate(drawn.objects):
        x, y, width, height = item.box
        table[0, i] = THINGS.index(item.name)
        table[1, i] = COLOURS.index(item.colour) if item.colour else -1
        table[2, i] = ACTIONS.index(item.action) if item.action else -1
        box[i] = x, y, x + width, y + height
        seen[i] = item.mask.sum()
    return {
        "pixels": drawn.image.transpose(2, 0, 1),  # HWC -> CHW
        "labels": drawn.labels,
        "caption": caption_row(drawn.caption),
        "background": np.int64(list(BACKGROUNDS).index(drawn.background)),
        "thing": table[0],
        "colour": table[1],
        "action": table[2],
        "box": box,
        "seen": seen,
    }


def _maps(seeds: range, split: str, size: int, *_: object) -> dict[str, np.ndarray]:
    return {
        "pixels": np.stack(
            [map_picture(scene(seed, size, split=split), MAPS[seed % len(MAPS)]) for seed in seeds]
        )
    }


def crowd(number: int) -> int | None:
    """How many objects a scene has: None (any number) if `number` is even, else 4 to 8 in turn."""
    return 4 + number // 2 % (MOST_OBJECTS - 3) if number % 2 else None


def map_picture(drawn: Scene, kind: str) -> np.ndarray:
    """One map of a scene as a picture for the VAE, uint8 (3, H, W)."""
    drawing = getattr(scene_maps, kind)(drawn)
    if kind == "depth":
        drawing = (drawing * 255).round().astype(np.uint8)
    if drawing.ndim == 2:
        drawing = np.repeat(drawing[..., None], 3, axis=2)
    return drawing.transpose(2, 0, 1)
