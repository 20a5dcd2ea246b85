"""Rows of SOEDiff's tables: every box is drawn, the jury reads it, and what is finished is kept."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ...core.files import read_json, replacing, write_json
from ...core.small_objects.losses import windows
from ...training.models import sampling
from ...training.models.inpainting import draw_masks
from .box_pictures import BoxPictures
from .juries import CHUNK, PROMPTS, BoxJury
from .methods import BoxStudio, Method

SHOWN = 16


class TableRows:
    """The measured rows: `metrics` by name.

    folder: keeps each finished row, `<name>.json` with its metrics and `<name>.png` with its close-ups, and
    gives them back instead of measuring again; None keeps nothing.
    """

    def __init__(self, studio: BoxStudio, folder: Path | None) -> None:
        self.studio, self.folder = studio, folder
        self.metrics: dict[str, float] = {}

    def add(self, name: str, jury: BoxJury, method: Method, prompt: str, seeds: int) -> Tensor:
        """Measure a row, or take it from the folder; -> close-ups of its first boxes."""
        found, shown = self._kept(name) or self._measured(name, jury, method, prompt, seeds)
        self.metrics |= {f"{name}.{key}": value for key, value in found.items()}
        sys.stdout.write(f"{name}: " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()) + "\n")
        return shown

    def copy(self, row: str, other: str) -> None:
        """Take the metrics of a row also as those of `other`, which is the same row in another table."""
        self.metrics |= {
            other + key[len(row) :]: value for key, value in self.metrics.items() if key.startswith(row + ".")
        }

    def _measured(
        self, name: str, jury: BoxJury, method: Method, prompt: str, seeds: int
    ) -> tuple[dict[str, float], Tensor]:
        found, made = measure(self.studio, jury, method, prompt, seeds)
        shown = close_ups(made, jury.boxes)
        if self.folder:
            with replacing(self.folder / f"{name}.png") as path:
                sampling.grid(shown, SHOWN).save(path, format="PNG")
            write_json(self.folder / f"{name}.json", found)  # last: what has it is finished
        return found, shown

    def _kept(self, name: str) -> tuple[dict[str, float], Tensor] | None:
        if self.folder is None or not (self.folder / f"{name}.json").exists():
            return None
        with Image.open(self.folder / f"{name}.png") as strip:
            side, pixels = strip.height, np.asarray(strip.convert("RGB"))
        shown = sampling.from_arrays(np.split(pixels, pixels.shape[1] // side, axis=1))
        return read_json(self.folder / f"{name}.json"), shown.to(self.studio.device)


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


def close_ups(pixels: Tensor, boxes: BoxPictures) -> Tensor:
    """Cut out windows of 3/8 of the side around the first boxes."""
    size = pixels.shape[-1]
    places = windows(boxes.boxes[:SHOWN], size, 3 * size // 8).int().tolist()
    return torch.stack([row[:, y:y2, x:x2] for row, (x, y, x2, y2) in zip(pixels, places, strict=False)])
