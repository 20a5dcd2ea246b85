"""Cuts pictures for student and teacher: squares with small boxes, and windows around the boxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...core.seeds import mix
from ...core.small_objects.losses import seen_from, windows
from ..data.samples import Sample, SmallObject, prompts
from ..models.inpainting import snapped


@dataclass(frozen=True)
class Views:
    """Sizes at which student and teacher see pictures."""

    resolution: int = 512  # side in pixels of what both see
    crop: tuple[int, int] = (256, 256)  # smallest and largest side in pixels of the teacher's window in it
    seed: int = 0

    def __post_init__(self) -> None:
        low, high = self.crop
        if not 0 < low <= high <= self.resolution:
            raise ValueError(
                f"crop is {low} to {high} px; give sizes from 1 up to the resolution, {self.resolution} px."
            )


@dataclass
class View:
    """A square part of a picture at the resolution, and the small boxes in it."""

    name: str  # the picture's
    pixels: Tensor  # uint8 (3, S, S)
    boxes: Tensor  # (N, 4) in its pixels, on the latent grid
    near_pixels: Tensor  # uint8 (N, 3, S, S), the windows around the boxes
    near_boxes: Tensor  # (N, 4)
    texts: list[tuple[str, str]]  # a box's prompt without and with its colour
    things: list[tuple[str, str | None]]  # its label and colour


def views_of(sample: Sample, settings: Views, cell: int) -> Iterator[View]:
    """Cut as many squares out of a picture as it takes to show every box whole.

    A square's side is the picture's shorter one. Boxes are grown to whole latent cells of `cell` pixels, as
    the node *Inpaint Small Box* does.
    """
    record, picture = sample.record, sample.picture
    size, side = torch.tensor(picture.size), min(picture.size)
    boxes = torch.tensor([thing.box for thing in record.objects]) * size.repeat(2)
    scale = settings.resolution / side
    show = partial(_show, picture, side=settings.resolution)
    random = np.random.default_rng(mix(settings.seed, *record.id.encode()))
    for members in squares(boxes, size, side):
        span = torch.cat([boxes[members, :2].amin(dim=0), boxes[members, 2:].amax(dim=0)])
        corner = ((span[:2] + span[2:] - side) / 2).clamp(min=0).minimum(size - side)
        inside = snapped((boxes[members] - corner.repeat(2)) * scale, cell).clamp(0, settings.resolution)
        sides = random.integers(*settings.crop, size=len(inside), endpoint=True).tolist()
        near = torch.cat(
            [windows(box[None], settings.resolution, crop) for box, crop in zip(inside, sides, strict=True)]
        )
        yield View(
            record.id,
            show(torch.cat([corner, corner + side])),
            inside,
            torch.stack([show(window / scale + corner.repeat(2)) for window in near]),
            seen_from(near, inside, settings.resolution),
            [_texts(record.objects[i]) for i in members],
            [(record.objects[i].label, record.objects[i].colour) for i in members],
        )


def crops_of(sample: Sample, settings: Views) -> Iterator[Tensor]:
    """Cut a crop (3, C, C) uint8 around each box, C the crop's side, at the scale that the student sees.

    The whole box lies in the crop, at a random place.
    """
    record, picture = sample.record, sample.picture
    size, crop = torch.tensor(picture.size), settings.crop[0]
    side = crop * min(picture.size) / settings.resolution  # in the picture's own pixels
    random = np.random.default_rng(mix(settings.seed, *record.id.encode()))
    for thing in record.objects:
        box = torch.tensor(thing.box) * size.repeat(2)
        place = torch.from_numpy(random.random(2)).float()
        corner = box[2:] - side + place * (side - (box[2:] - box[:2]))
        corner = corner.clamp(min=0).minimum(size - side)
        yield _show(picture, torch.cat([corner, corner + side]), crop)


def squares(boxes: Tensor, size: Tensor, side: int) -> Iterator[list[int]]:
    """Group boxes (N, 4) so that each group fits a square of `side`, the shorter side of a picture (w, h)."""
    axis = int(size.argmax())
    left = boxes[:, axis].argsort().tolist()
    while left:
        end = boxes[left[0], axis] + side
        group = [i for i in left if i == left[0] or boxes[i, axis + 2] <= end]
        left = [i for i in left if i not in group]
        yield group


def _show(picture: Image.Image, window: Tensor, side: int) -> Tensor:
    """Scale a window of a picture to `side` pixels a side, uint8 (3, side, side)."""
    limits = torch.tensor([*picture.size, *picture.size])  # rounding may have gone past the edge
    box = tuple(window.clamp(min=0).minimum(limits).tolist())
    shown = picture.resize((side, side), Image.Resampling.LANCZOS, box=box)
    return torch.from_numpy(np.array(shown)).permute(2, 0, 1)


def _texts(thing: SmallObject) -> tuple[str, str]:
    found = prompts(thing)
    return found[0], found[-1]
