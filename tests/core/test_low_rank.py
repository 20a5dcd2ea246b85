"""What low-rank weights begin with."""

from __future__ import annotations

import torch
from finesse.core.low_rank import initial_low_rank


def test_a_layer_begins_with_what_its_name_and_the_seed_say():
    down, up = initial_low_rank("conv_in", 5, (64, 4, 3, 3), seed=7)
    assert (down.shape, up.shape) == ((5, 36), (64, 5))
    assert not up.any()
    assert 0.9 / 6 < down.abs().max() <= 1 / 6
    torch.rand(3)
    assert torch.equal(initial_low_rank("conv_in", 5, (64, 4, 3, 3), seed=7)[0], down)
    others = [("conv_in", 8), ("conv_out", 7), ("conv_ni", 7)]
    drawn = [initial_low_rank(name, 5, (64, 36), seed)[0] for name, seed in others]
    assert all((other - down).abs().max() > 0.1 for other in drawn)


def test_the_numbers_stay_what_they_are():
    down, _ = initial_low_rank("mid_block.resnets.0.conv1", 1, (2, 3), seed=0)
    torch.testing.assert_close(down, torch.tensor([[0.306783, 0.537195, 0.205223]]), rtol=0, atol=1e-6)
