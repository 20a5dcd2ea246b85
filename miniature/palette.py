"""The palette of the miniature's segmentation maps: things of one colour and grounds, near their own colours.

A frozen base draws a map out of what it knows of the words: for "orange" it draws orange, for "car" a car of
any colour. So the maps know the things that come in one colour, and are painted in colours near theirs.
`natural_colours` made the table:

    python -m finesse.miniature.palette
"""

from __future__ import annotations

import sys

import numpy as np
from tqdm import trange

from ..core.palettes import COCO_STUFF, Palette
from .data import crowd
from .scenes import scene
from .things import OF_ONE_COLOUR

GROUNDS = (
    *("sky-other", "hill", "grass", "sea", "sand", "mountain", "snow", "tree", "dirt", "wall-other"),
    *("floor-wood", "rug", "building-other", "pavement", "road", "table"),
)
LABELS = (*OF_ONE_COLOUR, *GROUNDS)
_COLOURS = """
    7a5a8b 6d90c7 50543b f2473a fff2db 8fa98d a4c4b1 748e6d dd8932 a192b7 dd7c70 784656 9db65e
    ce6b9d cec7d8 ffd665 d8b763 ed9003 69a31e ae8e1e f5b632 ff995a a26150 f9aa8a 8a9040 c9f8de
    2b737f 609b98 9be8d2 2e3230 91a5e3 2c4a5d 6ebd4e 4db4d0 eae290 b0c1ff e4ddff 548845 776b24
    ffc9be b88e53 a57080 be9a89 d5bba8 566669 b7cc83
"""
PALETTE = Palette("miniature", LABELS, tuple(tuple(bytes.fromhex(colour)) for colour in _COLOURS.split()))
PLACES = np.array([LABELS.index(label) if label in LABELS else 0 for label in COCO_STUFF.labels])
"""The place of a coco-stuff label in PALETTE, 0 where it has none."""

SCENES = 7000
APART = 50.0  # the distance in RGB that colours are pushed to


def natural_colours(scenes: int = SCENES) -> np.ndarray:
    """Colours (N, 3) uint8 for LABELS: the mean of their pixels, pushed apart."""
    total, pixels = np.zeros((len(LABELS), 3)), np.zeros(len(LABELS))
    for seed in trange(scenes, desc="scenes"):
        drawn = scene(seed, count=crowd(seed), things=OF_ONE_COLOUR)
        labels = PLACES[drawn.labels].ravel()
        np.add.at(total, labels, drawn.image.reshape(-1, 3))
        np.add.at(pixels, labels, 1)
    return spread(total / np.maximum(pixels, 1)[:, None])


def spread(colours: np.ndarray, steps: int = 4000) -> np.ndarray:
    """Push colours (N, 3) away from their neighbours nearer than APART, in small steps; uint8."""
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
