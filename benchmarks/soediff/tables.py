"""SOEDiff's tables: small objects drawn by stock inpainting, its peers and SO-LoRA.

    python -m finesse.benchmarks.soediff       # writes docs/results/soediff.json and soediff.png
    python -m finesse.benchmarks.soediff --base sd15-inpainting --unet unet --plain /models/sd15/unet \\
        --data DATA/test --clip clip-vit-base-patch16 --so_lora runs/so_lora/so_lora.safetensors ...

Every method draws the object of a held-out small box anew, from its label or its colour and label. In the
miniature's world its judge reads the box: accuracy is the share that is what was asked for, FID the Fréchet
distance of the judge's features to those of the real boxes. Given a CLIP model, it reads the box.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ...core.files import replacing
from ...core.small_objects.losses import windows
from ...miniature.small_object_set import SIDES, samples
from ...training.data.samples import Sample, read_shard, shards
from ...training.loop.config import option, parse, words
from ...training.loop.measure import timed
from ...training.models import sampling
from ...training.models.inpainting import draw_masks
from ...training.small_objects.views import Views, views_of
from ..results import FOLDER, chosen_device, write_results
from .juries import CHUNK, PROMPTS, BoxJury, ClipJury, MiniatureJury
from .methods import BoxPictures, BoxStudio, BoxStudioConfig, Method

SIZES = {"small": SIDES["test"], "medium": (1 / 6, 1 / 3), "large": (1 / 3, 1 / 2)}
SHOWN = 16
OURS = {"base": "base", "all": "soediff"}  # rows of Table 3 by their names in Tables 1 and 2


@dataclass
class Arguments:
    """Settings: how much to measure."""

    boxes: int = option(500, "held-out boxes")
    data: str = option("", "a split of curated data, DATA/test; empty is the miniature's test scenes")
    clip: str = option("", "folder of a CLIP model that reads the boxes; empty is the miniature's judge")
    inception: str = option(
        "", "beside clip: torch-fidelity's Inception weights; empty takes CLIP's features"
    )
    seeds: int = option(3, "drawings of each box")
    more_seeds: int = option(3, "the same in Tables 2, 4 and 5")
    tables: str = option("1, 2, 3", "which of the Tables 1 to 3 to measure, or empty for none")
    others: str = option("", "more SO-LoRA files to measure like Table 3's last row: NAME=FILE, NAME=FILE")
    name: str = option("soediff", "name of the results file")


def held_out(found: Iterable[Sample], count: int, studio: BoxStudio) -> BoxPictures:
    """The first `count` boxes of some samples, or all there are."""
    side = studio.base.unet.config.sample_size * studio.base.cell
    settings = Views(side, (side // 2, side // 2))

    def single() -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, tuple[str, str], tuple[str, str | None]]]:
        for sample in found:
            for view in views_of(sample, settings, studio.base.cell):
                rows = (view.boxes, view.near_pixels, view.near_boxes, view.texts, view.things)
                for box, near, near_box, text, thing in zip(*rows, strict=True):
                    yield view.pixels, box, near, near_box, text, thing

    columns = list(zip(*islice(single(), count), strict=True))
    if not columns:
        return BoxPictures(*(torch.empty(0) for _ in range(4)), [], [])
    pixels, box, near, near_box, texts, things = columns
    pictures = (torch.stack(part).float().to(studio.device) / 255 for part in (pixels, near))
    places = (torch.stack(part).to(studio.device) for part in (box, near_box))
    (shown, shown_near), (boxes, near_boxes) = pictures, places
    return BoxPictures(shown, boxes, shown_near, near_boxes, list(texts), list(things))


def curated(data: str, sides: tuple[float, float]) -> Iterator[Sample]:
    """A split's samples, with those of their objects whose longer side is in this range of the picture's."""
    low, high = sides
    for sample in chain.from_iterable(map(read_shard, shards(data))):
        width, height = sample.picture.size
        extents = [
            max((right - left) * width, (bottom - top) * height) / min(width, height)
            for left, top, right, bottom in (thing.box for thing in sample.record.objects)
        ]
        pairs = zip(sample.record.objects, extents, strict=True)
        if kept := tuple(thing for thing, extent in pairs if low <= extent <= high):
            yield replace(sample, record=replace(sample.record, objects=kept))


def draw(studio: BoxStudio, method: Method, boxes: BoxPictures, prompt: str, seed: int) -> Tensor:
    """Draw every box with a method; outside the boxes the pictures are the given ones."""
    made = []
    for start in tqdm(range(0, len(boxes), CHUNK), leave=False):
        part = boxes.part(slice(start, start + CHUNK))
        text = studio.base.embed([pair[PROMPTS.index(prompt)] for pair in part.texts])
        first = seed * len(boxes) + start
        made.append(method(part, text, studio.noise(range(first, first + len(part)))))
    inside = draw_masks(boxes.boxes, boxes.pixels.shape[-1]) > 0
    return torch.where(inside, torch.cat(made), boxes.pixels)


def measure(
    studio: BoxStudio, jury: BoxJury, method: Method, prompt: str, seeds: int
) -> tuple[dict[str, float], Tensor]:
    """The verdicts' mean and, of several seeds, their spread; and the first seed's pictures."""
    found, shown = [], None
    for seed in range(seeds):
        made = draw(studio, method, jury.boxes, prompt, seed)
        found.append(jury.verdict(made, prompt))
        shown = made if shown is None else shown
    values = {name: torch.tensor([verdict[name] for verdict in found]) for name in found[0]}
    metrics = {name: value.mean().item() for name, value in values.items()}
    if seeds > 1:
        metrics |= {f"{name}.std": value.std(correction=0).item() for name, value in values.items()}
    return metrics, shown


def close_ups(pixels: Tensor, boxes: BoxPictures) -> Tensor:
    """Cut out windows of 3/8 of the side around the first boxes."""
    size = pixels.shape[-1]
    places = windows(boxes.boxes[:SHOWN], size, 3 * size // 8).int().tolist()
    return torch.stack([row[:, y:y2, x:x2] for row, (x, y, x2, y2) in zip(pixels, places, strict=False)])


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


def call_juries(
    arguments: Arguments, config: BoxStudioConfig, studio: BoxStudio, cache: Path
) -> Iterator[tuple[str, BoxJury]]:
    """For each range of sizes its boxes, with who reads them; curated data may have small ones alone."""
    side = studio.base.unet.config.sample_size * studio.base.cell
    for name, sides in SIZES.items():
        if arguments.data:
            found = curated(arguments.data, sides)
        else:
            found = samples(cache, "test", 6 * arguments.boxes, side, sides)
        boxes = held_out(found, arguments.boxes, studio)
        if len(boxes) >= 2:
            yield name, call_jury(arguments, config, boxes)
        elif name == "small":
            raise ValueError(f"data: {arguments.data} has {len(boxes)} boxes of 1/8 to 1/6; give more.")


def call_jury(arguments: Arguments, config: BoxStudioConfig, boxes: BoxPictures) -> BoxJury:
    if not arguments.clip:
        return MiniatureJury(boxes, Path(config.base))
    return ClipJury(boxes, Path(arguments.clip), Path(arguments.inception) if arguments.inception else None)


def main() -> None:
    arguments, config = parse([Arguments, BoxStudioConfig], {})
    studio = BoxStudio(config, chosen_device())
    with tempfile.TemporaryDirectory() as cache:
        juries = dict(call_juries(arguments, config, studio, Path(cache)))
    small = juries["small"]
    metrics: dict[str, float] = {}
    sheet = [close_ups(small.boxes.pixels, small.boxes)]

    def add(name: str, jury: BoxJury, method: Method, prompt: str) -> Tensor:
        seeds = arguments.seeds if name.startswith(("table1.", "table3.")) else arguments.more_seeds
        found, made = measure(studio, jury, method, prompt, seeds)
        metrics.update({f"{name}.{key}": value for key, value in found.items()})
        sys.stdout.write(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()) + "\n")
        return made

    tables = words(arguments.tables)
    for prompt in PROMPTS if "1" in tables else ():
        real = small.verdict(small.boxes.pixels, prompt)
        metrics[f"table1.real.{prompt}.{small.score}"] = real[small.score]
        for name, method in {**studio.peers, "soediff": studio.ablation["all"]}.items():
            made = add(f"table1.{name}.{prompt}", small, method, prompt)
            sheet.append(close_ups(made, small.boxes))
    for size, jury in list(juries.items())[1:] if "2" in tables else ():
        for name, row in OURS.items():
            add(f"table2.{size}.{row}", jury, studio.ablation[name], "label")
    for name, method in studio.ablation.items() if "3" in tables else ():
        if name in OURS and "1" in tables:
            metrics |= renamed(metrics, f"table1.{OURS[name]}.color_label", f"table3.{name}")
        else:
            add(f"table3.{name}", small, method, "color_label")
    for name, path in (other.split("=") for other in words(arguments.others)):
        add(name, small, partial(studio.inpaint, studio.adapted(path), studio.tuned), "color_label")
    metrics["cost.sampling_ratio"] = sampling_ratio(studio, small.boxes)
    if len(sheet) > 1:
        with replacing(FOLDER / f"{arguments.name}.png") as path:
            sampling.grid(torch.cat(sheet).cpu(), SHOWN, 4).save(path, format="PNG")
    sys.stdout.write(f"{write_results('soediff', metrics, arguments.name)}\n")


def renamed(metrics: dict[str, float], row: str, other: str) -> dict[str, float]:
    """The metrics of one table's row as those of another's that is the same."""
    return {other + key[len(row) :]: value for key, value in metrics.items() if key.startswith(row + ".")}
