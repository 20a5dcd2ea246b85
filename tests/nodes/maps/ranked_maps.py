"""Maps that *Select Seed by Recall* ranks, and what its tests read of its outputs."""

from __future__ import annotations

import numpy as np
import torch
from finesse.core.maps.palettes import COCO_STUFF
from finesse.tests.nodes.maps.running import painted, solid

# dog and cat: one of them (1 pixel of 10), both (2), none, both (4), one (3)
FIVE = solid(painted("dgggg gggg.", "dcggg ggggg", "ggggg ggggg", "ddggg ccggg", "dddgg ggggg"))
FRAME = np.array([255, 205, 80], np.uint8)  # around the chosen ones in the contact sheet


def rows(table):
    """The table's rows as dicts."""
    heading, *lines = ([cell.strip() for cell in line.split("|")] for line in table.splitlines())
    return [dict(zip(heading, line, strict=True)) for line in lines]


def coco_maps(count, noise=0.0, side=32, seed=0):
    """Blocks of random labels, and the labels."""
    generator = np.random.default_rng(seed)
    names = ["dog", "cat", "person", "wall-brick", "dining table", "grass", "sky-other"]
    labels = np.array([COCO_STUFF.index(name) for name in names])[
        generator.integers(0, len(names), (count, 3, 3))
    ]
    labels = labels.repeat(side // 3 + 1, 1).repeat(side // 3 + 1, 2)[:, :side, :side]
    pixels = COCO_STUFF.encode(labels) / 255 + generator.normal(0, noise, (*labels.shape, 3))
    return torch.tensor(pixels).float(), labels


def pixels_of(image):
    return (image.clamp(0, 1) * 255).round().byte().numpy()


def place_of(tile, sheet):
    """Row and column where the tile stands in the sheet, pixel by pixel."""
    height, width = tile.shape[:2]
    found = [
        (y, x)
        for y, x in np.argwhere((sheet == tile[0, 0]).all(-1)).tolist()
        if np.array_equal(sheet[y : y + height, x : x + width], tile)
    ]
    assert len(found) == 1
    return found[0]
