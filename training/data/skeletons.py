"""People's skeletons, drawn as ControlNet's OpenPose annotator draws them.

Its colours and joins (`annotator/openpose/util.py`): bones at 60% of their first colour, joints over them, a
hand's bones in the hues of the rainbow and its joints blue, faces as white points. Feet are not drawn there.
"""

from __future__ import annotations

from collections.abc import Iterable
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

Keypoints = tuple[tuple[float, float] | None, ...]
"""Places (x, y) in pixels; None where a keypoint is not seen."""

LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
"""Pairs of a body's keypoints that OpenPose connects."""

COLOURS = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0)),
    *((0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255)),
    *((170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
"""Colours of a body's keypoints, and at 60% of its limbs, in OpenPose's order."""

BONES = tuple(bone for finger in range(5) for bone in pairwise((0, *range(4 * finger + 1, 4 * finger + 5))))
"""Pairs of a hand's keypoints that OpenPose connects: from the wrist out along each finger."""

BONE_COLOURS = tuple(
    tuple(int(255 * part) for part in hsv_to_rgb(bone / len(BONES), 1, 1)) for bone in range(len(BONES))
)
HAND_JOINT, FACE_POINT = (0, 0, 255), (255, 255, 255)
FINER = 4  # drawn larger and then reduced, for smooth lines


@dataclass(frozen=True)
class Skeleton:
    """A person's keypoints and the radius, in pixels, of the joints; all lines go with it.

    body: the 18 of OpenPose: nose, neck, right shoulder, elbow, wrist, left shoulder, elbow, wrist, right
    hip, knee, ankle, left hip, knee, ankle, right eye, left eye, right ear, left ear. face: any number.
    hands: 21 each: the wrist, then four of each finger from its root, the thumb first.
    """

    body: Keypoints
    radius: float
    face: Keypoints = ()
    hands: tuple[Keypoints, ...] = ()


def draw_skeletons(people: Iterable[Skeleton], size: int) -> np.ndarray:
    """Draw skeletons on black, uint8 (size, size, 3)."""
    image = Image.new("RGB", (size * FINER, size * FINER))
    pen = ImageDraw.Draw(image)
    for person in people:
        radius = FINER * person.radius
        body = _finer(person.body)
        shades = [tuple(int(0.6 * part) for part in colour) for colour in COLOURS[: len(LIMBS)]]
        _lines(pen, body, LIMBS, shades, round(1.6 * radius))
        _dots(pen, body, COLOURS, radius)
        for hand in map(_finer, person.hands):
            _lines(pen, hand, BONES, BONE_COLOURS, round(0.5 * radius))
            _dots(pen, hand, (HAND_JOINT,) * len(hand), radius)
        _dots(pen, _finer(person.face), (FACE_POINT,) * len(person.face), 0.75 * radius)
    return np.asarray(image.reduce(FINER))


Colours = Iterable[tuple[int, ...]]


def _finer(points: Keypoints) -> Keypoints:
    return tuple(point and (point[0] * FINER, point[1] * FINER) for point in points)


def _lines(
    pen: ImageDraw.ImageDraw,
    spots: Keypoints,
    pairs: Iterable[tuple[int, int]],
    colours: Colours,
    width: int,
) -> None:
    for (a, b), colour in zip(pairs, colours, strict=True):
        if (start := spots[a]) and (end := spots[b]):
            pen.line((start, end), fill=colour, width=width)


def _dots(pen: ImageDraw.ImageDraw, spots: Keypoints, colours: Colours, radius: float) -> None:
    for spot, colour in zip(spots, colours, strict=True):
        if spot:
            x, y = spot
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
