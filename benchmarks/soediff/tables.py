"""SOEDiff's tables: small objects drawn by stock inpainting, its peers and SO-LoRA.

    python -m finesse.benchmarks.soediff       # writes docs/results/soediff.json and soediff.png
    python -m finesse.benchmarks.soediff --base sd15-inpainting --unet unet --plain /models/sd15/unet \\
        --data DATA/test --clip clip-vit-base-patch16 --so_lora runs/so_lora/so_lora.safetensors ...

Every method draws the object of a held-out small box anew, from its label or its colour and label. In the
miniature's world its judge reads the box: accuracy is the share that is what was asked for, FID the Fréchet
distance of the judge's features to those of the real boxes. Given a CLIP model, it reads the box.

`scale.<method>.x<scale>.<size>` are of windows around the box that are enlarged to the side the model knows:
base is stock inpainting, so_lora has SO-LoRA, soediff the tuned VAE as well; tiny boxes have 1/16 to 1/8 of
the side, small ones 1/8 to 1/6. A run that was killed goes on with `--folder`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor

from ...core.files import replacing
from ...miniature.small_object_set import SIDES, samples
from ...training.loop.config import option, parse, words
from ...training.loop.measure import timed
from ...training.models import sampling
from ..kept import claim
from ..results import FOLDER, chosen_device, write_results
from .box_pictures import BoxPictures, curated, held_out, soebench, soebench_crop
from .juries import CHUNK, PROMPTS, BoxJury, ClipJury, MiniatureJury
from .methods import BoxStudio, BoxStudioConfig
from .rows import SHOWN, TableRows, close_ups

SIZES = {
    "tiny": (1 / 16, 1 / 8),
    "small": SIDES["test"],
    "medium": (1 / 6, 1 / 3),
    "large": (1 / 3, 1 / 2),
}
CallJury = Callable[[str], BoxJury | None]  # a range of sizes -> who reads its boxes
OURS = {"base": "base", "all": "soediff"}  # rows of Table 3 by their names in Tables 1 and 2


@dataclass
class Arguments:
    """Settings: how much to measure."""

    boxes: int = option(500, "held-out boxes")
    data: str = option(
        "", "a split of curated data, DATA/test, or SOEBench's list, a .json; empty is the miniature's scenes"
    )
    images: str = option("", "beside a list of SOEBench: the folder that its pictures are in")
    clip: str = option("", "folder of a CLIP model that reads the boxes; empty is the miniature's judge")
    inception: str = option(
        "", "beside clip: torch-fidelity's Inception weights; empty takes CLIP's features"
    )
    seeds: int = option(3, "drawings of each box")
    more_seeds: int = option(3, "the same in Tables 2, 4 and 5")
    tables: str = option(
        "1, 2, 3, scale",
        "which of the Tables 1 to 3 and of the windows' scales to measure, or empty for none",
    )
    scales: str = option(
        "1, 2, 3, 4", "how often the window around a box is enlarged, in the table of scales"
    )
    others: str = option("", "more SO-LoRA files to measure like Table 3's last row: NAME=FILE, NAME=FILE")
    name: str = option("soediff", "name of the results file")
    folder: str = option("", "keeps finished rows, so that a run that was killed goes on; empty keeps none")


def sampling_ratio(studio: BoxStudio, boxes: BoxPictures, rounds: int = 5) -> float:
    """Time with the adapters merged, as ComfyUI merges them, over time without: medians, in turn."""
    part = boxes.part(slice(0, CHUNK))
    text = studio.base.embed([plain for plain, _ in part.texts])
    seconds: dict[str, list[float]] = {"base": [], "so_lora_csd": []}
    for _ in range(rounds):
        for name, times in seconds.items():
            times.append(
                timed(
                    lambda name=name: studio.ablation[name](part, text, studio.noise(range(len(part)))),
                    studio.device,
                )
            )
    base, ours = (torch.tensor(times).median().item() for times in seconds.values())
    return ours / base


def call_jury(
    arguments: Arguments, config: BoxStudioConfig, studio: BoxStudio, cache: Path, size: str
) -> BoxJury | None:
    """Who reads the boxes of a range of sizes, or None: curated data may have small ones alone."""
    boxes = boxes_of(arguments, SIZES[size], studio, cache)
    if len(boxes) < 2:
        if size == "small":
            raise ValueError(f"data: {arguments.data} has {len(boxes)} boxes of 1/8 to 1/6; give more.")
        return None
    if not arguments.clip:
        return MiniatureJury(boxes, Path(config.base))
    return ClipJury(boxes, Path(arguments.clip), Path(arguments.inception) if arguments.inception else None)


def boxes_of(arguments: Arguments, sides: tuple[float, float], studio: BoxStudio, cache: Path) -> BoxPictures:
    """The held-out boxes with a side in this range of the picture's."""
    side, crop = studio.side, None
    if arguments.data.endswith(".json"):
        found = soebench(Path(arguments.data), Path(arguments.images), sides, side)
        crop = soebench_crop
    elif arguments.data:
        found = curated(arguments.data, sides)
    else:
        found = samples(cache, "test", 6 * arguments.boxes, side, sides)
    return held_out(found, arguments.boxes, side, studio.base.cell, crop).to(studio.device)


def main() -> None:
    arguments, config = parse([Arguments, BoxStudioConfig], {})
    kept = Path(arguments.folder) if arguments.folder else None
    if kept:
        free = ("name", "tables", "folder")  # what may change from one run to the next
        given = asdict(arguments) | asdict(config)
        claim(kept, {name: value for name, value in given.items() if name not in free}, weights(config))
    studio = BoxStudio(config, chosen_device())
    rows = TableRows(studio, kept)
    with tempfile.TemporaryDirectory() as folder:
        jury = lru_cache(partial(call_jury, arguments, config, studio, Path(folder)))
        sheet = measure_tables(arguments, rows, jury)
    if len(sheet) > 1:
        with replacing(FOLDER / f"{arguments.name}.png") as path:
            sampling.grid(torch.cat(sheet).cpu(), SHOWN, 4).save(path, format="PNG")
    sys.stdout.write(f"{write_results('soediff', rows.metrics, arguments.name)}\n")


def weights(config: BoxStudioConfig) -> list[Path]:
    """The files that draw."""
    files = [Path(path) for path in (config.so_lora, config.without_csd) if path]
    folders = [Path(config.base), Path(config.base) / config.plain, Path(config.tuned_vae)]
    return files + [path for folder in folders for path in sorted(folder.rglob("*.safetensors"))]


def measure_tables(arguments: Arguments, rows: TableRows, jury: CallJury) -> list[Tensor]:
    """Measure the rows of all tables that were asked for; -> close-ups of Table 1, a method each."""
    studio, tables, small = rows.studio, words(arguments.tables), jury("small")
    few, many = arguments.more_seeds, arguments.seeds
    sheet = [close_ups(small.boxes.pixels, small.boxes)]
    for prompt in PROMPTS if "1" in tables else ():
        real = small.verdict(small.boxes.pixels, prompt)
        rows.metrics[f"table1.real.{prompt}.{small.score}"] = real[small.score]
        for name, method in {**studio.peers, "soediff": studio.ablation["all"]}.items():
            sheet.append(rows.add(f"table1.{name}.{prompt}", small, method, prompt, many))
    for size in ("medium", "large") if "2" in tables else ():
        for name, row in OURS.items() if jury(size) else ():
            rows.add(f"table2.{size}.{row}", jury(size), studio.ablation[name], "label", few)
    for name, method in studio.ablation.items() if "3" in tables else ():
        if name in OURS and "1" in tables:
            rows.copy(f"table1.{OURS[name]}.color_label", f"table3.{name}")
        else:
            rows.add(f"table3.{name}", small, method, "color_label", many)
    for name, path in (other.split("=") for other in words(arguments.others)):
        method = partial(studio.inpaint, studio.adapted(path), studio.tuned)
        rows.add(name, small, method, "color_label", few)
    if "scale" in tables:
        measure_scales(arguments, rows, jury)
    rows.metrics["cost.sampling_ratio"] = sampling_ratio(studio, small.boxes)
    return sheet


def measure_scales(arguments: Arguments, rows: TableRows, jury: CallJury) -> None:
    """Measure windows of each scale, and crop and paste, whose window is half as long as the picture."""
    studio, seeds = rows.studio, arguments.more_seeds
    for size, reader in ((size, jury(size)) for size in ("small", "tiny")):
        if reader is None:
            continue
        real = reader.verdict(reader.boxes.pixels, "label")
        rows.metrics[f"scale.real.{size}.{reader.score}"] = real[reader.score]
        rows.add(f"scale.crop_paste.x2.{size}", reader, studio.peers["crop_paste"], "label", seeds)
        for scale in words(arguments.scales):
            for name, (unet, decoder) in studio.windowed.items():
                method = partial(studio.scaled, unet, decoder, float(scale))
                rows.add(f"scale.{name}.x{scale}.{size}", reader, method, "label", seeds)
