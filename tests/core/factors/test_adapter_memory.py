"""How much memory a factor says it takes, against what its forward pass really holds at once."""

from __future__ import annotations

import weakref

import pytest
import torch
from finesse.core.factors.adapter import Factor, PlainAdapter, TimestepAdapter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

MINIATURE = (64, 128, 128)
SD1 = (32, 64, 128, 128)  # its shape, a tenth as wide


class Live(TorchDispatchMode):
    """Counts the bytes of all tensors that are alive of those made inside; `peak` is the most at once."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.known = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        found = function(*args, **kwargs or {})
        for tensor in tree_flatten(found)[0]:
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        self.peak = max(self.peak, self.now)
        return found

    def _count(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key not in self.known:
            self.known.add(key)
            self.now += size
            weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key, size):
        self.known.discard(key)
        self.now -= size


@pytest.mark.parametrize("widths", [MINIATURE, SD1])
@pytest.mark.parametrize("adapters", [1, 2, 3])
@pytest.mark.parametrize("kind", ["timestep", "plain"])
def test_it_takes_what_it_says(kind, adapters, widths):
    parts = [
        TimestepAdapter(widths, 48) if kind == "timestep" else PlainAdapter(widths) for _ in range(adapters)
    ]
    factor = Factor(parts)
    latents, time = [torch.randn(3, 4, 32, 24) for _ in parts], torch.randn(3, 48)
    with torch.no_grad(), Live() as live:
        features = factor(latents, time)
    assert len(features) == len(widths)
    told = factor.peak_bytes(3 * 32 * 24, 4)
    assert told / 2 < live.peak <= told
    assert factor.peak_bytes(3 * 32 * 24, 2) == pytest.approx(told / 2, abs=1)
