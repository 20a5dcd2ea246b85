"""What the map editor's model says in Node, for tests that compare it with Python."""

from __future__ import annotations

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path

import numpy as np
import playwright
from finesse.miniature.world.scenes import scene

HERE = Path(__file__).resolve().parent / "js"
NODE = Path(playwright.__file__).parent / "driver" / ("node.exe" if sys.platform == "win32" else "node")


def run_node(*arguments, questions=None):
    return subprocess.run(
        [NODE, *arguments], input=questions, capture_output=True, text=True, encoding="utf-8", timeout=300
    )


def ask(name, *given):
    """The model's answers to questions of one kind, each given as a dict."""
    done = run_node(HERE / "parity.mjs", questions=json.dumps([[name, values] for values in given]))
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def text(data):
    return b64encode(
        bytes(data) if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
    ).decode()


def sent(image):
    """An RGB or RGBA picture, for a question."""
    if image.shape[2] == 3:
        image = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    return {"width": image.shape[1], "height": image.shape[0], "rgba": text(image)}


def received(answer, channels=3):
    pixels = np.frombuffer(b64decode(answer["rgba"]), np.uint8)
    return pixels.reshape(answer["height"], answer["width"], 4)[..., :channels]


def sent_palette(palette):
    return {"name": palette.name, "labels": palette.labels, "colours": palette.colours}


def rng(seed):
    return np.random.default_rng(seed)


def noise(random, height, width, labels, cell=1):
    """A map of random labels in cells of some pixels."""
    small = random.integers(labels, size=(-(-height // cell), -(-width // cell)))
    return np.kron(small, np.ones((cell, cell), int))[:height, :width].astype(np.uint8)


def label_maps():
    random = rng(0)
    yield from (scene(seed, 96).labels for seed in range(3))
    yield from (noise(random, 37, 53, labels, cell) for labels in (2, 3, 9) for cell in (1, 2, 7))
    yield noise(random, 1, 30, 2)
    yield noise(random, 30, 1, 2)
