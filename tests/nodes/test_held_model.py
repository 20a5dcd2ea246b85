"""Models of transformers stay in memory as long as ComfyUI keeps them, and no longer."""

from __future__ import annotations

import gc
import weakref
from types import SimpleNamespace

import pytest
import torch


@pytest.fixture
def latest(comfy):
    """Asks for the model of some files; `latest.read` lists what was read from them."""
    from finesse.nodes.held_model import LatestModel, held

    kept, read = LatestModel(), []

    def load(files):
        read.append(files)
        return SimpleNamespace(patcher=held(torch.nn.Linear(4, 4)))

    return SimpleNamespace(get=lambda files: kept.get(files, lambda: load(files)), read=read)


def weights(model):
    return weakref.ref(model.patcher.model.network.weight)


def use(model):
    import comfy.model_management as memory

    memory.load_models_gpu([model.patcher], force_full_load=True)


def test_it_is_read_once_and_stays_between_two_runs(latest):
    alive = weights(latest.get("a"))
    for _ in range(3):
        use(latest.get("a"))
        gc.collect()
    assert alive() is latest.get("a").patcher.model.network.weight
    assert latest.read == ["a"]


def test_one_that_comfyui_unloads_leaves_the_memory_and_is_read_again(latest):
    import comfy.model_management as memory

    use(latest.get("a"))
    alive = weights(latest.get("a"))
    memory.unload_all_models()
    gc.collect()
    assert alive() is None
    use(latest.get("a"))
    assert latest.read == ["a", "a"]


def test_of_two_the_latest_stays(latest):
    use(latest.get("a"))
    alive = weights(latest.get("a"))
    use(latest.get("b"))
    gc.collect()
    assert alive() is None
    use(latest.get("b"))
    assert latest.read == ["a", "b"]
