"""Factors with random weights, as files, and the ways in which the tests run them."""

from __future__ import annotations

import torch
from finesse.core.factors.adapter import Factor, PlainAdapter, TimestepAdapter
from finesse.core.factors.files import FactorInfo, read_factor, write_factor

WIDTHS, TIME_WIDTH = (64, 128, 128), 256  # the miniature's
TIMESTEP = 500


def random_factor(kind="timestep", parents=0, widths=WIDTHS, time_width=TIME_WIDTH):
    """One whose features are about as large as what they are added to; no zeros of a start in it."""
    torch.manual_seed(0)
    adapters = [
        TimestepAdapter(widths, time_width) if kind == "timestep" else PlainAdapter(widths)
        for _ in range(parents or 1)
    ]
    for adapter in adapters:
        for parameter in adapter.parameters():
            fan_in = parameter[0].numel() if parameter.ndim > 1 else 100
            torch.nn.init.normal_(parameter, std=fan_in**-0.5)
    return Factor(adapters)


def info(parents=0, base="the miniature", **fields):
    names = ("segmentation", "normal", "sketch")[:parents]
    return FactorInfo(condition="depth", base=base, parents=names, **fields)


def write(path, **settings):
    """A factor file of `random_factor`, and the factor in it as plain torch in float32."""
    parents = settings.get("parents", 0)
    write_factor(path, random_factor(**settings), info(parents))
    factor, _ = read_factor(path)
    return factor.float().requires_grad_(False)


def prompts(rows=1, seed=0):
    """Conditioning as of a text encoder, (1, 32, 192)."""
    generator = torch.Generator().manual_seed(seed)
    return [[torch.randn(rows, 32, 192, generator=generator), {}]]


def latents(rows=1, side=16, seed=1):
    return torch.randn(rows, 4, side, side, generator=torch.Generator().manual_seed(seed))


def sample(model, noise, positive, negative=None, cfg=1.0, steps=1):
    """The latent that `steps` Euler steps of a stock sampler make of `noise`, in the VAE's scale."""
    import comfy.sample

    return comfy.sample.sample(
        model,
        noise,
        steps,
        cfg,
        "euler",
        "normal",
        positive,
        negative or prompts(seed=9),
        torch.zeros_like(noise),
        disable_pbar=True,
    )


def sigma_of(base, rows=1, timestep=TIMESTEP):
    return base.model_sampling.sigma(torch.tensor(float(timestep))).expand(rows)


def blocks(features):
    """What is added at the UNet's input blocks, the first one first."""
    return features["input"][::-1]


def features_of(control, rows=2, chunks=1, side=16):
    x = latents(rows // chunks, side).repeat(chunks, 1, 1, 1)
    with torch.inference_mode():
        found = control.get_control(x, sigma_of(control.base, rows), {}, chunks, {})
    return [feature for feature in blocks(found) if feature is not None]


def assert_equal(found, expected):
    for first, second in zip(found, expected, strict=True):
        torch.testing.assert_close(first, second)
