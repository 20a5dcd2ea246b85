"""The palette of the miniature's segmentation maps has things of a single colour, and grounds.

A frozen base draws a map from what it knows about the words: for "orange" it draws orange, for "car" a car of
any colour. So the maps know only things of a single colour, and are painted close to the real colours. The
function `natural_colours` made the table:

    python -m finesse.miniature.world.palette
"""

from __future__ import annotations

import sys

import numpy as np
from tqdm import trange

from ...core.maps.palettes import COCO_STUFF, Palette
from .scenes import scene
from .tensors import crowd
from .things import ON_MAPS

GROUNDS = ("sky-other", "hill", "grass", "sea", "sand", "snow", "tree", "dirt", "wall-other", "floor-wood")
GROUNDS += ("road", "table")
MERGED = {  # grounds that look much like another ground, and are painted as that one
    "mountain": "snow",
    "rug": "floor-wood",
    "building-other": "wall-other",
    "pavement": "road",
}
LABELS = (*ON_MAPS, *GROUNDS)
_COLOURS = """
    975f7a 7fa0ad 624b56 f2473a f2ecd1 a6cfc1 e68d0a 6ca615 efa743 ae5a3e f5a783 909548 2d7284
    312d23 919eeb 21405e 6ec956 4eb1d2 f0e592 c6e1ff 468940 776821 dfb2be c88367 678877 aeb487
"""
PALETTE = Palette("miniature", LABELS, tuple(tuple(bytes.fromhex(colour)) for colour in _COLOURS.split()))
PLACES = np.array(
    [LABELS.index(own) if (own := MERGED.get(label, label)) in LABELS else 0 for label in COCO_STUFF.labels]
)
"""The index in PALETTE of each coco-stuff label, 0 for a label that is not in it."""

SCENES = 7000
APART = 64.0  # the least distance in RGB between two colours


def natural_colours(scenes: int = SCENES) -> np.ndarray:
    """Colours (N, 3) uint8 for LABELS: the mean colour of their pixels, pushed apart."""
    total, pixels = np.zeros((len(LABELS), 3)), np.zeros(len(LABELS))
    for seed in trange(scenes, desc="scenes"):
        drawn = scene(seed, count=crowd(seed), things=ON_MAPS)
        labels = PLACES[drawn.labels].ravel()
        np.add.at(total, labels, drawn.image.reshape(-1, 3))
        np.add.at(pixels, labels, 1)
    return spread(total / np.maximum(pixels, 1)[:, None])


def spread(colours: np.ndarray, steps: int = 4000) -> np.ndarray:
    """Push colours (N, 3) away from neighbours nearer than APART, in small steps; the result is uint8."""
    itself = np.diag(np.full(len(colours), np.inf))
    for _ in range(steps):
        away = colours[:, None] - colours
        distance = np.sqrt((away**2).sum(-1))[..., None] + itself[..., None]
        colours = np.clip(
            colours + 0.1 * (away / distance * np.clip(APART - distance, 0, None)).sum(1), 0, 255
        )
    return colours.round().astype(np.uint8)


def main() -> None:
    for colour in natural_colours():
        sys.stdout.write(f"{bytes(colour).hex()}\n")


if __name__ == "__main__":
    main()
