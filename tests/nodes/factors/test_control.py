"""A factor as a control: its numbers in ComfyUI against diffusers and plain torch."""

from __future__ import annotations

import pytest
import torch
from diffusers import EulerDiscreteScheduler, UNet2DConditionModel
from finesse.miniature.model import networks
from finesse.tests.miniature.comfy.test_loaders import UNET_SHAPES
from finesse.tests.nodes.factors.small_factors import TIMESTEP, blocks, latents, prompts, sigma_of

KINDS = ({}, {"kind": "plain"}, {"parents": 1}, {"parents": 2})


@pytest.fixture(scope="module")
def theirs():
    return (
        UNet2DConditionModel.from_pretrained(networks.WEIGHTS / "unet").float().eval().requires_grad_(False)
    )


def theirs_time(unet, timestep=TIMESTEP):
    """diffusers' own embedding of a timestep, (1, E)."""
    return unet.time_embedding(unet.time_proj(torch.tensor([timestep])))


@pytest.mark.parametrize("settings", KINDS)
def test_the_unet_with_a_factor_agrees_with_diffusers(ready, made, model, theirs, settings):
    factor, plain = made(**settings)
    base = model.model
    parents = [latents(3, seed=10 + i) for i in range(settings.get("parents", 0))]
    x, text = 3 * latents(3), prompts(3)[0][0]
    sigma = sigma_of(base, 3)
    with torch.inference_mode():
        features = ready(factor, parents).get_control(x, sigma, {}, 1, {})
        clean = base.apply_model(x, sigma, c_crossattn=text, control=features)
        seen = x / (sigma[0] ** 2 + 1).sqrt()
        read = [parent * base.latent_format.scale_factor for parent in parents] or [seen]
        expected = plain(read, theirs_time(theirs).expand(3, -1))
        noise = theirs(seen, TIMESTEP, text, down_intrablock_additional_residuals=list(expected)).sample
        without = theirs(seen, TIMESTEP, text).sample
    torch.testing.assert_close((x - clean) / sigma[0], noise, rtol=0, atol=1e-4)
    assert (noise - without).abs().max() > 0.05


@pytest.mark.parametrize("parents", [0, 1])
def test_a_whole_sampling_agrees_with_diffusers(controlled, made, model, theirs, parents):
    import comfy.sample
    import comfy.samplers

    factor, plain = made(parents=parents)
    finished = [latents(1, seed=4)] * parents
    scheduler = EulerDiscreteScheduler.from_pretrained(
        networks.WEIGHTS, subfolder="scheduler", timestep_spacing="trailing"
    )
    scheduler.set_timesteps(4)
    positive, negative, noise, guidance = prompts(seed=2), prompts(seed=3), latents(2), 4.0

    cache = {}
    found = comfy.sample.sample_custom(
        model,
        noise,
        guidance,
        comfy.samplers.sampler_object("euler"),
        scheduler.sigmas,
        controlled(positive, factor, finished, cache=cache),
        controlled(negative, factor, finished, cache=cache),
        torch.zeros_like(noise),
        disable_pbar=True,
    )

    scale = model.model.latent_format.scale_factor
    x = noise * (1 + scheduler.sigmas[0] ** 2).sqrt()
    text = torch.cat([negative[0][0], positive[0][0]]).repeat_interleave(2, 0)
    with torch.inference_mode():
        for timestep in scheduler.timesteps:
            seen = scheduler.scale_model_input(x, timestep)
            read = [finished[0].expand(2, -1, -1, -1) * scale] if finished else [seen]
            features = [f.repeat(2, 1, 1, 1) for f in plain(read, theirs_time(theirs, timestep))]
            both = theirs(
                seen.repeat(2, 1, 1, 1), timestep, text, down_intrablock_additional_residuals=features
            )
            without, with_text = both.sample.chunk(2)
            x = scheduler.step(without + guidance * (with_text - without), timestep, x).prev_sample
    torch.testing.assert_close(found * scale, x, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("name", "places"), [("sd15", [2, 5, 8, 11]), ("sdxl", [2, 5, 8])])
def test_features_are_added_at_the_end_of_each_level(ready, made, shaped, name, places):
    ours, theirs = shaped[name]
    widths = UNET_SHAPES[name]["widths"]
    factor, plain = made(widths=widths, time_width=4 * widths[0])
    base, x, text = ours.model, 3 * latents(1), prompts()[0][0]
    sigma = sigma_of(base)
    with torch.inference_mode():
        features = ready(factor, base=base).get_control(x, sigma, {}, 1, {})
        found = [place for place, feature in enumerate(blocks(features)) if feature is not None]
        clean = base.apply_model(x, sigma, c_crossattn=text, control=features)
        seen = x / (sigma[0] ** 2 + 1).sqrt()
        expected = plain([seen], theirs_time(theirs))
        without = theirs(seen, TIMESTEP, text).sample
        hooks = [adding(*pair) for pair in zip(theirs.down_blocks, expected, strict=True)]
        noise = theirs(seen, TIMESTEP, text).sample
    for hook in hooks:
        hook.remove()
    assert found == places
    torch.testing.assert_close((x - clean) / sigma[0], noise, rtol=0, atol=1e-4)
    assert (noise - without).abs().max() > 0.01


def adding(block, feature):
    """Adds a feature to what the last layer of a level puts out, before it is halved."""
    last = (getattr(block, "attentions", None) or block.resnets)[-1]

    def add(module, inputs, output):
        return (output[0] + feature, *output[1:]) if isinstance(output, tuple) else output + feature

    return last.register_forward_hook(add)


def test_an_sdxl_is_told_the_timestep_alone(ready, made):
    import comfy.supported_models

    config = comfy.supported_models.SDXL(
        {
            "image_size": 32,
            "in_channels": 4,
            "out_channels": 4,
            "model_channels": 32,
            "channel_mult": [1, 2, 4],
            "num_res_blocks": [2, 2, 2],
            "transformer_depth": [0, 0, 1, 1, 1, 1],
            "transformer_depth_output": [0] * 9,
            "transformer_depth_middle": 1,
            "context_dim": 32,
            "num_heads": -1,
            "num_head_channels": 16,
            "use_spatial_transformer": True,
            "use_linear_in_transformer": True,
            "legacy": False,
            "use_temporal_attention": False,
            "num_classes": "sequential",
            "adm_in_channels": 2816,
        }
    )
    base = config.get_model({})
    for parameter in base.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    factor, plain = made(widths=(32, 64, 128), time_width=128)
    x, sigma = 3 * latents(2), sigma_of(base, 2)
    with torch.inference_mode():
        features = ready(factor, base=base).get_control(x, sigma, {}, 1, {})
        added = blocks(features)
        clean = base.apply_model(
            x, sigma, torch.randn(2, 0, 16, 16), torch.randn(2, 7, 32), features, y=torch.randn(2, 2816)
        )
        wave = torch.exp(-torch.arange(16) / 16 * torch.log(torch.tensor(10000.0))) * TIMESTEP
        time = base.diffusion_model.time_embed(torch.cat([wave.cos(), wave.sin()])[None])
        expected = plain([x / (sigma[0] ** 2 + 1).sqrt()], time)
    assert clean.isfinite().all()
    for place, feature in zip((2, 5, 8), expected, strict=True):
        torch.testing.assert_close(added[place], feature, rtol=1e-4, atol=1e-4)


def test_it_computes_in_the_base_models_precision(ready, made, monkeypatch):
    from comfy.cli_args import args
    from finesse.miniature.comfy import diffusers_folder

    monkeypatch.setattr(args, "bf16_unet", True)
    base = diffusers_folder.load_unet(networks.WEIGHTS).model
    dtype = base.get_dtype_inference()
    factor, _ = made()
    with torch.inference_mode():
        features = ready(factor, base=base).get_control(latents(), sigma_of(base), {}, 1, {})
    assert base.get_dtype() == torch.bfloat16
    assert {feature.dtype for feature in features["input"] if feature is not None} == {dtype}
    assert {p.dtype for p in factor.patcher.model.parameters()} == {torch.float16}


def test_its_memory_is_asked_for_before_the_sampling(controlled, made, model):
    """As ComfyUI's samplers ask for it: of all controls, beside the weights."""
    import comfy.sampler_helpers

    def asked(conditioning):
        conds = {"positive": [values for _, values in conditioning]}
        return comfy.sampler_helpers.get_additional_models(conds, model.model_dtype())[1]

    factor, plain = made()
    size = torch.empty(0, dtype=model.model_dtype()).itemsize
    trained = plain.peak_bytes(2 * 32 * 32, size)
    once = controlled(prompts(), factor)
    assert asked(once) == trained > 0
    assert asked(controlled(once, factor)) == 2 * trained
    child, of_child = made(parents=1)
    large = controlled(prompts(), child, [latents(3, side=64)])
    assert asked(large) == of_child.peak_bytes(2 * 3 * 64 * 64, size)


def test_larger_latents_than_expected_are_remembered(ready, made, model):
    control = ready(made()[0])
    before = control.inference_memory_requirements(torch.float32)
    with torch.inference_mode():
        control.get_control(latents(3, side=40), sigma_of(model.model, 3), {}, 1, {})
    after = control.inference_memory_requirements(torch.float32)
    assert after / before == pytest.approx(3 * 40**2 / (2 * 32**2), rel=1e-6)
    assert control.copy().inference_memory_requirements(torch.float32) == after
