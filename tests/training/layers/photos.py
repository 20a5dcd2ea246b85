"""What the tests of layered edits share: photos, edits of them, and how the script runs in a test."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import torch
from finesse.miniature.model import networks
from PIL import Image

SIDE = 32
DOG = {"name": "dog", "image": "dog.png", "mask": "dog_mask.png", "prompt": "a dog jumping in a forest"}
CAR = {
    "image": "car.png",
    "mask": "car_mask.png",
    "prompt": "a red car",
    "background": "some grass",
    "reference": "grass.png",
    "seed": 5,
}
ENDS = {"safetensors", "png", "json"}


def write_photos(folder):
    """A model of random weights, photos with their masks, and two edits."""
    networks.random(folder / "base")
    random = np.random.default_rng(0)
    for name, size in (("dog", (48, 40)), ("car", (SIDE, SIDE)), ("grass", (64, 80))):
        picture = Image.fromarray(random.integers(0, 255, (4, 4, 3), np.uint8)).resize(size)
        picture.save(folder / f"{name}.png")
        mask = np.zeros(size[::-1], np.uint8)
        mask[10:24, 12:30] = 255
        Image.fromarray(mask).save(folder / f"{name}_mask.png")
    write_edits(folder, DOG, CAR)


def write_edits(folder, *edits):
    lines = (edit if isinstance(edit, str) else json.dumps(edit) for edit in edits)
    (folder / "edits.jsonl").write_text("\n".join(lines))


def process(index=0, count=1):
    """What the script asks of accelerate, for one of several processes."""
    return SimpleNamespace(
        process_index=index,
        num_processes=count,
        is_main_process=index == 0,
        device=torch.device("cpu"),
        end_training=lambda: None,
    )
