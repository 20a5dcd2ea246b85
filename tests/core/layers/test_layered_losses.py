"""LayerDiffusion's losses against formulas written out in float64; masks, draws and shared passes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from finesse.core.layers.losses import Layer, LayeredLoss, area_mask, draw, masked_mse, split_layers
from finesse.core.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.scaled_linear()
CPU = torch.device("cpu")


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def soft_mask(height, width, seed=0):
    """A mask with an inside, an outside and values between."""
    values = torch.rand(height, width, generator=torch.Generator().manual_seed(seed)) * 2 - 0.5
    return values.clamp(0, 1)


class Linear:
    """A denoiser that is written out in the tests: gain * x_t + t / 1000 + the mean of text * weights."""

    def __init__(self, tokens, width):
        self.weights = seeded(tokens, width, seed=5)
        self.batches = []

    def __call__(self, noisy, timestep, text):
        self.batches.append(tuple(noisy.shape))
        assert timestep.dtype == torch.long
        assert noisy.dtype == text.dtype == torch.float32
        told = (text * self.weights).mean(dim=(1, 2))
        return 0.7 * noisy + (timestep / 1000 + told)[:, None, None, None]


@pytest.mark.parametrize(
    ("pixels", "cells"),
    [
        ((16, 24), (4, 6)),
        ((17, 23), (4, 6)),
        ((5, 3), (7, 8)),
        ((1, 1), (3, 2)),
        ((9, 4), (9, 4)),
        ((3, 50), (2, 7)),
    ],
)
def test_masks_are_area_exact(pixels, cells):
    mask = soft_mask(*pixels)
    fine = np.kron(
        mask.double().numpy(), np.ones(cells)
    )  # every pixel cut into as many parts as there are cells
    expected = fine.reshape(cells[0], pixels[0], cells[1], pixels[1]).mean(axis=(1, 3))
    found = area_mask(mask, cells)
    assert found.shape == (1, 1, *cells)
    np.testing.assert_allclose(found[0, 0].numpy(), expected, rtol=1e-6, atol=1e-7)
    rest = area_mask(1 - mask, cells)
    np.testing.assert_allclose((found + rest).numpy(), 1, atol=3e-7)


def test_what_is_wholly_inside_or_outside_stays_so():
    mask = torch.zeros(37, 53)
    mask[:, 20:] = 1
    found = area_mask(mask, (5, 7))[0, 0]
    assert found[:, 0].tolist() == [0] * 5
    assert found[:, -1].tolist() == [1] * 5


def test_masked_mse_and_its_gradient_in_float64():
    predicted, noise = seeded(1, 4, 5, 6).requires_grad_(), seeded(1, 4, 5, 6, seed=1)
    mask = soft_mask(5, 6)
    found = masked_mse(predicted, noise, mask[None, None])
    found.backward()

    m = mask.double().numpy()
    d = predicted.detach().double().numpy()[0] - noise.double().numpy()[0]
    area = sum(m[y, x] ** 2 for y in range(5) for x in range(6))
    total = sum((m[y, x] * d[c, y, x]) ** 2 for c in range(4) for y in range(5) for x in range(6))
    assert found.item() == pytest.approx(total / (4 * area), rel=1e-5)
    np.testing.assert_allclose(predicted.grad[0].numpy(), 2 * m**2 * d / (4 * area), rtol=1e-4, atol=1e-8)


def test_the_pull_on_a_text_does_not_depend_on_the_objects_size():
    pulls = []
    for side in (1, 4, 16):
        told = torch.zeros(1, requires_grad=True)
        mask = torch.zeros(1, 1, 16, 16)
        mask[..., :side, :side] = 1
        masked_mse(told.expand(1, 4, 16, 16), torch.ones(1, 4, 16, 16), mask).backward()
        pulls.append(told.grad.item())
    assert pulls == pytest.approx([-2, -2, -2])


@pytest.mark.parametrize("weights", [(2.0, 1.0), (3.0, 1.0), (1.0, 0.5)])
@pytest.mark.parametrize("size", [(8, 6), (5, 9)])
def test_the_layered_loss_and_its_gradients_in_float64(weights, size):
    photo, reference, mask = seeded(1, 4, 8, 6), seeded(1, 4, *size, seed=1), soft_mask(19, 17)
    layers = split_layers(photo, reference, mask)
    texts = [seeded(1, 3, 5, seed=seed).requires_grad_() for seed in (2, 3)]
    denoiser = Linear(3, 5)
    loss = LayeredLoss(denoiser, layers, texts, weights, SCHEDULE)
    found = loss(11, 4)
    found.backward()
    assert denoiser.batches == ([(2, 4, 8, 6)] if size == (8, 6) else [(1, 4, 8, 6), (1, 4, 5, 9)])

    expected = 0.0
    w = denoiser.weights.double().numpy()
    for latent, part, text, weight in zip((photo, reference), (mask, 1 - mask), texts, weights, strict=True):
        shape = tuple(latent.shape[2:])
        m = (
            np.kron(part.double().numpy(), np.ones(shape))
            .reshape(shape[0], 19, shape[1], 17)
            .mean(axis=(1, 3))
        )
        timestep, noise = draw(11, 4, latent.shape, 1000, CPU)
        eps, t = noise.double().numpy()[0], int(timestep)
        kept = float(SCHEDULE.alphas_cumprod[t])
        noisy = kept**0.5 * latent.double().numpy()[0] + (1 - kept) ** 0.5 * eps
        read = text.detach().double().numpy()[0]
        error = m * (eps - (0.7 * noisy + t / 1000 + (read * w).mean()))
        area = 4 * (m**2).sum()
        expected += weight * (error**2).sum() / area
        gradient = weight * (-2 * m * error).sum() / area * w / w.size
        np.testing.assert_allclose(text.grad[0].numpy(), gradient, rtol=1e-4, atol=1e-7)
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_one_layer_without_a_mask_is_the_usual_mean():
    latent, text = seeded(1, 4, 8, 6), seeded(1, 3, 5, seed=1)
    denoiser = Linear(3, 5)
    found = LayeredLoss(denoiser, [Layer.of(latent)], [text], [1.0], SCHEDULE)(0, 0)
    timestep, noise = draw(0, 0, latent.shape, 1000, CPU)
    predicted = denoiser(SCHEDULE.add_noise(latent, noise, timestep), timestep, text)
    assert found.item() == pytest.approx(torch.nn.functional.mse_loss(predicted, noise).item(), rel=1e-5)


def test_a_draw_is_a_function_of_seed_and_step_alone():
    state = torch.get_rng_state()
    forward = [draw(3, step, (1, 4, 2, 2), 1000, CPU) for step in range(200)]
    torch.randn(7)
    torch.set_rng_state(state)
    for step in (199, 0, 100):
        timestep, noise = draw(3, step, (1, 4, 2, 2), 1000, CPU)
        assert torch.equal(timestep, forward[step][0])
        assert torch.equal(noise, forward[step][1])
        other_size, _ = draw(3, step, (1, 4, 5, 9), 1000, CPU)
        assert torch.equal(timestep, other_size)
    assert torch.equal(torch.get_rng_state(), state)
    assert len({float(noise.sum()) for _, noise in forward}) == 200
    assert not torch.equal(draw(4, 0, (1, 4, 2, 2), 1000, CPU)[1], forward[0][1])


def test_timesteps_reach_from_the_first_to_the_last():
    drawn = torch.cat([draw(0, step, (1,), 10, CPU)[0] for step in range(1000)])
    counts = torch.bincount(drawn, minlength=10)
    assert len(counts) == 10
    assert counts.min() > 60
    assert counts.max() < 140


def test_the_preview_puts_the_layers_together():
    """A denoiser that knows each picture's noise shows the photo on the mask and the reference beside it."""
    photo, reference = seeded(1, 4, 6, 6), seeded(1, 4, 6, 6, seed=1)
    mask = torch.zeros(6, 6)
    mask[1:4, 2:5] = 1
    _, noise = draw(0, 0, photo.shape, 1000, CPU)
    texts = [torch.zeros(1, 1, 1)] * 2

    def knows(noisy, timestep, text):
        return noise.expand_as(noisy)

    loss = LayeredLoss(knows, split_layers(photo, reference, mask), texts, [1.0, 1.0], SCHEDULE)
    torch.testing.assert_close(loss.preview(), torch.where(mask > 0, photo, reference), rtol=1e-4, atol=1e-4)
    alone = LayeredLoss(knows, [Layer.of(photo, mask)], texts[:1], [1.0], SCHEDULE)
    torch.testing.assert_close(alone.preview(), photo, rtol=1e-4, atol=1e-4)


def test_layers_keep_apart_from_what_they_were_made_of():
    latent = seeded(1, 4, 4, 4).half()
    layer = Layer.of(latent)
    assert layer.latent.dtype == layer.mask.dtype == torch.float32
    plain = Layer.of(layer.latent)
    assert plain.latent.data_ptr() != layer.latent.data_ptr()


def test_a_mask_of_any_type_splits_alike():
    photo, mask = seeded(1, 4, 4, 4), torch.eye(7)
    first = split_layers(photo, photo, mask)
    for kind in (torch.bool, torch.uint8, torch.half, torch.float64):
        for one, other in zip(first, split_layers(photo, photo, mask.to(kind)), strict=True):
            assert torch.equal(one.mask, other.mask)


def test_a_mask_that_passes_1_by_rounding_is_as_good_as_1():
    photo, mask = seeded(1, 4, 4, 4), torch.eye(7)
    first = split_layers(photo, photo, mask)
    for one, other in zip(first, split_layers(photo, photo, mask * (1 + 2.4e-7)), strict=True):
        assert torch.equal(one.mask, other.mask)


@pytest.mark.parametrize(
    ("photo", "mask", "message"),
    [
        (torch.zeros(2, 4, 4, 4), torch.eye(8), r"photo must be of one picture .* got \(2, 4, 4, 4\)"),
        (torch.full((1, 4, 4, 4), torch.nan), torch.eye(8), "photo holds values that are NaN"),
        (torch.zeros(1, 4, 4, 4), torch.zeros(8, 8), "mask is empty"),
        (torch.zeros(1, 4, 4, 4), torch.ones(8, 8), "mask is 1 everywhere, which leaves no background"),
        (torch.zeros(1, 4, 4, 4), torch.eye(8) * 2, "mask has values from 0 to 2"),
        (torch.zeros(1, 4, 4, 4), torch.full((8, 8), torch.nan), "mask has values from nan"),
        (torch.zeros(1, 4, 4, 4), torch.eye(8)[None], r"mask must be of one picture .* got \(1, 8, 8\)"),
    ],
)
def test_layers_that_cannot_be_are_named(photo, mask, message):
    with pytest.raises(ValueError, match=message):
        split_layers(photo, torch.zeros(1, 4, 4, 4), mask)
