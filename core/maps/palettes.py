"""Palettes give the labels of segmentation maps their names and colours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np


def read_colour(value: Any) -> tuple[int, int, int] | None:
    """The RGB in 0..255 of "#rrggbb" or [r, g, b]; None for anything else."""
    if isinstance(value, str) and re.fullmatch("#[0-9a-fA-F]{6}", value):
        return tuple(bytes.fromhex(value[1:]))
    is_triple = isinstance(value, (list, tuple)) and len(value) == 3
    if is_triple and all(type(part) in (int, float) and 0 <= part <= 255 for part in value):
        rgb = tuple(map(int, value))
        return rgb if rgb == tuple(value) else None
    return None


@dataclass(frozen=True)
class Palette:
    """A named list of labels; label i is painted in colour i.

    name: the name that users choose it by. labels: N names, all different, at most 256. colours: N RGB
    triples in 0..255, all different except one pair in ADE20K.
    """

    name: str
    labels: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]

    def index(self, label: str) -> int:
        """The index of a label. Raises ValueError for a name that is not in the palette."""
        try:
            return self._indices[label]
        except KeyError:
            raise ValueError(
                f"label: {label!r} is not in the palette {self.name}; use one of its labels"
            ) from None

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Paint label indices (..., H, W) as RGB uint8 (..., H, W, 3).

        Raises ValueError if an index is not in the palette.
        """
        labels = np.asarray(labels)
        if labels.size and not 0 <= labels.min() <= labels.max() < len(self.labels):
            raise ValueError(
                f"labels: indices {labels.min()} to {labels.max()} do not fit the palette {self.name};"
                f" use 0 to {len(self.labels) - 1}"
            )
        return self.table[labels]

    def decode(self, colours: np.ndarray) -> np.ndarray:
        """The label indices uint8 (..., H, W) of the palette colours nearest to RGB uint8 (..., H, W, 3).

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
        table = self.table.astype(np.float32)
        half = (table**2).sum(1) / 2
        for start in range(0, len(unique), CHUNK):
            part = unique[start : start + CHUNK]
            rgb = np.stack([part >> 16, part >> 8 & 255, part & 255], 1).astype(np.float32)
            # |c|²/2 - p·c gives the colours c the same order as |p - c|², and is exact in float32
            found[start : start + CHUNK] = (half - rgb @ table.T).argmin(1)
        return found[inverse].reshape(packed.shape)

    @cached_property
    def table(self) -> np.ndarray:
        """The colours as an array (N, 3) uint8."""
        return np.array(self.colours, np.uint8)

    @cached_property
    def _indices(self) -> dict[str, int]:
        return {label: i for i, label in enumerate(self.labels)}


CHUNK = 1 << 14  # colours compared at once: keeps the distances under 20 MB


def voc_colour(index: int) -> tuple[int, int, int]:
    """The PASCAL VOC colour of a label: its bits, in groups of three, go to the high bits of R, G and B.

    The same as `VOClabelcolormap` in the PASCAL VOC development kit.
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
"""The 183 labels of COCO-Stuff (0 unlabeled, 1 to 91 things, 92 to 182 stuff) in PASCAL VOC colours."""

COCO_STUFF_FGDM = Palette(
    "coco-stuff-fgdm", COCO_STUFF.labels, (COCO_STUFF.colours[-1], *COCO_STUFF.colours[:-1])
)
"""COCO-Stuff as FG-DM's released code paints it (`ldm/data/semantic.py`): label i has the colour of i - 1.

That code reads COCO-Stuff's PNG files, where person has the number 0; unlabeled takes the last colour.
"""

# The colours of ControlNet's annotators (OneFormer's `register_ade20k_panoptic.py`, UniFormer's
# `ade_palette`).
_ADE20K = """
    wall 787878, building b47878, sky 06e6e6, floor 503232, tree 04c803, ceiling 787850, road 8c8c8c,
    bed cc05ff, windowpane e6e6e6, grass 04fa07, cabinet e005ff, sidewalk ebff07, person 96053d, earth
    787846, door 08ff33, table ff0652, mountain 8fff8c, plant ccff04, curtain ff3307, chair cc4603, car
    0066c8, water 3de6fa, painting ff0633, sofa 0b66ff, shelf ff0747, house ff09e0, sea 0907e6, mirror
    dcdcdc, rug ff095c, field 7009ff, armchair 08ffd6, seat 07ffe0, fence ffb806, desk 0aff47, rock
    ff290a, wardrobe 07ffff, lamp e0ff08, bathtub 6608ff, railing ff3d06, cushion ffc207, base ff7a08,
    box 00ff14, column ff0829, signboard ff0599, chest of drawers 0633ff, counter eb0cff, sand a09614,
    sink 00a3ff, skyscraper 8c8c8c, fireplace fa0a0f, refrigerator 14ff00, grandstand 1fff00, path
    ff1f00, stairs ffe000, runway 99ff00, case 0000ff, pool table ff4700, pillow 00ebff, screen door
    00adff, stairway 1f00ff, river 0bc8c8, bridge ff5200, bookcase 00fff5, blind 003dff, coffee table
    00ff70, toilet 00ff85, flower ff0000, book ffa300, hill ff6600, bench c2ff00, countertop 008fff,
    stove 33ff00, palm 0052ff, kitchen island 00ff29, computer 00ffad, swivel chair 0a00ff, boat adff00,
    bar 00ff99, arcade machine ff5c00, hovel ff00ff, bus ff00f5, towel ff0066, light ffad00, truck
    ff0014, tower ffb8b8, chandelier 001fff, awning 00ff3d, streetlight 0047ff, booth ff00cc, television
    receiver 00ffc2, airplane 00ff52, dirt track 000aff, apparel 0070ff, pole 3300ff, land 00c2ff,
    bannister 007aff, escalator 00ffa3, ottoman ff9900, bottle 00ff0a, buffet ff7000, poster 8fff00,
    stage 5200ff, van a3ff00, ship ffeb00, fountain 08b8aa, conveyer belt 8500ff, canopy 00ff5c, washer
    b800ff, plaything ff001f, swimming pool 00b8ff, stool 00d6ff, barrel ff0070, basket 5cff00,
    waterfall 00e0ff, tent 70e0ff, bag 46b8a0, minibike a300ff, cradle 9900ff, oven 47ff00, ball ff00a3,
    food ffcc00, step ff008f, tank 00ffeb, trade name 85ff00, microwave ff00eb, pot f500ff, animal
    ff007a, bicycle fff500, lake 0abed4, dishwasher d6ff00, screen 00ccff, blanket 1400ff, sculpture
    ffff00, hood 0099ff, sconce 0029ff, vase 00ffcc, traffic light 2900ff, tray 29ff00, ashcan ad00ff,
    fan 00f5ff, pier 4700ff, crt screen 7a00ff, plate 00ffb8, monitor 005cff, bulletin board b8ff00,
    shower 0085ff, radiator ffd600, glass 19c2c2, clock 66ff00, flag 5c00ff
"""


# The colours of `g_color.py` in CelebAMask-HQ, in the order of its `g_mask.py`.
_CELEBAMASK = """
    background 000000, skin cc0000, nose 4c9900, eye_g cccc00, l_eye 3333ff, r_eye cc00cc, l_brow
    00ffff, r_brow ffcccc, l_ear 663300, r_ear ff0000, mouth 66cc00, u_lip ffff00, l_lip 000099, hair
    0000cc, hat ff3399, ear_r 00cccc, neck_l 003300, neck ff9933, cloth 00cc00
"""


def _painted(name: str, table: str) -> Palette:
    entries = [" ".join(entry.split()).rpartition(" ") for entry in table.split(",")]
    return Palette(name, tuple(e[0] for e in entries), tuple(tuple(bytes.fromhex(e[2])) for e in entries))


ADE20K = _painted("ade20k", _ADE20K)
"""The 150 labels of ADE20K's scene parsing in the colours that segmentation ControlNets read.

Road and skyscraper share one colour, which decodes as road.
"""

CELEBAMASK = _painted("celebamask", _CELEBAMASK)
"""The 19 labels of CelebAMask-HQ; eye_g means glasses, ear_r an earring, neck_l a necklace."""

PALETTES: dict[str, Palette] = {p.name: p for p in (COCO_STUFF, COCO_STUFF_FGDM, ADE20K, CELEBAMASK)}
"""All palettes by name."""
