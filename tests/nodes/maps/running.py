"""Maps and the way to run nodes on them, shared by the tests of the map nodes."""

from __future__ import annotations

import json
from types import SimpleNamespace

import torch
from finesse.core.maps.custom_palette import custom_palette

COLOURS = {"dog": "#ff0000", "cat": "#0000ff", "grass": [0, 128, 0], "background": [0, 0, 0]}
CUSTOM = {"palette": "custom", "custom_palette": json.dumps(COLOURS)}
MINE = custom_palette(COLOURS)
LETTERS = {"d": "dog", "c": "cat", "g": "grass", ".": "background"}


def run(node, **inputs):
    """The node's outputs by their names, run with the inputs given and the defaults of its schema."""
    schema = node.GET_SCHEMA()
    known = {item.id: item for item in schema.inputs}
    assert set(inputs) <= set(known)
    defaults = {
        name: item.default
        for name, item in known.items()
        if not item.optional and getattr(item, "default", None) is not None
    }
    output = node.execute(**defaults | inputs)
    assert len(output.args) == len(schema.outputs)
    values = {out.id: value for out, value in zip(schema.outputs, output.args, strict=True)}
    return SimpleNamespace(**values, ui=output.ui)


def painted(*maps):
    """An IMAGE of maps such as "ddg. cccc" (rows of letters) in the custom palette."""
    return torch.stack([_one(text) for text in maps])


def _one(text):
    rows = [[MINE.colours[MINE.index(LETTERS[letter])] for letter in row] for row in text.split()]
    return torch.tensor(rows) / 255


def solid(maps):
    """Maps (N, H, W, 3) with a square of 3x3 pixels for each: what recall counts."""
    return maps.repeat_interleave(3, 1).repeat_interleave(3, 2)
