"""What a factor learns: its loss against the formula in float64, its parents' noise, its distillation."""

from __future__ import annotations

import pytest
import torch
from finesse.core.factors.attention import attention_divergence
from finesse.core.schedule import NoiseSchedule
from finesse.miniature.model.networks import TEXT_WIDTH, build_unet
from finesse.training.factors.task import FactorTask
from finesse.training.loop.batches import Draw
from finesse.training.models.attention import recorded
from finesse.training.models.factor_unet import FactoredUNet, build_factor

SCHEDULE = NoiseSchedule.scaled_linear()
ROWS = 3


def task(parents=0, **options):
    torch.manual_seed(3)
    unet = build_unet().requires_grad_(False)
    factor = build_factor(unet, "timestep", parents)
    with torch.no_grad():
        for parameter in factor.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return FactorTask(
        FactoredUNet(unet, factor, is_first=not parents), SCHEDULE, torch.zeros(6, TEXT_WIDTH), **options
    )


def examples(parents=0, rows=ROWS):
    torch.manual_seed(4)
    batch = {"latents": torch.randn(rows, 4, 8, 8), "context": torch.randn(rows, 6, TEXT_WIDTH)}
    return batch | ({"parents": torch.randn(rows, parents, 4, 8, 8)} if parents else {})


def draw(step, rows=ROWS):
    return Draw(5 + step, rows, slice(0, rows), torch.device("cpu"), step)


def drawn(step):
    """Timestep, noise and which texts are dropped, as the task draws them."""
    numbers = draw(step)
    return numbers.timesteps(1000), numbers.normal(4, 8, 8), numbers.uniform()


@pytest.mark.parametrize(
    ("by_area", "min_snr"), [(False, {}), (True, {}), (False, {"min_snr": 5.0}), (True, {"min_snr": 2.0})]
)
def test_the_loss_is_that_of_the_formula(by_area, min_snr):
    """Without a setting it is the paper's, in which all timesteps weigh alike."""
    learner, batch = task(text_dropout=0.5, by_area=by_area, **min_snr), examples()
    batch["weight"] = torch.rand(ROWS, 1, 8, 8)
    timestep, noise, chance = drawn(4)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = (1 - betas).cumprod(0)[timestep].view(-1, 1, 1, 1)
    noisy = kept.sqrt() * batch["latents"].double() + (1 - kept).sqrt() * noise.double()
    context = batch["context"].clone()
    context[chance < 0.5] = 0
    twin = learner.unet.double()
    with torch.no_grad():
        predicted = twin(noisy, timestep, context.double()).sample
    learner.unet.float()
    snr = (kept / (1 - kept)).flatten()
    weight = snr.clamp(max=min_snr["min_snr"]) / snr if min_snr else 1
    error = (predicted - noise.double()).square() * (batch["weight"].double() if by_area else 1)
    expected = (weight * error.mean(dim=(1, 2, 3))).mean()
    losses = learner(batch, draw(4))
    assert losses.keys() == {"denoise"}
    assert losses["denoise"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert 0 < (chance < 0.5).sum() < ROWS


def test_a_step_is_a_function_of_its_seed():
    learner, batch = task(1), examples(1)
    once, again, other = (learner(batch, draw(step))["denoise"].item() for step in (2, 2, 3))
    assert once == again
    assert once != other


def test_distillation_comes_on_its_steps_alone():
    learner, batch = task(distill_every=4), examples()
    assert [step for step in range(9) if "distil" in learner(batch, draw(step))] == [0, 4, 8]
    assert "distil" not in task(distill_weight=0.0)(batch, draw(0))
    assert "distil" not in task(1)(examples(1), draw(0))


def test_distillation_is_the_divergence_of_base_and_factor():
    learner, batch = task(text_dropout=0.0, distill_weight=0.25), examples()
    timestep, noise, _ = drawn(0)
    noisy = SCHEDULE.add_noise(batch["latents"], noise, timestep)
    found = learner(batch, draw(0))["distil"]
    with torch.no_grad():
        with recorded(learner.unet.unet) as teacher:
            learner.unet.plain(noisy, timestep, batch["context"])
        with recorded(learner.unet.unet) as student:
            learner.unet(noisy, timestep, batch["context"])
    torch.testing.assert_close(found, 0.25 * attention_divergence(teacher, student), rtol=1e-4, atol=1e-9)
    assert found.item() > 0
    found.backward()
    assert all(p.grad is not None for p in learner.unet.factor.parameters())


def read_parents(learner, batch, steps):
    """What the parents were read as, and the timesteps, of some steps."""
    found = []
    with torch.no_grad():
        for step in range(steps):
            learner(batch, draw(step, len(batch["latents"])))
            timesteps = draw(step, len(batch["latents"])).timesteps(1000)
            found.append((timesteps, torch.stack([*learner.unet.parents], dim=1)))
    return torch.cat([t for t, _ in found]), torch.cat([read for _, read in found])


@pytest.fixture(scope="module")
def many():
    """Steps on tiny latents of zeros, so that what is read of a parent is its noise alone, times sigma."""
    batch = examples(2, 64)
    batch["latents"] = batch["latents"][..., :4, :4]
    batch["parents"] = torch.zeros(64, 2, 4, 4, 4)
    return batch


@pytest.mark.parametrize("lag", [1, 50])
def test_parents_are_as_noisy_as_after_their_own_step(many, lag):
    """As noisy as 1 to `lag` timesteps nearer to the end than the child is; at the end, finished."""
    learner = task(2, parent_dropout=0.0, clean_parents=0.0, lag=lag)
    timestep, read = read_parents(learner, many, 3)
    spread = read.flatten(2).square().mean(dim=2).mean(dim=1).sqrt()  # of 128 numbers each
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    sigma = (1 - (1 - betas).cumprod(0)).sqrt().float()
    least, most = sigma[(timestep - lag).clamp(min=0)], sigma[(timestep - 1).clamp(min=0)]
    assert (spread < 1.35 * most).all()
    assert (spread > 0.65 * least)[timestep >= lag].all()
    middle = (spread / ((least + most) / 2))[timestep > 500].mean().item()
    assert middle == pytest.approx(1, abs=0.02)
    assert not spread[timestep < 1].any()
    assert not torch.equal(read[:, 0], read[:, 1])  # noise of its own for each parent


def test_every_second_parent_has_the_childs_own_noise(many):
    learner = task(2, parent_dropout=0.0, clean_parents=0.0, lag=1)
    timestep, read = read_parents(learner, many, 1)
    numbers = draw(0, 64)
    numbers.timesteps(1000)
    own = numbers.normal(4, 4, 4)[:, None]
    late = timestep > 100
    likeness = torch.cosine_similarity(read.flatten(2), own.flatten(2), dim=2)[late]
    assert ((likeness > 0.999) | (likeness < 0.5)).all()
    assert (likeness > 0.999).float().mean() == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(("dropout", "clean"), [(0.25, 1.0), (1.0, 0.5)])
def test_parents_are_dropped_and_finished_as_often_as_told(many, dropout, clean):
    ones = many | {"parents": torch.ones(64, 2, 4, 4, 4)}
    _, read = read_parents(task(2, parent_dropout=dropout, clean_parents=clean), ones, 4)
    gone = (read == 0).flatten(2).all(dim=2)
    assert gone.float().mean() == pytest.approx(dropout, abs=0.06)
    assert (gone[:, 0] == gone[:, 1]).all() == (dropout == 1)  # each parent by itself
    assert torch.equal(read[~gone], torch.ones_like(read[~gone]))


def test_half_of_the_parents_are_finished_maps(many):
    ones = many | {"parents": torch.ones(64, 2, 4, 4, 4)}
    _, read = read_parents(task(2, parent_dropout=0.0, clean_parents=0.5), ones, 3)
    finished = (read == 1).flatten(2).all(dim=2)
    assert finished[:, 0].float().mean() == pytest.approx(0.5, abs=0.12)
    assert torch.equal(finished[:, 0], finished[:, 1])
