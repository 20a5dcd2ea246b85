"""LayerDiffusion's numbers beside its model: mixing, guidance, precision; and what its loops refuse."""

from __future__ import annotations

import math

import pytest
import torch
from finesse.core.layers.learning import (
    CHECK_EVERY,
    fine_tune,
    interpolate,
    object_steps,
    optimise_embeddings,
)
from finesse.core.layers.losses import Layer, split_layers
from finesse.core.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.scaled_linear()
TOKENS, WIDTH = 3, 16


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def denoiser(noisy, timestep, text):
    return noisy + text.mean(dim=(1, 2))[:, None, None, None]


@pytest.fixture
def layers():
    mask = torch.zeros(16, 16)
    mask[4:12, 4:12] = 1
    return split_layers(seeded(1, 4, 8, 8), seeded(1, 4, 8, 8, seed=1), mask)


@pytest.fixture
def texts():
    return [seeded(1, TOKENS, WIDTH, seed=seed) for seed in (2, 3)]


def test_the_gradients_of_half_precision_are_not_lost(texts):
    """In float16 a cell's gradient behind a gain this small is zero, unless the loss is scaled."""

    def listens(dtype):
        def denoise(noisy, timestep, text):
            told = text.to(dtype).mean().expand(noisy.shape) * 2**-17
            return 0.5 * noisy.to(dtype) + told

        return denoise

    picture = [Layer.of(seeded(1, 4, 32, 32) + 1)]
    learn = {"embeddings": texts[:1], "schedule": SCHEDULE, "seed": 0, "steps": 3}
    *_, exact = optimise_embeddings(listens(torch.float32), picture, **learn)
    *_, half = optimise_embeddings(listens(torch.float16), picture, **learn)
    expected, found = exact.embeddings[0] - texts[0], half.embeddings[0] - texts[0]
    assert expected.abs().min() > 1e-4
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0)


@pytest.mark.parametrize("bad", [1, 4, CHECK_EVERY + 2, 14])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_is_told_with_its_step(layers, texts, bad, value):
    calls = []

    def breaks(noisy, timestep, text):
        calls.append(len(calls) + 1)
        return denoiser(noisy, timestep, text) * (value if calls[-1] == bad else 1)

    loop = optimise_embeddings(breaks, layers, texts, SCHEDULE, seed=0, steps=14)
    with pytest.raises(
        ValueError, match=rf"loss is (nan|inf) at step {bad} of 14: lower learning_rate \(0.001\)"
    ):
        list(loop)
    assert len(calls) - bad < CHECK_EVERY


def test_interpolation_ends_exactly_at_both(texts):
    first, second = texts
    assert torch.equal(interpolate(first, second, 1.0), first)
    assert torch.equal(interpolate(first, second, 0.0), second)
    expected = 0.7 * first.double() + 0.3 * second.double()
    torch.testing.assert_close(interpolate(first, second).double(), expected, rtol=1e-6, atol=1e-6)
    assert interpolate(first.half(), second).dtype == torch.float32


@pytest.mark.parametrize("every", [1, 2, 3, 7, 50])
def test_every_kth_step_is_the_objects(every):
    found = object_steps([True] * 50, every)
    assert [step + 1 for step, own in enumerate(found) if own] == list(range(every, 51, every))
    within = [14 <= step < 28 for step in range(50)]
    later = object_steps(within, every)
    assert later == [own and may for own, may in zip(found, within, strict=True)]


def test_without_a_kth_step_none_is_the_objects():
    assert object_steps([True] * 50, 0) == [False] * 50
    assert object_steps([], 0) == object_steps([], 2) == []


def test_a_step_below_the_first_is_refused():
    with pytest.raises(ValueError, match="every is -1; give 1 for all steps"):
        object_steps([True] * 50, -1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"steps": 0}, "steps: got 0"),
        ({"learning_rate": 0.0}, "learning_rate: got 0.0"),
        ({"learning_rate": math.nan}, "learning_rate: got nan"),
        ({"embeddings": [torch.zeros(1, 3, 16)]}, "embeddings: got 1 for 2 layers"),
        ({"embeddings": [torch.zeros(2, 3, 16)] * 2}, "embeddings must be of one text each"),
        ({"embeddings": [torch.zeros(1, 3, 16), torch.zeros(1, 6, 16)]}, "differ in shape.*pad the shorter"),
        ({"embeddings": [torch.full((1, 3, 16), math.nan)] * 2}, "embeddings hold values that are NaN"),
    ],
)
def test_embeddings_that_cannot_be_optimised_are_refused_at_once(layers, texts, changed, message):
    given = {"embeddings": texts, "seed": 0} | changed
    with pytest.raises(ValueError, match=message):
        optimise_embeddings(denoiser, layers, schedule=SCHEDULE, **given)


def test_weights_that_cannot_be_tuned_are_refused_at_once(layers, texts):
    usable = [torch.zeros(3)]

    def tune(weights=(2, 1), parameters=usable):
        fine_tune(denoiser, layers, weights, texts[0], parameters, SCHEDULE, seed=0)

    for weights in ((0, 0), (-1, 1), (math.nan, 1), (math.inf, 1)):
        with pytest.raises(ValueError, match=r"weights: got .* numbers from 0"):
            tune(weights)
    with pytest.raises(ValueError, match="weights: got 1 for 2 layers"):
        tune((2,))
    with pytest.raises(ValueError, match="parameters: got none"):
        tune(parameters=())
    with pytest.raises(ValueError, match=r"parameters: one is torch\.bfloat16"):
        tune(parameters=[torch.zeros(3, dtype=torch.bfloat16)])
    with torch.inference_mode():
        frozen = torch.zeros(3)
    with pytest.raises(ValueError, match="made in inference mode"):
        tune(parameters=[frozen])
