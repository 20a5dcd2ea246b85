"""Sampling in plain diffusers."""

from __future__ import annotations

from types import SimpleNamespace

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
