"""What a cached map example holds beside its latents."""

from __future__ import annotations

import pytest
import torch
from finesse.training.factors.examples import area_weights


def test_a_label_of_n_pixels_weighs_the_root_of_n():
    maps = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    maps[0, 1, :4, :4] = 255  # 16 of 256 pixels
    maps[1, 2, :, 8:] = 7
    weight = area_weights(maps, (16, 16)).double()
    assert weight.shape == (2, 1, 16, 16)
    small, rest = weight[0, 0, 0, 0].item(), weight[0, 0, 8, 8].item()
    assert small * 16 / (rest * 240) == pytest.approx(16**0.5 / 240**0.5)
    assert weight.mean(dim=(1, 2, 3)).tolist() == pytest.approx([1, 1])
    assert weight[1].unique().tolist() == pytest.approx([1])


def test_a_cell_weighs_what_its_pixels_weigh():
    maps = torch.randint(0, 3, (1, 1, 16, 16), dtype=torch.uint8).expand(-1, 3, -1, -1)
    fine, coarse = area_weights(maps, (16, 16)), area_weights(maps, (4, 4))
    assert torch.allclose(coarse, torch.nn.functional.avg_pool2d(fine, 4), atol=1e-6)
