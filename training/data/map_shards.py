"""Make shards of COCO's pictures with their maps: threads draw and encode, the device estimates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import pil_to_tensor
from tqdm import tqdm

from ...core.files import file_hash
from ...core.maps.palettes import COCO_STUFF
from ..loop.cache import code_hash
from .ahead import ahead
from .map_estimators import DepthModel, as_picture, normals, sketches
from .map_samples import MapSample, pack_maps
from .map_sources import CocoPicture, Square, pose, segmentation
from .shard_set import ShardSet, named
from .tars import decode, write_tar


@dataclass(frozen=True)
class MapRecipe:
    """Which of the maps segmentation, pose, depth, normal and sketch to make, and how.

    depth_model: needed for depth and normal, else None. workers: the number of threads that draw, and of
    threads that encode.
    """

    conditions: tuple[str, ...]
    resolution: int
    depth_model: DepthModel | None
    device: torch.device
    batch_size: int = 32
    workers: int = 8

    def causes(self) -> tuple[object, ...]:
        """Everything in it that the maps depend on, as JSON-able values."""
        model = self.depth_model and file_hash(*self.depth_model.files)
        return self.conditions, self.resolution, model, code_hash(__name__)


def make_shards(
    pictures: Sequence[CocoPicture],
    recipe: MapRecipe,
    target: ShardSet,
    *,
    per_shard: int = 1000,
    process: int = 0,
    processes: int = 1,
) -> list[dict[str, Any]]:
    """Make the shards `process`, `process` + `processes`, ... unless they exist; return what each holds.

    A shard holds `per_shard` pictures, without those that do not decode or whose annotations are damaged; its
    `damaged` names them. Only the pictures of a batch and of the threads are in memory.
    """
    for name, value in (
        ("per_shard", per_shard),
        ("workers", recipe.workers),
        ("batch_size", recipe.batch_size),
    ):
        if value < 1:
            raise ValueError(f"{name} is {value}: give at least 1.")
    causes = recipe.causes()

    def make(start: int) -> dict[str, Any]:
        part = pictures[start : start + per_shard]
        text = json.dumps([causes, [picture.causes() for picture in part]])
        digest = hashlib.sha256(text.encode()).hexdigest()
        return target.make(start // per_shard, digest, partial(_write_shard, part, recipe))

    starts = range(0, len(pictures), per_shard)[process::processes]
    return [make(start) for start in tqdm(starts, desc="shards", disable=process != 0)]


def finish(
    shards: Sequence[dict[str, Any]], missing: Sequence[str], recipe: MapRecipe, target: ShardSet
) -> dict[str, Any]:
    """Write and return the report of a set whose shards are all made. Raises ValueError for an empty set."""
    made = [shard for shard in shards if shard["samples"]]
    damaged = [name for shard in shards for name in shard["damaged"]]
    if not made:
        raise ValueError(
            f"There is no picture to make maps of: {len(missing)} are missing, {len(damaged)} damaged, for "
            f"example {(*missing, *damaged, 'none')[0]}. Give the folders that they are in."
        )
    report = {
        "source": "coco",
        "conditions": recipe.conditions,
        "palette": COCO_STUFF.name,
        "resolution": recipe.resolution,
        "depth_model": recipe.depth_model and recipe.depth_model.name,
        "pictures": {
            "kept": sum(shard["samples"] for shard in made),
            "missing": named(missing),
            "damaged": named(damaged),
        },
        "shards": [{name: shard[name] for name in ("file", "samples")} for shard in made],
    }
    target.finish(report)
    return report


@dataclass(frozen=True)
class _Drawn:
    """A sample with the maps drawn from its annotations, and its pixels for the depth model."""

    sample: MapSample
    pixels: Tensor | None


def _write_shard(pictures: Sequence[CocoPicture], recipe: MapRecipe, path: Path) -> dict[str, Any]:
    damaged: list[str] = []

    def readable() -> Iterator[_Drawn]:
        for drawn in ahead(partial(_draw, recipe), pictures, recipe.workers):
            if isinstance(drawn, _Drawn):
                yield drawn
            else:
                damaged.append(drawn)

    count = write_tar(path, ahead(pack_maps, _estimated(recipe, readable()), recipe.workers))
    return {"samples": count, "damaged": damaged}


def _draw(recipe: MapRecipe, source: CocoPicture) -> _Drawn | str:
    """The part of a sample that a thread can make, or a text that says what is damaged."""
    size = (source.width, source.height)
    square = Square.of(*size, recipe.resolution)
    try:
        picture = decode(source.path.read_bytes())
        if picture.size != size:
            raise ValueError(f"it is {picture.size}, but its annotations are for {size}")
        maps = {}
        if source.stuff:
            maps["segmentation"] = segmentation(source.stuff, size, square)
        if "pose" in recipe.conditions:
            maps["pose"] = pose(source.people, square)
    except (OSError, ValueError) as error:
        return f"{source.path.name}: {error}"
    pixels = recipe.depth_model and recipe.depth_model.prepare(square.cut(picture))
    return _Drawn(MapSample(source.id, source.captions, square.shrink(picture), maps, "coco"), pixels)


def _estimated(recipe: MapRecipe, drawn: Iterable[_Drawn]) -> Iterator[MapSample]:
    """Yield the samples with all their maps."""
    drawn = iter(drawn)
    while batch := list(islice(drawn, recipe.batch_size)):
        found = _estimate(recipe, batch)
        for row, item in enumerate(batch):
            maps = item.sample.maps | {condition: pictures[row] for condition, pictures in found.items()}
            yield replace(item.sample, maps={condition: maps[condition] for condition in recipe.conditions})


def _estimate(recipe: MapRecipe, batch: Sequence[_Drawn]) -> dict[str, list[Image.Image]]:
    """The estimated maps of a batch, by condition."""
    found = {}
    if recipe.depth_model:
        nearness = recipe.depth_model(torch.stack([item.pixels for item in batch]), recipe.resolution)
        found["depth"] = [as_picture(values) for values in nearness]
        found["normal"] = [as_picture(values) for values in normals(nearness)]
    if "sketch" in recipe.conditions:
        pictures = torch.stack([pil_to_tensor(item.sample.picture) for item in batch])
        lines = sketches(pictures.to(recipe.device).float() / 255)
        found["sketch"] = [as_picture(values) for values in lines]
    return found
