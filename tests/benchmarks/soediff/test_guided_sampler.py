"""The guided sampler in ComfyUI: its maps, its agreement with core's sampler, and what guidance does."""

from __future__ import annotations

import pytest
import torch

TEXT, LABEL = "a red traffic light", "traffic light"
BOX = {"x": 24, "y": 32, "width": 8, "height": 8}
LARGE = {"x": 20, "y": 28, "width": 16, "height": 16}


@pytest.fixture(scope="module")
def loaded(miniature):
    """Model, clip and VAE of a miniature with random weights, loaded as in a server."""
    from finesse.miniature.comfy import diffusers_folder

    with torch.inference_mode():
        unet = diffusers_folder.load_unet(miniature, "unet_inpainting")
        return unet, diffusers_folder.load_clip(miniature), diffusers_folder.load_vae(miniature)


@pytest.fixture(scope="module")
def inputs(loaded):
    """What the node reads, from core's own nodes."""
    from nodes import CLIPTextEncode, InpaintModelConditioning

    model, clip, vae = loaded
    with torch.inference_mode():
        image = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
        texts = [CLIPTextEncode().encode(clip, text)[0] for text in (TEXT, "")]
        conditioned = {}
        for name, box in (("small", BOX), ("large", LARGE)):
            mask = torch.zeros(1, 64, 64)
            mask[:, box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]] = 1
            conditioned[name] = InpaintModelConditioning().encode(*texts, image, vae, mask, noise_mask=False)
    positive, negative, latent = conditioned["small"]
    large = conditioned["large"][0]
    fixed = {"box": BOX, "large_box": LARGE, "width": 64, "height": 64, "text": TEXT, "label": LABEL}
    tensors = {"positive": positive, "negative": negative, "large": large, "latent": latent}
    return {"model": model, "clip": clip, "seed": 3, "steps": 4, "cfg": 3.0, **fixed, **tensors}


def run(inputs, guided_steps=2, iterations=2, rate=100.0, **changes):
    from finesse.benchmarks.soediff.guided_sampler import GuidedBoxSampler

    guidance = {"guided_steps": guided_steps, "iterations": iterations, "rate": rate}
    with torch.inference_mode():
        (latent,) = GuidedBoxSampler.execute(**{**inputs, **guidance, **changes}).result
    return latent["samples"]


def test_without_guided_steps_it_samples_as_core_does(inputs):
    from nodes import KSampler

    with torch.inference_mode():
        (expected,) = KSampler().sample(
            *(inputs["model"], 3, 4, 3.0, "euler", "normal"),
            *(inputs["positive"], inputs["negative"], inputs["latent"]),
        )
    torch.testing.assert_close(run(inputs, guided_steps=0), expected["samples"], rtol=1e-3, atol=1e-3)


def test_guidance_changes_the_drawing_and_nothing_of_the_model(inputs):
    before = {name: weight.clone() for name, weight in inputs["model"].model.state_dict().items()}
    options = str(inputs["model"].model_options)
    plain, guided = run(inputs, guided_steps=0), run(inputs)
    assert not torch.allclose(plain, guided, atol=1e-3)
    assert torch.equal(guided, run(inputs))
    assert torch.equal(plain, run(inputs, guided_steps=0))
    after = inputs["model"].model.state_dict()
    assert all(torch.equal(weight, after[name]) for name, weight in before.items())
    assert str(inputs["model"].model_options) == options


def test_each_layer_with_cross_attention_gives_a_map(inputs, miniature):
    from finesse.benchmarks.soediff.guided_sampler import attentive
    from finesse.miniature.model import networks
    from finesse.nodes.layers.model_mirror import ordinary
    from finesse.training.models.attention import recorded

    cond, values = inputs["positive"][0]
    x = torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(1))
    timestep = torch.tensor([700, 20])
    with attentive(inputs["model"], values) as denoiser:
        noise, maps = denoiser(x, timestep, cond)
        extra = denoiser.model._extra(x)["c_concat"]
    (unet,) = networks.load_networks(miniature, "unet_inpainting")
    with torch.no_grad(), recorded(unet) as theirs:
        expected = unet(torch.cat([x, extra], dim=1), timestep, ordinary(cond).expand(2, -1, -1)).sample
    torch.testing.assert_close(noise.detach(), expected, rtol=1e-4, atol=1e-4)
    assert len(maps) == len(theirs.of_tokens) > 2
    for ours, other in zip(maps, theirs.of_tokens, strict=True):
        torch.testing.assert_close(ours.detach(), other, rtol=1e-4, atol=1e-5)


def test_words_are_the_tokens_between_start_and_end(loaded):
    from finesse.benchmarks.soediff.guided_sampler import count_words

    _, clip, _ = loaded
    tokens = [token for token, _ in clip.tokenize(TEXT)["l"][0]]
    end = clip.tokenize("")["l"][0][1][0]
    assert count_words(clip, "") == 0
    assert count_words(clip, TEXT) == tokens.index(end) - 1 >= 4
    assert count_words(clip, LABEL) < count_words(clip, TEXT)
