"""The labels of a segmentation model that knows none of our palettes, as labels of a palette."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .conversion import counterparts
from .palettes import PALETTES, Palette
from .prompt_objects import labels_from

KNOWN = 0.5  # the fraction of a palette's names from which on a model is taken to be trained on it


def counterparts_of(names: Sequence[str], target: Palette) -> dict[str, str | None]:
    """For every name that a model has for a label, the label of `target` that stands for it, or None.

    A name may list words for one thing with commas, as ADE20K's full names do, and end in -merged, as COCO's
    panoptic ones do. Where the names are those of a palette of ours, its table to `target` counts; else, and
    for the names that are not, the label of the same name or one that the word means (`object_words`).
    """
    spelled = {name: _spellings(name) for name in names}
    home = max(PALETTES.values(), key=lambda palette: len(_named_in(palette, spelled)))
    at_home = _named_in(home, spelled)
    if len(at_home) < KNOWN * len(spelled):
        at_home = {}
    to = counterparts(home, target)
    return {
        name: to[at_home[name]] if name in at_home else _meant(words, target)
        for name, words in spelled.items()
    }


def _named_in(palette: Palette, spelled: dict[str, list[str]]) -> dict[str, str]:
    """The palette's label for each of the names that it has."""
    labels = {" ".join(_words(label)): label for label in palette.labels}
    found = {
        name: next((labels[word] for word in words if word in labels), None)
        for name, words in spelled.items()
    }
    return {name: label for name, label in found.items() if label}


def _meant(words: list[str], target: Palette) -> str | None:
    """The label of `target` that the first of these words means that means one."""
    labels = {" ".join(_words(label)): label for label in target.labels}
    for word in words:
        if word in labels:
            return labels[word]
        try:
            meant = labels_from(word, target)
        except ValueError:
            continue
        if meant:
            return target.labels[meant[0]]
    return None


def _spellings(name: str) -> list[str]:
    """The words for one thing that a name lists, in small letters, without -merged."""
    parts = (re.sub(r"-merged$", "", part.strip().casefold()) for part in re.split("[,;]", name))
    return [" ".join(_words(part)) for part in parts if part]


def _words(label: str) -> list[str]:
    return label.casefold().replace("_", " ").split()
