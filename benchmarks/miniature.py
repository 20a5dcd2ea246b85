"""Measures the miniature on scenes that it never saw: its VAE, judges, pictures and inpainting.

python -m finesse.benchmarks.miniature    # writes docs/results/miniature.json and miniature.png
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from ..core.files import replacing
from ..core.maps.palettes import COCO_STUFF
from ..core.maps.recall import object_recall
from ..miniature.model import judges, networks
from ..miniature.world.scene import Scene
from ..miniature.world.scenes import scene
from ..miniature.world.tensors import load_maps, load_scenes
from ..miniature.world.things import COLOURS, KINDS, THINGS, object_phrase
from ..training.loop.config import option, parse, script
from ..training.models import sampling
from ..training.models.inpainting import condition, draw_masks, snapped
from .parity import max_abs_difference
from .results import FOLDER, chosen_device, write_results

ORDINARY = (1 / 5, 1 / 2)
SMALL = (1 / 8, 1 / 6)
BOXES = {"large": (1 / 3, 1 / 2), "medium": (1 / 5, 1 / 3), "small": SMALL}
CHUNK = 16


@dataclass
class Arguments:
    """Settings: what to measure, and how much of it."""

    weights: str = option(str(networks.WEIGHTS), "folder of the miniature")
    scenes: int = option(1000, "test scenes for the VAE and the judges")
    pictures: int = option(200, "pictures made a row of the table")
    steps: int = option(25, "sampling steps")


class MiniatureExam:
    """The miniature, its judges, and the questions put to them."""

    def __init__(self, folder: Path, steps: int, device: torch.device) -> None:
        self.device, self.steps = device, steps
        self.models = networks.load(folder, device=device)
        self.size = self.models.vae.config.sample_size
        self.cell = sampling.cell_of(self.models.vae)
        self.segmenter, self.classifier = judges.load_judges(folder, device)
        self.empty = self.models.embed([""])[0]

    @torch.no_grad()
    def right(self, pixels: Tensor, boxes: Tensor, thing: Tensor, head: str = "thing") -> Tensor:
        """Tell whether the classifier reads in each box what is meant; bool (B,)."""
        parts = zip(pixels.split(CHUNK), boxes.split(CHUNK), strict=True)
        read = [self.classifier(judges.crop(*part))[head].argmax(dim=1) for part in parts]
        return torch.cat(read) == thing

    @torch.no_grad()
    def labels(self, pixels: Tensor) -> Tensor:
        return torch.cat([self.segmenter(part).argmax(dim=1) for part in pixels.split(CHUNK)])

    def pictures(self, prompts: list[str], extra: Tensor | None = None) -> Tensor:
        """One picture a prompt, (B, 3, H, W); `extra` is an inpainting UNet's mask and masked latent."""
        unet = self.models.unet if extra is None else self.models.unet_inpainting
        side = self.size // self.cell
        made = []
        for start in tqdm(range(0, len(prompts), CHUNK), leave=False):
            chunk = prompts[start : start + CHUNK]
            noise = sampling.noise_for(range(start, start + len(chunk)), (4, side, side), self.device)
            more = None if extra is None else extra[start : start + len(chunk)]
            latents = sampling.sample(
                unet, self.models.embed(chunk), self.empty, noise, extra=more, steps=self.steps
            )
            made.append(sampling.decode(self.models.vae, latents))
        return torch.cat(made)


def psnr(made: Tensor, real: Tensor) -> float:
    """Peak signal-to-noise ratio in dB, from the mean squared error over all pictures."""
    return -10 * torch.log10((made - real).square().mean()).item()


def measure_vae(exam: MiniatureExam, scenes: dict[str, Tensor], maps: Tensor) -> dict[str, float]:
    pixels = scenes["pixels"].float().to(exam.device) / 255
    again = through(exam, pixels)
    found = {"vae.psnr": psnr(again, pixels), "vae.psnr_maps": psnr(through(exam, maps), maps)}
    for name, picture in (("", again), ("_before", pixels)):
        found[f"vae.small_object_accuracy{name}"] = accuracy(exam, picture, scenes, SMALL)["thing"]
    return found


def through(exam: MiniatureExam, pixels: Tensor) -> Tensor:
    """Pictures encoded and decoded again."""
    vae = exam.models.vae
    return torch.cat([sampling.decode(vae, sampling.encode(vae, part)) for part in pixels.split(CHUNK)])


def accuracy(
    exam: MiniatureExam, pixels: Tensor, scenes: dict[str, Tensor], sides: tuple[float, float]
) -> dict[str, float]:
    """Share of the objects with a side in `sides` (of the picture's) that the classifier gets, by head."""
    extent = (scenes["box"][..., 2:] - scenes["box"][..., :2]).amax(dim=-1) / exam.size
    fits = (scenes["thing"] >= 0) & (extent >= sides[0]) & (extent <= sides[1])
    row, column = fits.nonzero(as_tuple=True)
    found = {}
    for head in ("thing", "colour", "action"):
        target = scenes[head][row, column]
        has = target >= 0
        boxes = scenes["box"][row, column][has].to(exam.device)
        right = exam.right(pixels[row[has].to(exam.device)], boxes, target[has].to(exam.device), head)
        found[head] = right.float().mean().item()
    return found


def measure_judges(exam: MiniatureExam, scenes: dict[str, Tensor]) -> dict[str, float]:
    pixels = scenes["pixels"].float().to(exam.device) / 255
    ordinary, small = (accuracy(exam, pixels, scenes, sides) for sides in (ORDINARY, SMALL))
    seen, real = exam.labels(pixels), scenes["labels"].long().to(exam.device)
    both = torch.bincount((real * 256 + seen).flatten(), minlength=65_536).view(256, 256).float()
    union = both.sum(0) + both.sum(1) - both.diag()
    present = both.sum(1) > 0
    return {
        "judge.accuracy": ordinary["thing"],
        "judge.colour_accuracy": ordinary["colour"],
        "judge.action_accuracy": ordinary["action"],
        "judge.accuracy_small": small["thing"],
        "judge.miou": (both.diag() / union)[present].mean().item(),
    }


def measure_recall(exam: MiniatureExam, count: int, pictures: int) -> tuple[dict[str, float], Tensor]:
    """Recall of prompts with `count` objects, in the model's pictures and, as the ceiling, in real scenes."""
    scenes = [scene(seed, exam.size, count=count, split="test") for seed in range(pictures)]
    made = exam.pictures([drawn.caption for drawn in scenes])
    real = sampling.from_arrays([drawn.image for drawn in scenes]).to(exam.device)
    found = {}
    for name, pixels in (("t2i", made), ("judge", real)):
        recalls = [
            object_recall(labels, named(drawn))
            for labels, drawn in zip(exam.labels(pixels), scenes, strict=True)
        ]
        found[f"{name}.recall_{count}"] = float(np.mean(recalls))
    return found, made


def named(drawn: Scene) -> list[int]:
    """Labels of the objects that a scene's caption names."""
    words = f" {drawn.caption.replace(',', '')} "
    return [COCO_STUFF.index(item.name) for item in drawn.objects if f" {item.name} " in words]


def measure_inpainting(
    exam: MiniatureExam, pictures: int, sides: tuple[float, float]
) -> tuple[dict[str, float], Tensor]:
    """A thing is asked for in a box of a test scene: is it there then, and in its colour?"""
    random = np.random.default_rng(0)
    scenes = [scene(seed, exam.size, count=2, split="test") for seed in range(pictures)]
    pixels = sampling.from_arrays([drawn.image for drawn in scenes]).to(exam.device)
    side = (random.uniform(*sides, (pictures, 1)) * exam.size).round()
    corner = (random.uniform(size=(pictures, 2)) * (exam.size - side)).round()
    boxes = torch.tensor(np.concatenate([corner, corner + side], axis=1), dtype=torch.float32)
    boxes = boxes.to(exam.device)
    things = [THINGS[i] for i in random.integers(len(THINGS), size=pictures)]
    colours = [random.choice(KINDS[thing].colours) if KINDS[thing].colours else None for thing in things]
    prompts = [object_phrase(thing, colour) for thing, colour in zip(things, colours, strict=True)]
    holes = draw_masks(snapped(boxes, exam.cell), exam.size)
    parts = zip(pixels.split(CHUNK), holes.split(CHUNK), strict=True)
    extra = torch.cat([condition(exam.models.vae, picture, hole) for picture, hole in parts])
    made = torch.where(draw_masks(boxes, exam.size) > 0, exam.pictures(prompts, extra), pixels)
    right = exam.right(made, boxes, _indices(THINGS, things, exam.device))
    coloured = torch.tensor([colour is not None for colour in colours], device=exam.device)
    targets = _indices(COLOURS, [colour or COLOURS[0] for colour in colours], exam.device)
    in_colour = exam.right(made, boxes, targets, "colour")
    return {
        "accuracy": right.float().mean().item(),
        "colour_accuracy": (right & in_colour)[coloured].float().mean().item(),
    }, made


def _indices(names: Sequence[str], items: Sequence[str], device: torch.device) -> Tensor:
    return torch.tensor([list(names).index(item) for item in items], device=device)


def main() -> None:
    (arguments,) = parse([Arguments], {})
    device = chosen_device()
    exam = MiniatureExam(Path(arguments.weights), arguments.steps, device)
    with tempfile.TemporaryDirectory() as cache:
        scenes = load_scenes(Path(cache), "test", arguments.scenes, exam.size)
        maps = load_maps(Path(cache), "test", arguments.scenes // 2, exam.size)["pixels"].float() / 255
    metrics = measure_vae(exam, scenes, maps.to(device)) | measure_judges(exam, scenes)
    shown = []
    for count in (1, 5):
        found, made = measure_recall(exam, count, arguments.pictures)
        metrics |= found
        shown.append(made[:24])
    for name, sides in BOXES.items():
        found, made = measure_inpainting(exam, arguments.pictures, sides)
        metrics |= {f"inpaint.{key}_{name}": value for key, value in found.items()}
        shown.append(made[:24])
    parity = max_abs_difference(Path(arguments.weights))
    metrics["parity.comfy_diffusers_max_abs"] = max(v for k, v in parity.items() if k.endswith("latent"))
    with replacing(FOLDER / "miniature.png") as path:
        sampling.grid(torch.cat(shown), 12, 2).save(path, format="PNG")
    sys.stdout.write(f"{write_results('miniature', metrics)}\n")
    sys.stdout.writelines(f"{name:36} {value:.4f}\n" for name, value in metrics.items())


if __name__ == "__main__":
    script(main)
