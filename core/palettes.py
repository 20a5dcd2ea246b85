"""Palettes of segmentation maps: label names and the colours they are painted in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Palette:
    """A named list of labels; label i is painted in colour i.

    name: how users choose it. labels: N names. colours: N RGB triples in 0..255, all different.
    """

    name: str
    labels: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]

    def index(self, label: str) -> int:
        """Index of a label. Raises ValueError for a name that the palette lacks."""
        try:
            return self._indices[label]
        except KeyError:
            raise ValueError(
                f"label: {label!r} is not in the palette {self.name}; use one of its labels"
            ) from None

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Paint label indices (..., H, W) as RGB uint8 (..., H, W, 3).

        Raises ValueError when an index is not in the palette.
        """
        labels = np.asarray(labels)
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.labels):
            raise ValueError(
                f"labels: indices {labels.min()} to {labels.max()} do not fit the palette {self.name};"
                f" use 0 to {len(self.labels) - 1}"
            )
        return self.table[labels]

    def decode(self, colours: np.ndarray) -> np.ndarray:
        """Label indices uint8 (..., H, W) of the palette colours nearest to RGB uint8 (..., H, W, 3).

        Of equally near labels the first is taken. Raises ValueError for anything but uint8 RGB.
        """
        colours = np.asarray(colours)
        if colours.dtype != np.uint8 or colours.shape[-1:] != (3,):
            raise ValueError(
                f"colours: got {colours.dtype} of shape {colours.shape}; give uint8 RGB in the last dimension"
            )
        packed = colours.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1])
        unique, inverse = np.unique(packed, return_inverse=True)
        found = np.empty(len(unique), np.uint8)
        for start in range(0, len(unique), CHUNK):
            part = unique[start : start + CHUNK]
            rgb = np.stack([part >> 16, part >> 8 & 255, part & 255], 1)
            distance = ((rgb[:, None] - self.table.astype(np.int32)) ** 2).sum(-1)
            found[start : start + CHUNK] = distance.argmin(1)
        return found[inverse].reshape(packed.shape)

    @cached_property
    def table(self) -> np.ndarray:
        """The colours as an array (N, 3) uint8."""
        return np.array(self.colours, np.uint8)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.labels)}


CHUNK = 1 << 14  # colours compared at once: keeps the distances under 200 MB


def voc_colour(index: int) -> tuple[int, int, int]:
    """The PASCAL VOC colour of a label: its bits dealt out in threes to the high bits of R, G and B.

    As `VOClabelcolormap` in the PASCAL VOC development kit.
    """
    red = green = blue = 0
    for bit in range(8):
        red |= (index & 1) << 7 - bit
        green |= (index >> 1 & 1) << 7 - bit
        blue |= (index >> 2 & 1) << 7 - bit
        index >>= 3
    return red, green, blue


_COCO_STUFF_LABELS = """
    unlabeled, person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire
    hydrant, street sign, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant,
    bear, zebra, giraffe, hat, backpack, umbrella, shoe, eye glasses, handbag, tie, suitcase, frisbee,
    skis, snowboard, sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis
    racket, bottle, plate, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange,
    broccoli, carrot, hot dog, pizza, donut, cake, chair, couch, potted plant, bed, mirror, dining table,
    window, desk, toilet, door, tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster,
    sink, refrigerator, blender, book, clock, vase, scissors, teddy bear, hair drier, toothbrush, hair
    brush, banner, blanket, branch, bridge, building-other, bush, cabinet, cage, cardboard, carpet,
    ceiling-other, ceiling-tile, cloth, clothes, clouds, counter, cupboard, curtain, desk-stuff, dirt,
    door-stuff, fence, floor-marble, floor-other, floor-stone, floor-tile, floor-wood, flower, fog,
    food-other, fruit, furniture-other, grass, gravel, ground-other, hill, house, leaves, light, mat,
    metal, mirror-stuff, moss, mountain, mud, napkin, net, paper, pavement, pillow, plant-other, plastic,
    platform, playingfield, railing, railroad, river, road, rock, roof, rug, salad, sand, sea, shelf,
    sky-other, skyscraper, snow, solid-other, stairs, stone, straw, structural-other, table, tent,
    textile-other, towel, tree, vegetable, wall-brick, wall-concrete, wall-other, wall-panel, wall-stone,
    wall-tile, wall-wood, water-other, waterdrops, window-blind, window-other, wood
"""


def _coco_stuff() -> Palette:
    labels = tuple(" ".join(label.split()) for label in _COCO_STUFF_LABELS.split(","))
    return Palette("coco-stuff", labels, tuple(voc_colour(i) for i in range(len(labels))))


COCO_STUFF = _coco_stuff()
"""The 183 labels of COCO-Stuff (0 unlabeled, 1 to 91 things, 92 to 182 stuff) in the PASCAL VOC colours."""

PALETTES: dict[str, Palette] = {COCO_STUFF.name: COCO_STUFF}
"""All palettes by name."""
