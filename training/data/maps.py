"""Make WebDataset shards of COCO's pictures with their condition maps, for FG-DM's factors.

    python -m finesse.training.data.maps --output sets/maps --images COCO/train2017 \\
        --captions COCO/annotations/captions_train2017.json --stuff COCO/stuffthingmaps/train2017 \\
        --keypoints coco_wholebody_train_v1.0.json --depth_model dpt-large \\
        --conditions segmentation,pose,depth,normal,sketch --resolution 256

The script writes OUTPUT/SPLIT-000000.tar, ... and the report OUTPUT/SPLIT.json. A stopped run continues where
it was. With `accelerate launch -m` instead of `python -m`, several processes share the shards, each with its
own GPU.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from ..loop.config import option, parse, script, words
from .map_estimators import DepthModel
from .map_shards import MapRecipe, finish, make_shards
from .map_sources import coco_pictures
from .shard_set import ShardSet

log = logging.getLogger(__name__)

NEEDED = {
    "segmentation": "stuff",
    "pose": "keypoints",
    "depth": "depth_model",
    "normal": "depth_model",
    "sketch": "images",
}
"""For each condition, the setting that names its source."""


@dataclass
class Arguments:
    """The settings of the script."""

    images: str = option("", "the folder of COCO's pictures")
    captions: str = option("", "COCO's captions_...json, which lists the pictures")
    output: str = option("", "the folder for the shards and their report")
    split: str = option("train", "the name of the shards: OUTPUT/SPLIT-000000.tar")
    conditions: str = option(",".join(NEEDED), "the maps to make, separated by commas")
    resolution: int = option(256, "the side in pixels to which each picture's central square is shrunk")
    stuff: str = option("", "for segmentation: COCO-Stuff's folder of stuffthingmaps")
    keypoints: str = option("", "for pose: coco_wholebody_...json; a map without people is black")
    depth_model: str = option("", "for depth and normal: a local folder of a DPT or Depth-Anything model")
    per_shard: int = option(1000, "pictures per shard; training needs at least one shard per reading process")
    batch_size: int = option(32, "pictures that the depth model processes at once")
    workers: int = option(8, "threads per process that read pictures, and threads that write maps")


def run(arguments: Arguments, conditions: tuple[str, ...]) -> None:
    accelerator = Accelerator()
    needed = {NEEDED[condition] for condition in conditions}
    files = {name: Path(getattr(arguments, name)) for name in needed & {"stuff", "keypoints"}}
    missing: list[str] = []
    pictures = coco_pictures(Path(arguments.images), Path(arguments.captions), missing, **files)
    recipe = MapRecipe(
        conditions,
        arguments.resolution,
        DepthModel(Path(arguments.depth_model), accelerator.device) if "depth_model" in needed else None,
        accelerator.device,
        arguments.batch_size,
        arguments.workers,
    )
    output = Path(arguments.output)
    target = ShardSet(output, arguments.split, output / arguments.split / "shards")
    share = {"process": accelerator.process_index, "processes": accelerator.num_processes}
    make_shards(pictures, recipe, target, per_shard=arguments.per_shard, **share)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shards = make_shards(pictures, recipe, target, per_shard=arguments.per_shard)  # all are there
        report = finish(shards, missing, recipe, target)
        log.info("%d shards; pictures: %s", len(report["shards"]), report["pictures"])
    accelerator.end_training()


def main() -> None:
    (arguments,) = parse([Arguments], {})
    conditions = tuple(dict.fromkeys(words(arguments.conditions)))
    if not conditions or not set(conditions) <= NEEDED.keys():
        raise ValueError(f"conditions: got {arguments.conditions!r}; use some of {', '.join(NEEDED)}.")
    needed = dict.fromkeys(("images", "captions", "output", *(NEEDED[name] for name in conditions)))
    if missing := [f"--{name}" for name in needed if not getattr(arguments, name)]:
        raise ValueError(f"{', '.join(conditions)}: give {' and '.join(missing)}.")
    if arguments.resolution < 64 or arguments.resolution % 8:
        raise ValueError(f"resolution: got {arguments.resolution}; use a multiple of 8 from 64.")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    run(arguments, conditions)


if __name__ == "__main__":
    script(main)
