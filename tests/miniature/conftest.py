"""A miniature with random weights, and ComfyUI's modules to load it with."""

from __future__ import annotations

import pytest
from finesse.benchmarks import parity
from finesse.miniature.model import networks as models
from finesse.miniature.small_object_set import write_samples


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    parity.import_comfyui()
    folder = tmp_path_factory.mktemp("miniature")
    models.random(folder)
    return folder


@pytest.fixture(scope="session")
def small_objects(tmp_path_factory):
    """The miniature's small objects as training data."""
    folder = tmp_path_factory.mktemp("small_objects")
    write_samples(folder, folder / "cache", "train", 40, 64)
    return folder / "train"
