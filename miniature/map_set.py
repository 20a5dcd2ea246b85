"""The miniature's scenes as a map data set, for the script that trains factors of FG-DM.

    python -m finesse.miniature.map_set --output runs/64/maps --split train
    python -m finesse.training.factor --base runs/64/weights --data runs/64/maps/train --resolution 64 \\
        --condition segmentation
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from ..core.factors.files import SEGMENTATION
from ..core.files import write_json
from ..training.data.map_samples import MapSample, write_maps
from ..training.loop.config import option, parse
from .world.captions import plain_caption
from .world.palette import PALETTE, PLACES
from .world.scene import Scene
from .world.scenes import scene
from .world.tensors import MAPS, crowd, map_picture
from .world.things import ON_MAPS

MAP_SIZE = 64  # pixels a side: fewer latent cells than 16x16 cannot hold eight objects
SHARD = 2000  # scenes


@dataclass
class Arguments:
    """Which scenes to write, and where."""

    output: str = option("", "folder of the shards, SPLIT-000000.tar and on")
    split: str = option("train", "a split of the scenes")
    scenes: int = option(24_000, "scenes to draw")
    size: int = option(MAP_SIZE, "side of the maps in pixels")


def sample(seed: int, split: str, size: int) -> MapSample:
    """The scene of a seed with all its maps, its own caption and a plain one."""
    drawn = scene(seed, size, count=crowd(seed), split=split, things=ON_MAPS)
    captions = (drawn.caption, plain_caption(drawn, np.random.default_rng(seed)))
    maps = {kind: Image.fromarray(_map(drawn, kind)) for kind in MAPS}
    return MapSample(f"{seed:06}", captions, Image.fromarray(drawn.image), maps, "miniature")


def _map(drawn: Scene, kind: str) -> np.ndarray:
    if kind == SEGMENTATION:
        return PALETTE.encode(PLACES[drawn.labels])
    return map_picture(drawn, kind).transpose(1, 2, 0)


def write_shards(folder: Path, split: str, count: int, size: int) -> dict[str, Any]:
    """Write the scenes 0 … count-1 as shards, by all cores, and `<split>.json`, as real data tell it."""
    starts = range(0, count, SHARD)
    work = [(folder, split, range(start, min(start + SHARD, count)), size) for start in starts]
    if len(work) == 1:  # not worth starting other processes
        shards = [_write(work[0])]
    else:
        with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
            shards = list(tqdm(pool.map(_write, work), total=len(work), desc=f"maps of {split}"))
    report = {"pictures": {"kept": count}, "conditions": MAPS, "palette": PALETTE.name, "shards": shards}
    write_json(folder / f"{split}.json", report)
    return report


def _write(work: tuple[Path, str, range, int]) -> dict[str, Any]:
    folder, split, seeds, size = work
    name = f"{split}-{seeds.start // SHARD:06}.tar"
    return {"file": name, "samples": write_maps(folder / name, (sample(seed, split, size) for seed in seeds))}


def main() -> None:
    (arguments,) = parse([Arguments], {})
    report = write_shards(Path(arguments.output), arguments.split, arguments.scenes, arguments.size)
    sys.stdout.write(f"{report['pictures']['kept']} scenes with their maps in {arguments.output}\n")


if __name__ == "__main__":
    main()
