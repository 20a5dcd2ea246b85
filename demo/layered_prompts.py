"""Adapts layered edits to the miniature: a photo of one large subject, an empty place, steps and rates."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..miniature.world.backgrounds import PLACES, draw_background
from ..miniature.world.scene import Scene
from ..miniature.world.scenes import scene
from ..miniature.world.things import SUBJECTS
from .client import Prompt

LAYERS = ("FinesseOptimiseLayers", "FinesseLoadLayeredEdit")
BACKGROUND = "Background"  # the title of a picture that shows an empty place
BACKGROUND_FILE = "background.png"
LARGE = 0.42  # smallest share of the side that a photo's subject takes
LEARNING: dict[str, dict[str, Any]] = {
    "FinesseOptimiseLayers": {"steps": 60, "learning_rate": 3e-4, "alpha": 0.5},
    "FinesseFineTuneLayers": {"steps": 50, "learning_rate": 2e-4},
    "FinesseIterativeGuidance": {"cfg": 4.0},
}
LOW_RANK_LEARNING = {"steps": 200, "learning_rate": 2e-3}


def learning_of(node: dict[str, Any]) -> dict[str, Any]:
    """Inputs of a node that differ on the miniature."""
    if node["inputs"].get("weights") == "low-rank":
        return LOW_RANK_LEARNING
    return LEARNING.get(node["class_type"], {})


def is_layered(prompt: Prompt) -> bool:
    """Tell whether a prompt makes or uses a layered edit."""
    return any(node["class_type"] in LAYERS for node in prompt.values())


def photo_for(text: str, size: int) -> Scene:
    """Find the first test scene of one large subject that `text` names, in another state and place."""
    for seed in range(10_000):
        drawn = scene(seed, size, count=1, split="test", things=SUBJECTS)
        (subject,) = drawn.objects
        named = subject.name in text and subject.phrase not in text
        if named and PLACES[drawn.background].phrase not in text and max(subject.box[2:]) >= LARGE * size:
            return drawn
    raise ValueError(f"text: got {text!r}; name one of {', '.join(SUBJECTS)}, doing or being something.")


def place_for(text: str, size: int) -> np.ndarray:
    """Draw the place that `text` names, empty: uint8 (size, size, 3)."""
    place = next(name for name, known in PLACES.items() if known.phrase in text)
    horizon = sum(PLACES[place].horizon) / 2
    return draw_background(place, horizon, size, np.random.default_rng(0)).pixels
