"""A miniature with random weights, and ComfyUI's modules to load it with."""

from __future__ import annotations

import pytest
from finesse.benchmarks import parity
from finesse.miniature import models


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    parity.import_comfyui()
    folder = tmp_path_factory.mktemp("miniature")
    models.random(folder)
    return folder
