"""Make SOEDiff's sets of small objects from OpenImages or COCO, in three steps.

    S="--split train --folder sets/openimages"
    python -m finesse.training.data.small_objects --step select $S --source openimages \\
        --boxes oidv6-train-annotations-bbox.csv --classes class-descriptions-boxable.csv
    accelerate launch -m finesse.training.data.small_objects --step colours $S \\
        --images openimages/train --model blip-vqa-base
    python -m finesse.training.data.small_objects --step pack $S --images openimages/train

For COCO the first step is the following; the steps colours and pack are as above.

    S="--split test --folder sets/coco"
    python -m finesse.training.data.small_objects --step select $S --source coco \\
        --instances instances_val2017.json

A stopped step continues where it was. The steps write FOLDER/SPLIT/objects.parquet, FOLDER/SPLIT/colours/,
and the shards FOLDER/SPLIT-000000.tar, ... with the report FOLDER/SPLIT.json. The step colours may be
skipped. As in the paper, use `--split train` for a data set's training files and `--split test` for its
validation files. --images is the folder of the pictures: for OpenImages <image id>.jpg, or the folders
train_0/ to train_f/ with them; for COCO its own file names.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from accelerate import Accelerator

from ..loop.config import option, parse, script
from .blip import Blip
from .box_selection import SIDES, SMALLEST, select_coco, select_openimages
from .colours import ask_colours
from .packing import pack

log = logging.getLogger(__name__)

SOURCES = ("openimages", "coco")
NEEDED = {
    "openimages": ("boxes", "classes"),
    "coco": ("instances",),
    "colours": ("images", "model"),
    "pack": ("images",),
}


@dataclass
class Arguments:
    """The settings of the script."""

    step: str = option("", "select, colours or pack, in this order")
    source: str = option("openimages", "openimages or coco")
    split: str = option("train", "train (sides under 1/8) or test (1/8 to 1/6)")
    folder: str = option("sets/openimages", "the folder for the shards; use one folder per source")
    boxes: str = option("", "OpenImages' ...-annotations-bbox.csv")
    classes: str = option("", "OpenImages' class-descriptions-boxable.csv")
    instances: str = option("", "COCO's instances_...json")
    images: str = option("", "the folder of the pictures")
    model: str = option("", "a local folder of BLIP-VQA, such as Salesforce/blip-vqa-base")
    smallest: float = option(SMALLEST, "smallest shorter side of a box, as a fraction of the picture's side")
    per_shard: int = option(1000, "pictures per shard; training needs at least one shard per reading process")
    batch_size: int = option(64, "questions that are asked at once")
    workers: int = option(8, "threads per process that read pictures")

    @property
    def selection(self) -> Path:
        return Path(self.folder) / self.split / "objects.parquet"

    @property
    def colours(self) -> Path:
        return Path(self.folder) / self.split / "colours"


def run_select(arguments: Arguments) -> None:
    rules = (arguments.selection, arguments.split, arguments.smallest)
    if arguments.source == "openimages":
        report = select_openimages(Path(arguments.boxes), Path(arguments.classes), *rules)
    else:
        report = select_coco(Path(arguments.instances), *rules)
    log.info("%d of %d boxes kept; dropped: %s", report["kept"], report["rows"], report["dropped"])


def run_colours(arguments: Arguments) -> None:
    accelerator = Accelerator()
    ask_colours(
        arguments.selection,
        Path(arguments.images),
        Blip(Path(arguments.model), accelerator.device),
        arguments.colours,
        batch_size=arguments.batch_size,
        workers=arguments.workers,
        process=accelerator.process_index,
        processes=accelerator.num_processes,
    )
    accelerator.end_training()


def run_pack(arguments: Arguments) -> None:
    report = pack(
        arguments.selection,
        Path(arguments.images),
        arguments.colours,
        Path(arguments.folder),
        per_shard=arguments.per_shard,
        workers=arguments.workers,
    )
    log.info(
        "%d objects in %d shards; pictures: %s", report["objects"], len(report["shards"]), report["pictures"]
    )


STEPS: dict[str, Callable[[Arguments], None]] = {
    "select": run_select,
    "colours": run_colours,
    "pack": run_pack,
}


def main() -> None:
    (arguments,) = parse([Arguments], {})
    for name, known in (("step", STEPS), ("source", SOURCES), ("split", SIDES)):
        if (value := getattr(arguments, name)) not in known:
            raise ValueError(f"{name}: got {value!r}; use one of {', '.join(known)}.")
    step, source = arguments.step, arguments.source
    needed = NEEDED[source if step == "select" else step]
    if missing := [f"--{name}" for name in needed if not getattr(arguments, name)]:
        raise ValueError(f"step {step} on {source} needs {' and '.join(missing)}.")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    STEPS[step](arguments)


if __name__ == "__main__":
    script(main)
