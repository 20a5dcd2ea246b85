"""The noise schedule and its losses against diffusers and against float64 formulas."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from finesse.core.schedule import NoiseSchedule, min_snr_weight

SCHEDULE = NoiseSchedule.scaled_linear()
REFERENCE = DDPMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
TIMESTEPS = torch.tensor([0, 1, 250, 999])


def test_alphas_agree_with_diffusers():
    torch.testing.assert_close(SCHEDULE.alphas_cumprod, REFERENCE.alphas_cumprod, rtol=1e-4, atol=1e-6)


def test_noising_agrees_with_diffusers_and_is_undone_by_the_true_noise():
    clean, noise = torch.randn(2, 4, 4, 8, 8).unbind()
    noisy = SCHEDULE.add_noise(clean, noise, TIMESTEPS)
    torch.testing.assert_close(noisy, REFERENCE.add_noise(clean, noise, TIMESTEPS), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(SCHEDULE.predict_clean(noisy, noise, TIMESTEPS), clean, rtol=1e-3, atol=1e-3)


def test_min_snr_weight_in_float64():
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    product = 1.0
    expected = []
    for beta in betas.tolist():
        product *= 1 - beta
        snr = product / (1 - product)
        expected.append(min(snr, 5.0) / snr)
    found = min_snr_weight(SCHEDULE.snr(torch.arange(1000)))
    assert found.tolist() == pytest.approx(expected, rel=1e-3)
