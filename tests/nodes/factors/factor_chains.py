"""Chains of random factors of the miniature, and how the tests draw their maps."""

from __future__ import annotations

import itertools
import json

import torch
from finesse.core.factors.files import FactorInfo, write_factor
from finesse.core.maps.custom_palette import custom_palette
from finesse.tests.nodes.factors.small_factors import prompts, random_factor

SIDE = 32  # pixels of a map: 8 latent cells
SEED = 40
PARENTS = {
    "segmentation": (),
    "depth": ("segmentation",),
    "normal": ("segmentation", "depth"),
    "sketch": (),
}
DRAWN = {
    "seed": SEED,
    "count": 3,
    "width": SIDE,
    "height": SIDE,
    "steps": 4,
    "cfg": 3.0,
    "sampler_name": "euler",
    "scheduler": "normal",
    "order": "together",
}
NAMES = ("soot", "water", "grass", "ice", "brick", "plum", "sand", "snow")
COLOURS = dict(zip(NAMES, itertools.product((60, 200), repeat=3), strict=True))
CORNERS = custom_palette(COLOURS)  # in which random maps show this and that
CUSTOM = {"palette": "custom", "custom_palette": json.dumps(COLOURS)}


def write_chain_factor(path, condition, parents=None, **settings):
    """A factor file of that condition, its last convolutions small; those of the same condition are alike."""
    parents = PARENTS[condition] if parents is None else parents
    factor = random_factor(parents=len(parents), **settings)
    for adapter in factor.adapters:
        for block in adapter.body:
            block.out_layers[-1].weight.data *= 0.3 + len(condition) / 20
    palette = "corners" if condition == "segmentation" else ""
    write_factor(path, factor, FactorInfo(condition=condition, palette=palette, base="tiny", parents=parents))


def texts():
    return {"positive": prompts(seed=2), "negative": prompts(seed=3)}


def noise_of(seed):
    """What a stock KSampler starts from, (1, 4, 8, 8)."""
    return torch.randn(1, 4, SIDE // 4, SIDE // 4, generator=torch.Generator().manual_seed(seed))


def ksampler(model, seed, positive, negative, settings):
    """The latent that core's KSampler node makes of an empty latent of one row."""
    import nodes

    empty = {"samples": torch.zeros(1, 4, SIDE // 4, SIDE // 4)}
    names = ("steps", "cfg", "sampler_name", "scheduler")
    (found,) = nodes.common_ksampler(
        model, seed, *(settings[name] for name in names), positive, negative, empty
    )
    return found["samples"]
