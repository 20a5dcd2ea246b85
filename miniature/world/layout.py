"""A layout says which things a scene shows, how large and where; lengths are fractions of the side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .backgrounds import BACKGROUNDS, PLACES
from .sprites import Sprite, sprites_of
from .things import ACTIONS, KINDS, THINGS, held_out

T = TypeVar("T")

SMALLEST, LARGEST = 1 / 16, 1 / 2
COUNT_WEIGHTS = (0.3, 0.2, 0.15, 0.11, 0.09, 0.06, 0.05, 0.04)  # for 1 to 8 objects
LARGEST_OF = (0.5, 0.5, 0.46, 0.42, 0.38, 0.36, 0.34, 0.32)  # largest side of an object among 1 to 8
PERSON_WEIGHT = 4  # people are as frequent as this many other things, because they have many actions
MARGIN = 0.01
FAR = 0.1  # depth at the horizon; at the lower edge of the picture it is 1
MAX_COVER = 0.12  # share of an object's frame that nearer objects may hide: keeps 70% of its pixels visible
MAX_OVERLAP = 0.3  # share of the nearer object's frame that may overlap: keeps the picture easy to read


@dataclass(frozen=True)
class Placement:
    """One object of a layout, with its sprite's frame (x, y, width, height) and its depth (1 is nearest)."""

    sprite: Sprite
    colour: str | None
    flipped: bool
    x: float
    y: float
    width: float
    height: float
    depth: float
    grounded: bool

    @property
    def side(self) -> float:
        """The length of the frame's longer side."""
        return max(self.width, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        """The centre of the frame."""
        return self.x + self.width / 2, self.y + self.height / 2

    def overlap(self, other: Placement) -> float:
        """The area that two frames share."""
        width = min(self.x + self.width, other.x + other.width) - max(self.x, other.x)
        height = min(self.y + self.height, other.y + other.height) - max(self.y, other.y)
        return max(0.0, width) * max(0.0, height)


@dataclass(frozen=True)
class Layout:
    """The composition of a scene: its background, the height of the horizon, the objects back to front."""

    background: str
    horizon: float
    placements: tuple[Placement, ...]


def compose(
    rng: np.random.Generator, count: int | None, unseen: bool, things: Sequence[str] = THINGS
) -> Layout:
    """Compose a scene of `count` objects from `things`, all of different kinds.

    count: 1 to 8; None draws the number. unseen: if True, the first object makes a held-out combination;
    otherwise no object does.
    """
    drawn = [name for name in DRAWN_THINGS if name in things]
    held = [combination for combination in HELD_OUT if combination[1] in things]
    if count is None:
        count = 1 + int(np.searchsorted(np.cumsum(COUNT_WEIGHTS), rng.random() * sum(COUNT_WEIGHTS)))
    background = _pick(rng, BACKGROUNDS)
    if unseen:
        background, *first = _pick(rng, held)
        chosen = [tuple(first)]
    else:
        chosen = []
    while len(chosen) < count:
        name = _pick(rng, drawn)
        colour = _pick(rng, KINDS[name].colours or (None,))
        if name not in [other for other, _ in chosen] and not held_out(name, colour, background):
            chosen.append((name, colour))
    low, high = PLACES[background].horizon
    horizon = low + (high - low) * rng.random()
    sides = sorted((_side(rng, count) for _ in chosen), reverse=True)
    order = rng.permutation(count)
    placements: list[Placement] = []
    for side, i in zip(sides, order, strict=True):
        placements.append(_place(rng, *chosen[i], side, horizon, placements))
    return Layout(background, horizon, tuple(sorted(placements, key=lambda p: p.depth)))


def _pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    return choices[int(rng.random() * len(choices))]


def _side(rng: np.random.Generator, count: int) -> float:
    """A random side, log-uniform within a range: mostly ordinary sizes, some of them small."""
    largest, ordinary = LARGEST_OF[count - 1], 0.2 if count == 1 else 1 / 7
    draw, place = rng.random(2)
    low, high = (SMALLEST, ordinary) if draw < (0.12 if count == 1 else 0.25) else (ordinary, largest)
    return low * (high / low) ** place


def _place(
    rng: np.random.Generator,
    name: str,
    colour: str | None,
    side: float,
    horizon: float,
    others: list[Placement],
) -> Placement:
    """Find a free place for an object; without one it shrinks, and finally takes the least crowded place."""
    kind = KINDS[name]
    sprite = _pick(rng, sprites_of(name, _pick(rng, ACTIONS) if name == "person" else None))
    flipped = bool(kind.mirrors and rng.random() < 0.5)
    flying = kind.flies and rng.random() < 0.75
    best, least = None, math.inf
    for attempt in range(60):
        width, height = (side * part for part in sprite.proportions)
        u, v = rng.random(2)
        x = MARGIN + u * (1 - width - 2 * MARGIN)
        if flying:
            y, depth = MARGIN + v * (0.8 - height), 0.2 + 0.7 * side / LARGEST
        else:
            lowest = max(horizon + 0.04, height + MARGIN)
            bottom = lowest + v * (1 - MARGIN - lowest)
            y, depth = bottom - height, FAR + (1 - FAR) * (bottom - horizon) / (1 - horizon)
        candidate = Placement(sprite, colour, flipped, x, y, width, height, float(depth), not flying)
        crowding = _crowding(candidate, others)
        if crowding < least:
            best, least = candidate, crowding
        if crowding <= 1:
            break
        if attempt % 6 == 5:
            side = max(SMALLEST, side * 0.85)
    return best


def _crowding(candidate: Placement, others: list[Placement]) -> float:
    """How much a candidate would hide or be hidden; 1 is the most that is allowed."""
    worst = hidden = 0.0
    for other in others:
        shared = candidate.overlap(other)
        if not shared:
            continue
        near, far = (candidate, other) if candidate.depth >= other.depth else (other, candidate)
        worst = max(worst, shared / (near.width * near.height) / MAX_OVERLAP)
        covered = sum(far.overlap(o) for o in others if o is not far and o.depth > far.depth)
        hidden = max(hidden, (covered + (shared if near is candidate else 0)) / (far.width * far.height))
    return max(worst, hidden / MAX_COVER)


DRAWN_THINGS = THINGS + ("person",) * (PERSON_WEIGHT - 1)
HELD_OUT: tuple[tuple[str, str, str | None], ...] = tuple(
    (background, name, colour)
    for background in BACKGROUNDS
    for name in THINGS
    for colour in KINDS[name].colours or (None,)
    if held_out(name, colour, background)
)
"""All held-out combinations of background, thing and colour."""
