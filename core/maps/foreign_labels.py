"""Foreign labels, those of any segmentation model, are matched to the labels of a palette."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .conversion import counterparts
from .palettes import PALETTES, Palette
from .prompt_objects import labels_from

KNOWN = 0.5  # a model counts as trained on a palette if at least this share of its names is in it


def counterparts_of(names: Sequence[str], target: Palette) -> dict[str, str | None]:
    """The counterpart in `target` of every label name of a model, or None.

    A name may list several words for one thing, separated by commas, as in ADE20K's full names, and may end
    in -merged, as in COCO's panoptic names. If the names belong to a built-in palette, its table to `target`
    is used. Any other name is matched to the label with the same name, or to a label that the word means
    (`object_words`).
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
    """The palette's label for each name that it knows."""
    labels = {" ".join(_words(label)): label for label in palette.labels}
    found = {
        name: next((labels[word] for word in words if word in labels), None)
        for name, words in spelled.items()
    }
    return {name: label for name, label in found.items() if label}


def _meant(words: list[str], target: Palette) -> str | None:
    """The label of `target` for the first of these words that means one, or None."""
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
    """The words for one thing that a name lists, in lower case, without -merged."""
    parts = (re.sub(r"-merged$", "", part.strip().casefold()) for part in re.split("[,;]", name))
    return [" ".join(_words(part)) for part in parts if part]


def _words(label: str) -> list[str]:
    return label.casefold().replace("_", " ").split()
