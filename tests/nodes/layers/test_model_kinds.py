"""The trainable denoiser on models of other kinds: v-prediction, inpainting, SDXL."""

from __future__ import annotations

import pytest
import torch
from finesse.tests.nodes.factors.small_factors import latents
from finesse.tests.nodes.layers.trainable import COND, T, X, in_comfyui, in_diffusers, small_sdxl


def test_a_prediction_of_v_becomes_one_of_eps(trainable, trainable_model, theirs):
    from comfy_extras.nodes_model_advanced import ModelSamplingDiscrete

    (model,) = ModelSamplingDiscrete().patch(trainable_model, "v_prediction", False)
    with torch.inference_mode(), trainable(model) as denoiser:
        found = denoiser(X, T, COND).detach()
        squared = denoiser.schedule.alphas_cumprod[T].view(-1, 1, 1, 1)
    v = in_diffusers(theirs).detach()
    clean = squared.sqrt() * X - (1 - squared).sqrt() * v
    expected = (X - squared.sqrt() * clean) / (1 - squared).sqrt()
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(found, in_comfyui(model), rtol=0, atol=2e-5)
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    expected = torch.cumprod(1 - betas, 0)[T].float()
    torch.testing.assert_close(squared.flatten(), expected, rtol=1e-5, atol=0)


def test_an_inpainting_model_reads_its_mask(trainable, factor_control, random_weights):
    from finesse.miniature.comfy import diffusers_folder

    model = diffusers_folder.load_unet(random_weights, "unet_inpainting")
    values = {"concat_latent_image": latents(1, side=8, seed=8), "concat_mask": torch.ones(1, 1, 8, 8).tril()}
    concat = model.model.concat_cond(noise=X, device=X.device, **values)
    with torch.inference_mode(), trainable(model, values) as denoiser:
        found = denoiser(X, T, COND).detach()
    torch.testing.assert_close(found, in_comfyui(model, c_concat=concat), rtol=0, atol=1e-5)


def test_an_sdxl_reads_pooled_text_and_size(trainable, factor_control):
    model = small_sdxl()
    base = model.model
    values = {"pooled_output": torch.randn(1, 1280), "width": 512, "height": 768}
    labels = base.encode_adm(**values, device=X.device).expand(2, -1)
    with torch.inference_mode(), trainable(model, values) as denoiser:
        cond = torch.nn.Parameter(COND.clone())
        found = denoiser(X, T, cond)
        found.square().mean().backward()
    torch.testing.assert_close(found.detach(), in_comfyui(model, y=labels), rtol=0, atol=1e-5)
    assert (found.detach() - in_comfyui(model, y=0 * labels)).abs().max() > 1e-4
    assert cond.grad.abs().max() > 0
    with pytest.raises(ValueError, match="model also reads a pooled text"):
        trainable(model)
