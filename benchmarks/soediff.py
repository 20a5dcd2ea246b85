"""SOEDiff's tables: small objects drawn by stock inpainting, its peers and SO-LoRA.

    python -m finesse.benchmarks.soediff       # writes docs/results/soediff.json and soediff.png

Every method draws the object of a held-out small box anew, from its label or its colour and label. The
miniature's judge reads the box: accuracy is the share that is what was asked for, FID the Fréchet distance of
the judge's features to those of the real boxes.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ..core.files import replacing
from ..core.frechet import frechet_distance
from ..miniature import judges
from ..miniature.scenes import COLOURS, THINGS
from ..miniature.small_objects import SIDES, samples
from ..training import sampling
from ..training.config import option, parse
from ..training.inpainting import draw_masks
from ..training.measure import timed
from ..training.views import Views, views_of
from .results import FOLDER, write_results
from .small_object_methods import Boxes, Method, Studio, StudioConfig

CHUNK = 16
PROMPTS = ("label", "color_label")
SIZES = {"small": SIDES["test"], "medium": (1 / 6, 1 / 3), "large": (1 / 3, 1 / 2)}
SHOWN = 12


@dataclass
class Arguments:
    """How much to measure."""

    boxes: int = option(500, "held-out boxes")
    seeds: int = option(3, "drawings of each box")


class Jury:
    """Reads what was drawn in the boxes."""

    def __init__(self, boxes: Boxes, weights: Path, device: torch.device) -> None:
        self.boxes = boxes
        path = weights / "judges" / "classifier.safetensors"
        self.classifier = judges.load_judge(judges.Classifier(), path).to(device)
        self.real = self.read(boxes.pixels)["features"]
        self.thing = torch.tensor([THINGS.index(label) for label, _ in boxes.things], device=device)
        self.colour = torch.tensor([COLOURS.index(colour) if colour else -1 for _, colour in boxes.things])
        self.colour = self.colour.to(device)

    @torch.no_grad()
    def read(self, pixels: Tensor) -> dict[str, Tensor]:
        """The judge's features of the boxes, and what it reads in them."""
        found: dict[str, list[Tensor]] = {}
        for part, boxes in zip(pixels.split(CHUNK), self.boxes.boxes.split(CHUNK), strict=True):
            crops = judges.crop(part, boxes)
            heads = self.classifier(crops)
            for name, value in (
                ("features", self.classifier.features(crops)),
                ("thing", heads["thing"].argmax(dim=1)),
                ("colour", heads["colour"].argmax(dim=1)),
            ):
                found.setdefault(name, []).append(value)
        return {name: torch.cat(parts) for name, parts in found.items()}

    def verdict(self, pixels: Tensor, prompt: str) -> dict[str, float]:
        """accuracy and fid; with the colour in the prompt, of the boxes that have one."""
        found = self.read(pixels)
        right, asked = found["thing"] == self.thing, torch.ones_like(self.thing, dtype=torch.bool)
        if prompt == "color_label":
            asked = self.colour >= 0
            right &= found["colour"] == self.colour
        fid = frechet_distance(found["features"][asked], self.real[asked])
        return {"accuracy": right[asked].float().mean().item(), "fid": fid}


def held_out(cache: Path, count: int, studio: Studio, sides: tuple[float, float]) -> Boxes:
    """The first `count` boxes of test scenes with sides in this range, as parts of the picture's."""
    side = studio.base.unet.config.sample_size * studio.base.cell
    settings = Views(side, (side // 2, side // 2))

    def single() -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor, tuple[str, str], tuple[str, str | None]]]:
        for sample in samples(cache, "test", 6 * count, side, sides):
            for view in views_of(sample, settings, studio.base.cell):
                rows = (view.boxes, view.near_pixels, view.near_boxes, view.texts, view.things)
                for box, near, near_box, text, thing in zip(*rows, strict=True):
                    yield view.pixels, box, near, near_box, text, thing

    pixels, box, near, near_box, texts, things = zip(*islice(single(), count), strict=True)
    pictures = (torch.stack(part).float().to(studio.device) / 255 for part in (pixels, near))
    places = (torch.stack(part).to(studio.device) for part in (box, near_box))
    (shown, shown_near), (boxes, near_boxes) = pictures, places
    return Boxes(shown, boxes, shown_near, near_boxes, list(texts), list(things))


def draw(studio: Studio, method: Method, boxes: Boxes, prompt: str, seed: int) -> Tensor:
    """What a method makes of every box; outside the boxes the pictures are the given ones."""
    made = []
    for start in tqdm(range(0, len(boxes), CHUNK), leave=False):
        part = boxes.part(slice(start, start + CHUNK))
        context = studio.base.embed([text[PROMPTS.index(prompt)] for text in part.texts]).context
        first = seed * len(boxes) + start
        made.append(method(part, context, studio.noise(range(first, first + len(part)))))
    inside = draw_masks(boxes.boxes, boxes.pixels.shape[-1]) > 0
    return torch.where(inside, torch.cat(made), boxes.pixels)


def measure(
    studio: Studio, jury: Jury, method: Method, prompt: str, seeds: int
) -> tuple[dict[str, float], Tensor]:
    """accuracy and fid, mean and spread over the seeds; and the first seed's pictures."""
    found, shown = [], None
    for seed in range(seeds):
        made = draw(studio, method, jury.boxes, prompt, seed)
        found.append(jury.verdict(made, prompt))
        shown = made if shown is None else shown
    values = {name: torch.tensor([verdict[name] for verdict in found]) for name in found[0]}
    metrics = {name: value.mean().item() for name, value in values.items()}
    metrics |= {f"{name}.std": value.std(correction=0).item() for name, value in values.items()}
    return metrics, shown


def sampling_ratio(studio: Studio, boxes: Boxes, rounds: int = 5) -> float:
    """Time with the adapters merged, as ComfyUI merges them, over time without: medians, in turn."""
    part = boxes.part(slice(0, CHUNK))
    context = studio.base.embed([text for text, _ in part.texts]).context
    seconds: dict[str, list[float]] = {"base": [], "so_lora_csd": []}
    for _ in range(rounds):
        for name, times in seconds.items():
            times.append(
                timed(
                    lambda name=name: studio.ablation[name](part, context, studio.noise(range(len(part)))),
                    studio.device,
                )
            )
    base, ours = (torch.tensor(times).median().item() for times in seconds.values())
    return ours / base


def main() -> None:
    arguments, config = parse([Arguments, StudioConfig], {})
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    studio = Studio(config, device)
    metrics: dict[str, float] = {}
    rows: list[Tensor] = []

    def add(name: str, jury: Jury, method: Method, prompt: str) -> None:
        found, made = measure(studio, jury, method, prompt, arguments.seeds)
        metrics.update({f"{name}.{key}": value for key, value in found.items()})
        sys.stdout.write(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()) + "\n")
        rows.append(made[:SHOWN])

    with tempfile.TemporaryDirectory() as cache:
        juries = {
            name: Jury(held_out(Path(cache), arguments.boxes, studio, sides), Path(config.base), device)
            for name, sides in SIZES.items()
        }
    small = juries["small"]
    rows.append(small.boxes.pixels[:SHOWN])
    for prompt in PROMPTS:
        for name, method in {**studio.peers, "soediff": studio.ablation["all"]}.items():
            add(f"table1.{name}.{prompt}", small, method, prompt)
    for size, jury in list(juries.items())[1:]:
        for name, method in (("base", studio.ablation["base"]), ("soediff", studio.ablation["all"])):
            add(f"table2.{size}.{name}", jury, method, "label")
    for name, method in studio.ablation.items():
        add(f"table3.{name}", small, method, "color_label")
    metrics["cost.sampling_ratio"] = sampling_ratio(studio, small.boxes)
    with replacing(FOLDER / "soediff.png") as path:
        sampling.grid(torch.cat(rows).cpu(), SHOWN, 2).save(path, format="PNG")
    sys.stdout.write(f"{write_results('soediff', metrics)}\n")


if __name__ == "__main__":
    main()
