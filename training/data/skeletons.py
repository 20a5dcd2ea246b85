"""Skeletons of people are drawn like those of ControlNet's OpenPose annotator.

Colours and connections follow `annotator/openpose/util.py`: bones have 60% of the colour of their first
joint, and joints are drawn over them. The bones of a hand have the hues of the rainbow and its joints are
blue. Faces are white points. Feet are not drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

Keypoints = tuple[tuple[float, float] | None, ...]
"""Keypoints (x, y) in pixels; None for a keypoint that is not seen."""

LIMBS = (
    *((1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (1, 8), (8, 9), (9, 10)),
    *((1, 11), (11, 12), (12, 13), (1, 0), (0, 14), (14, 16), (0, 15), (15, 17)),
)
"""The pairs of body keypoints that OpenPose connects."""

COLOURS = (
    *((255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0)),
    *((0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255)),
    *((170, 0, 255), (255, 0, 255), (255, 0, 170), (255, 0, 85)),
)
"""The colours of the body's keypoints, and at 60% of its limbs, in OpenPose's order."""

BONES = tuple(bone for finger in range(5) for bone in pairwise((0, *range(4 * finger + 1, 4 * finger + 5))))
"""The pairs of hand keypoints that OpenPose connects: from the wrist along each finger."""

BONE_COLOURS = tuple(
    tuple(int(255 * part) for part in hsv_to_rgb(bone / len(BONES), 1, 1)) for bone in range(len(BONES))
)
HAND_JOINT, FACE_POINT = (0, 0, 255), (255, 255, 255)
FINER = 4  # skeletons are drawn this many times larger and then reduced, for smooth lines


@dataclass(frozen=True)
class Skeleton:
    """A person's keypoints, and the radius of the joints in pixels, which also sets the width of all lines.

    body: OpenPose's 18: nose, neck, right shoulder, elbow, wrist, left shoulder, elbow, wrist, right hip,
    knee, ankle, left hip, knee, ankle, right eye, left eye, right ear, left ear. face: any number of
    keypoints. hands: 21 each: the wrist, then four for each finger from its root, the thumb first.
    """

    body: Keypoints
    radius: float
    face: Keypoints = ()
    hands: tuple[Keypoints, ...] = ()


def draw_skeletons(people: Iterable[Skeleton], size: int) -> np.ndarray:
    """Draw skeletons on black; the result is uint8 (size, size, 3)."""
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
