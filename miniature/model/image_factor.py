"""The last factor of the miniature's FG-DM: a ControlNet that draws the picture of a segmentation map.

It stands where users of real models put a published ControlNet, and is read by stock ControlNet nodes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from ...training.loop.batches import Draw
from ...training.models.denoising import DenoisingTask
from ..world.palette import PALETTE, PLACES
from ..world.scenes import MOST_OBJECTS
from ..world.tensors import load_scenes
from ..world.things import ON_MAPS
from .judges import blemish

MANY = range(4, MOST_OBJECTS + 1)  # objects in every second scene


class ImageFactorTask(DenoisingTask):
    """eps-MSE of pictures, given their segmentation maps: `labels` (B, H, W) beside what the base reads."""

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        self.unet.hint = blemish(painted(batch["labels"]), draw)
        return super().forward(batch, draw)


def painted(labels: Tensor) -> Tensor:
    """Labels of coco-stuff (B, H, W) in the colours of PALETTE, (B, 3, H, W) in [0, 1]."""
    table = torch.from_numpy(PALETTE.table[PLACES]).to(labels.device)
    return table[labels.long()].movedim(-1, 1).float() / 255


def load_pairs(cache: Path, count: int, size: int) -> dict[str, Tensor]:
    """`pixels`, `caption` and `labels` of training scenes of what maps know, half of them crowded."""
    parts = [(None, count // 2)] + [(objects, count // 2 // len(MANY)) for objects in MANY]
    scenes = [load_scenes(cache, "train", own, size, objects, ON_MAPS) for objects, own in parts]
    return {name: torch.cat([part[name] for part in scenes]) for name in ("pixels", "caption", "labels")}
