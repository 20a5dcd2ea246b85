"""Captions describe scenes in a small, simple English."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .backgrounds import PLACES
from .layout import Layout, Placement
from .scene import Scene
from .things import ACTIONS, COLOURS, THINGS, object_phrase

SAID_ALWAYS = 0.1  # objects with at least this side are always named, smaller ones half of the time
RELATIONS = ("left of", "right of", "above", "below", "in front of")
APART = 0.12  # two objects have a visible relation if their centres are at least this far apart


def vocabulary() -> tuple[str, ...]:
    """All words that captions use, sorted, including the comma."""
    texts = (*THINGS, *COLOURS, *ACTIONS, *RELATIONS, *(place.phrase for place in PLACES.values()))
    return tuple(sorted({word for text in texts for word in text.split()} | {"a", "an", "and", ","}))


def caption(layout: Layout, rng: np.random.Generator) -> str:
    """A true sentence about the composition; colours, the place and tiny objects are left out at random."""
    told = [p for p in layout.placements if p.side >= SAID_ALWAYS or rng.random() < 0.5]
    told = told or list(layout.placements[-1:])
    with_colours = rng.random() < 0.8
    phrases = {
        id(p): object_phrase(p.sprite.name, p.colour if with_colours else None, p.sprite.action) for p in told
    }
    told = [told[i] for i in rng.permutation(len(told))]
    text = _related(told, phrases, rng) or listed([phrases[id(p)] for p in told])
    if rng.random() < 0.8:
        text += " " + PLACES[layout.background].phrase
    return text


def plain_caption(drawn: Scene, rng: np.random.Generator) -> str:
    """A caption for measuring recall: all objects except tiny ones, without colours, and mostly the place."""
    size = len(drawn.labels)
    told = [item for item in drawn.objects if max(item.frame[2:]) >= SAID_ALWAYS * size]
    told = told or list(drawn.objects[-1:])
    phrases = [object_phrase(told[i].name, None, told[i].action) for i in rng.permutation(len(told))]
    place = f" {PLACES[drawn.background].phrase}" if rng.random() < 0.8 else ""
    return listed(phrases) + place


def relation(first: Placement, second: Placement) -> str | None:
    """The visible relation of the first object to the second, such as "left of", or None."""
    dx, dy = (a - b for a, b in zip(first.centre, second.centre, strict=True))
    if first.depth > second.depth and first.overlap(second) > 0.05 * first.width * first.height:
        return "in front of"
    if abs(dx) >= max(APART, 1.5 * abs(dy)):
        return "left of" if dx < 0 else "right of"
    if abs(dy) >= max(APART, 1.5 * abs(dx)):
        return "above" if dy < 0 else "below"
    return None


def _related(told: Sequence[Placement], phrases: dict[int, str], rng: np.random.Generator) -> str | None:
    """A phrase for two objects and their relation; None if they have none, and in 40% of all other cases."""
    if len(told) != 2 or rng.random() < 0.4:
        return None
    word = relation(*told)
    return word and f"{phrases[id(told[0])]} {word} {phrases[id(told[1])]}"


def listed(phrases: Sequence[str]) -> str:
    """Join phrases as in "a, b and c"."""
    if len(phrases) == 1:
        return phrases[0]
    return ", ".join(phrases[:-1]) + " and " + phrases[-1]
