"""The guidance by a larger box's attention, in float64, against numpy, finite differences and diffusers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler
from finesse.benchmarks.soediff.attention_guidance import (
    Focus,
    attention_loss,
    enlarged,
    pull,
    sample_guided,
)
from finesse.core.schedule import NoiseSchedule
from finesse.core.small_objects.boxes import Box
from torch.nn import functional as F

TOKENS, SIDE = 6, 16
FOCUS = Focus(Box(4, 8, 2, 5), Box(2, 5, 6, 11), (16, 16), words=range(1, 5), label=(3, 4))
TIME = torch.tensor([500, 500])


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def denoiser(seed):
    """A small model with cross-attention in two layers, of 16 x 16 and of 4 x 4 cells."""
    keys = [seeded(TOKENS, 4, seed=seed + layer) for layer in range(2)]

    def run(latent, timestep, cond):
        coarse = F.avg_pool2d(latent, 4)
        maps = [
            torch.einsum("bchw,tc->bthw", part.tanh() * cond.mean(), key).softmax(dim=1)
            for part, key in zip((latent, coarse), keys, strict=True)
        ]
        noise = latent.tanh() * cond.mean() + F.interpolate(maps[1][:, :4], latent.shape[-2:])
        return noise * (timestep[:, None, None, None] / 1000), maps

    return run


def bilinear(old, new):
    """(new, old) weights of an axis that is read at half-pixel centres."""
    weights = np.zeros((new, old))
    for i in range(new):
        place = min(max((i + 0.5) * old / new - 0.5, 0), old - 1)
        low = int(place)
        weights[i, low] += 1 - (place - low)
        weights[i, min(low + 1, old - 1)] += place - low
    return weights


# rows and columns that the boxes touch in each layer: the small one, then the large one
CELLS = [
    ((slice(8, 13), slice(4, 6)), (slice(5, 16), slice(2, 8))),
    ((slice(2, 4), slice(1, 2)), (slice(1, 4), slice(0, 2))),
]


def loss_in_numpy(maps, wanted):
    total = 0.0
    for layer, other, (small, large) in zip(maps, wanted, CELLS, strict=True):
        for row in range(len(layer)):
            for token in (3, 4):
                inside, goal = layer[row, token][small], other[row, token][large]
                down, across = (bilinear(*pair) for pair in zip(goal.shape, inside.shape, strict=True))
                total += np.mean((down @ goal @ across.T - inside) ** 2)
            total += sum(np.mean((other[row, token] - layer[row, token]) ** 2) for token in (1, 2, 3, 4))
    return total


def test_the_loss_is_that_of_the_paper():
    latent, cond = seeded(2, 4, SIDE, SIDE), torch.ones(1, TOKENS, 3, dtype=torch.float64)
    maps, wanted = (denoiser(seed)(latent, TIME, cond)[1] for seed in (0, 10))
    found = attention_loss(maps, wanted, FOCUS)
    expected = loss_in_numpy(*([layer.numpy() for layer in layers] for layers in (maps, wanted)))
    assert found.item() == pytest.approx(expected, rel=1e-12)
    assert attention_loss(maps, maps, replace(FOCUS, large=FOCUS.box)).item() == 0


def test_the_latent_goes_down_the_gradient():
    latent, cond = seeded(2, 4, SIDE, SIDE), torch.ones(1, TOKENS, 3, dtype=torch.float64)
    small = denoiser(0)
    wanted = denoiser(10)(latent, TIME, cond)[1]

    def loss(moved):
        return loss_in_numpy(
            [layer.numpy() for layer in small(moved, TIME, cond)[1]], [layer.numpy() for layer in wanted]
        )

    moved, before = pull(small, latent, TIME, cond, wanted, FOCUS, rate=10.0)
    assert before.item() == pytest.approx(loss(latent), rel=1e-12)
    for place in ((0, 0, 9, 4), (1, 2, 12, 5), (0, 3, 0, 15), (1, 1, 8, 8)):
        nudge = torch.zeros_like(latent)
        nudge[place] = 1e-5
        slope = (loss(latent + nudge) - loss(latent - nudge)) / 2e-5
        assert (latent - moved)[place].item() == pytest.approx(10 * slope, rel=1e-5, abs=1e-10)
    assert loss(moved) < before.item()
    assert not moved.requires_grad


def test_without_guided_steps_it_is_ddim():
    schedule, timesteps = NoiseSchedule.scaled_linear(), [750, 500, 250, 0]
    noise, cond, empty = seeded(2, 4, SIDE, SIDE), *(seeded(1, TOKENS, 3, seed=s) + 1 for s in (1, 2))
    small = denoiser(0)
    steps = list(
        sample_guided(
            small, None, noise, cond, empty, FOCUS, schedule, timesteps, guidance=3.0, guided_steps=0
        )
    )
    assert [(step.step, step.total, step.loss) for step in steps] == [(n, 4, None) for n in (1, 2, 3, 4)]
    solver = DDIMScheduler(clip_sample=False)
    solver.alphas_cumprod = schedule.alphas_cumprod
    solver.set_timesteps(4)
    latent = noise
    for time, now in zip(solver.timesteps, timesteps, strict=True):
        assert time == now
        timestep = torch.full((2,), now)
        without, with_text = (small(latent, timestep, text)[0] for text in (empty, cond))
        latent = solver.step(without + 3.0 * (with_text - without), time, latent).prev_sample
    torch.testing.assert_close(steps[-1].latent, latent, rtol=1e-6, atol=1e-6)


def test_the_first_steps_are_guided_by_a_second_latent_of_the_large_box():
    schedule, timesteps = NoiseSchedule.scaled_linear(), [900, 600, 300, 0]
    noise, cond, empty = seeded(1, 4, SIDE, SIDE), *(seeded(1, TOKENS, 3, seed=s) + 1 for s in (1, 2))
    asked = {"small": [], "large": []}

    def heard(name, seed):
        def run(latent, timestep, text):
            asked[name].append((int(timestep[0]), torch.is_grad_enabled(), text is cond))
            return denoiser(seed)(latent, timestep, text)

        return run

    def sample(**options):
        return list(
            sample_guided(
                heard("small", 0),
                heard("large", 10),
                noise,
                cond,
                empty,
                FOCUS,
                schedule,
                timesteps,
                **options,
            )
        )

    guided = sample(guided_steps=2, iterations=3, rate=50.0)
    plain, pulled = (False, True), (True, True)
    assert asked["large"] == [(t, *step) for t in (900, 600) for step in (plain, (False, False))]
    assert [each[0] for each in asked["small"]] == [900] * 5 + [600] * 5 + [300] * 2 + [0] * 2
    assert [each[1:] for each in asked["small"][:5]] == [pulled] * 3 + [plain, (False, False)]
    assert [step.loss is not None for step in guided] == [True, True, False, False]
    # the target of the second step is the large box's, one DDIM step further, and not the small one's
    first, second = guided[0].latent, guided[1].latent
    large = list(
        sample_guided(denoiser(10), None, noise, cond, empty, FOCUS, schedule, timesteps, guided_steps=0)
    )
    wanted = denoiser(10)(large[0].latent, torch.tensor([600]), cond)[1]
    for _ in range(3):
        first, loss = pull(denoiser(0), first, torch.tensor([600]), cond, wanted, FOCUS, 50.0)
    assert loss == guided[1].loss
    assert not torch.equal(second, sample(guided_steps=1, iterations=3, rate=50.0)[1].latent)


@pytest.mark.parametrize(
    ("box", "factor", "expected"),
    [
        (Box(20, 30, 8, 6), 2, Box(16, 27, 16, 12)),
        (Box(20, 30, 8, 6), 1, Box(20, 30, 8, 6)),
        (Box(0, 30, 8, 6), 3, Box(0, 30, 8, 6)),  # at the edge there is no room
        (Box(4, 30, 8, 6), 3, Box(0, 27, 16, 12)),  # 2 times is as large as it gets
        (Box(56, 50, 4, 8), 3, Box(53, 44, 10, 20)),
    ],
)
def test_the_large_box_has_the_same_centre_and_stays_inside(box, factor, expected):
    assert enlarged(box, factor, (64, 64)) == expected


def test_what_does_not_belong_together_is_refused():
    layer = torch.rand(1, TOKENS, 4, 4)
    with pytest.raises(ValueError, match=r"maps: got \[\(1, 6, 4, 4\)\], but wanted are \[\]"):
        attention_loss([layer], [], FOCUS)
    with pytest.raises(ValueError, match=r"timesteps: got \[1, 5\]"):
        next(sample_guided(None, None, layer, layer, layer, FOCUS, NoiseSchedule.scaled_linear(), [1, 5]))
