"""Sampling in plain diffusers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch
from finesse.training.models import sampling


def test_sampling_takes_turns():
    """A UNet that answers with the mean of its text shows which one each step has read."""
    read = []

    def unet(latents, timestep, context, added_cond_kwargs=None):
        read.append((context[:, 0, 0].tolist(), added_cond_kwargs))
        return SimpleNamespace(sample=latents * context.mean(dim=(1, 2))[:, None, None, None])

    texts = torch.full((2, 3, 5), 0.25)
    noise, empty, other = torch.randn(2, 4, 4, 4), torch.zeros(3, 5), torch.full((1, 3, 5), 0.5)

    def sample(context, **settings):
        return sampling.sample(unet, context, empty, noise, steps=4, **settings)

    plain, all_other = sample(texts), sample(other.expand(2, -1, -1))
    assert torch.equal(sample(texts, turns=(other, None, [False] * 4)), plain)
    assert torch.equal(sample(texts, turns=(other, None, [True] * 4)), all_other)
    read.clear()
    turns = [False, True, False, True]
    sample(texts, added={"of": "texts"}, turns=(other, {"of": "other"}, turns))
    expected = {False: ([0, 0, 0.25, 0.25], {"of": "texts"}), True: ([0, 0, 0.5, 0.5], {"of": "other"})}
    assert read == [expected[turn] for turn in turns]


def test_sampling_from_a_picture_comes_back_to_it_where_the_noise_is_known():
    clean, noise, read = torch.randn(1, 4, 4, 4), torch.randn(2, 4, 4, 4), []

    def unet(latents, timestep, context, added_cond_kwargs=None):
        read.append(int(timestep))
        return SimpleNamespace(sample=noise.repeat(2, 1, 1, 1))

    def sample(strength):
        texts, empty = torch.zeros(2, 3, 5), torch.zeros(3, 5)
        return sampling.sample(unet, texts, empty, noise, start=(clean, strength), steps=10)

    for strength, steps in ((1.0, 10), (0.7, 7), (0.0, 1)):
        read.clear()
        torch.testing.assert_close(sample(strength), clean.expand(2, -1, -1, -1), rtol=0, atol=1e-4)
        assert len(read) == steps


def test_a_grid_shows_every_picture_enlarged_in_rows():
    colours = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]).float()
    sheet = np.asarray(sampling.grid(colours[..., None, None].expand(-1, -1, 2, 3), columns=3, zoom=2))
    assert sheet.shape == (2 * 2 * 2, 3 * 3 * 2, 3)
    tiles = sheet.reshape(2, 4, 3, 6, 3).swapaxes(1, 2).reshape(6, -1, 3)
    for tile, colour in zip(tiles, [*colours, torch.zeros(3)], strict=True):
        assert (tile == 255 * colour.numpy()).all()
    assert sampling.grid(torch.ones(1, 3, 4, 4), columns=1).size == (4, 4)


def test_pictures_become_arrays_of_bytes():
    pixels = torch.rand(2, 3, 4, 5)
    expected = (255 * pixels).round().movedim(1, -1).numpy()
    found = sampling.to_arrays(pixels)
    assert np.array_equal(found, expected)
    assert (sampling.from_arrays(list(found)) - pixels).abs().max() <= 0.5001 / 255
