"""What a factor reads: batches, and the latents of its parents."""

from __future__ import annotations

import pytest
import torch
from finesse.tests.nodes.factors.small_factors import assert_equal, features_of, latents, prompts, sample


@pytest.mark.parametrize(("parents", "cfg"), [(0, 1.0), (2, 4.0)])
def test_a_batch_is_as_each_alone(controlled, made, model, parents, cfg):
    factor, _ = made(parents=parents)
    finished = [latents(3, seed=6), latents(1, seed=7)][:parents]

    def run(noise, finished):
        cache = {}
        texts = [controlled(prompts(seed=s), factor, finished, cache=cache) for s in (2, 3)]
        return sample(model, noise, *texts, cfg, 2)

    together = run(latents(3), finished)
    for row in range(3):
        alone = run(latents(3)[row : row + 1], [p[row : row + 1] if len(p) > 1 else p for p in finished])
        torch.testing.assert_close(together[row : row + 1], alone, rtol=0, atol=1e-3)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_fewer_rows_of_a_parent_are_repeated_in_each_chunk(ready, made):
    factor, _ = made(parents=1)
    parent = latents(2, seed=6)
    found = features_of(ready(factor, [parent]), rows=6, chunks=2)
    assert_equal(found, features_of(ready(factor, [parent[[0, 1, 0]].repeat(2, 1, 1, 1)]), rows=6))


def test_a_parent_of_another_size_is_resized(ready, made):
    factor, _ = made(parents=1)
    parent = latents(1, 16, seed=6)
    halves = torch.nn.functional.interpolate(parent, (8, 8), mode="bilinear")
    found = features_of(ready(factor, [parent]), side=8)
    assert_equal(found, features_of(ready(factor, [halves]), side=8))


def test_a_parent_left_out_is_zeros(ready, made):
    factor, _ = made(parents=2)
    parent = latents(2, seed=6)
    found = features_of(ready(factor, [parent, None]))
    assert_equal(found, features_of(ready(factor, [parent, torch.zeros_like(parent)])))
    assert (found[0] - features_of(ready(factor, [None, parent]))[0]).abs().max() > 0.1


def test_a_parent_drawn_alongside_is_asked_at_every_step(controlled, made, model):
    factor, _ = made(parents=1)
    finished, asked = latents(1, seed=6), []

    def alongside(sigma):
        asked.append(sigma)
        return model.model.process_latent_in(finished)

    found = sample(model, latents(), controlled(prompts(), factor, [alongside]), steps=3)
    assert torch.equal(found, sample(model, latents(), controlled(prompts(), factor, [finished]), steps=3))
    assert len(asked) == 3
    assert asked == sorted(asked, reverse=True)
    assert all(isinstance(sigma, float) for sigma in asked)
