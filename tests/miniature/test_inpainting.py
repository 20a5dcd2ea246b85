"""The holes the twin learns from, and what it is shown of them."""

from __future__ import annotations

import pytest
import torch
from finesse.miniature import inpainting, models
from finesse.miniature.data import load_scenes
from finesse.miniature.judges import CROP, crop
from finesse.miniature.scenes import THINGS


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return load_scenes(tmp_path_factory.mktemp("cache"), "train", 300, 64)


def test_holes_are_never_small(scenes):
    generator = torch.Generator().manual_seed(0)
    holes, texts = zip(*(inpainting._hole(scenes, row, generator) for row in range(300)), strict=True)
    sides = torch.stack([(hole[2:] - hole[:2]).amax() for hole in holes]) / 64
    assert sides.min() >= inpainting.SMALLEST_OBJECT
    assert sum(text.removeprefix("a ").split()[-1] in THINGS for text in texts) > 0.2 * 300


def test_masks_cover_exactly_their_boxes():
    mask = inpainting.draw_masks(torch.tensor([[8.0, 16.0, 24.0, 20.0]]), 64)
    assert mask.shape == (1, 1, 64, 64)
    assert mask.sum() == 16 * 4
    assert mask[0, 0, 16:20, 8:24].all()


def test_the_masked_latent_does_not_see_the_hole():
    vae = models.build_vae(64).eval()
    mask = inpainting.draw_masks(torch.tensor([[16.0, 16.0, 48.0, 48.0]]), 64)
    pixels = torch.rand(1, 3, 64, 64)
    other = torch.where(mask > 0, torch.rand(1, 3, 64, 64), pixels)
    first, second = (inpainting.condition(vae, p, mask) for p in (pixels, other))
    assert torch.equal(first, second)
    assert torch.equal(first[:, :1].bool()[..., 4:12, 4:12], torch.ones(1, 1, 8, 8, dtype=torch.bool))
    assert first[:, :1].sum() == 64


def test_a_crop_shows_its_box_with_a_margin():
    pixels = torch.zeros(1, 3, 64, 64)
    pixels[:, 0, 16:32, 20:36] = 1.0
    shown = crop(pixels, torch.tensor([[20.0, 16.0, 36.0, 32.0]]))
    assert shown.shape == (1, 3, CROP, CROP)
    margin = round(0.15 / 1.3 * CROP)
    inside = shown[0, 0, margin + 1 : -margin - 1, margin + 1 : -margin - 1]
    assert inside.min() > 0.999
    assert shown[0, 0, 0].max() == 0.0
