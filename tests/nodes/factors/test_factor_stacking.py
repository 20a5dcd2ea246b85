"""A factor among others: strength, span, masks, areas, stacking, life and errors, as of any stock control."""

from __future__ import annotations

import pytest
import torch
from finesse.tests.miniature.comfy.test_loaders import UNET_SHAPES
from finesse.tests.nodes.factors.small_factors import (
    assert_equal,
    blocks,
    features_of,
    latents,
    prompts,
    sample,
    sigma_of,
)

# Strength and span


def test_at_strength_0_nothing_is_different(ready, controlled, made, model, monkeypatch):
    factor, _ = made()
    monkeypatch.setattr(factor.patcher.model, "forward", None)  # which would raise
    positive, negative = prompts(), prompts(seed=3)
    plain = sample(model, latents(2), positive, negative, 4.0, 2)
    with_none = [controlled(text, factor, strength=0.0) for text in (positive, negative)]
    assert torch.equal(sample(model, latents(2), *with_none, 4.0, 2), plain)
    control = ready(factor, strength=0.0)
    for text in (positive, negative):
        text[0][1]["control"] = control
    assert torch.equal(sample(model, latents(2), positive, negative, 4.0, 2), plain)


@pytest.mark.parametrize("strength", [0.5, 2.0])
def test_strength_multiplies_the_features(ready, made, model, strength):
    factor, _ = made(parents=1)
    sigma, parent = sigma_of(model.model, 1), latents(seed=5)
    kept = parent.clone()
    with torch.inference_mode():
        one, scaled = (
            blocks(ready(factor, [parent], strength=s).get_control(latents(), sigma, {}, 1, {}))
            for s in (1.0, strength)
        )
    for first, second in zip(one, scaled, strict=True):
        assert (first is None) == (second is None)
        if first is not None:
            torch.testing.assert_close(second, strength * first)
    assert torch.equal(parent, kept)


def test_it_acts_between_start_and_end_only(ready, made, model):
    factor, _ = made()
    base = model.model
    control = ready(factor, span=(0.25, 0.75))
    for percent, acts in ((0.1, False), (0.3, True), (0.7, True), (0.9, False)):
        sigma = torch.tensor([base.model_sampling.percent_to_sigma(percent)])
        with torch.inference_mode():
            assert (control.get_control(latents(), sigma, {}, 1, {}) is not None) == acts


# Among others


def t2i_adapter(widths):
    """A stock T2I-Adapter with random weights."""
    import comfy.controlnet
    from comfy.t2i_adapter.adapter import Adapter

    torch.manual_seed(1)
    adapter = Adapter(list(widths), nums_rb=1, cin=3 * 64, ksize=1, sk=True, use_conv=False, xl=False)
    return comfy.controlnet.T2IAdapter(adapter, 3, 8, "nearest-exact", torch.device("cpu"))


def control_net(base):
    """A stock ControlNet with random weights."""
    import comfy.cldm.cldm
    import comfy.controlnet
    import comfy.ops

    config = {k: v for k, v in base.model_config.unet_config.items() if k != "out_channels"}
    config |= {"hint_channels": 3, "operations": comfy.ops.disable_weight_init, "dtype": torch.float32}
    torch.manual_seed(2)
    net = comfy.cldm.cldm.ControlNet(**config)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    return comfy.controlnet.ControlNet(net.requires_grad_(False), load_device=torch.device("cpu"))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_it_stacks_with_stock_controls_and_other_factors(factor_control, made, shaped, order):
    base, widths = shaped["sd15"][0].model, UNET_SHAPES["sd15"]["widths"]
    x, sigma, cond = latents(2), sigma_of(base, 2), {"c_crossattn": prompts(2)[0][0]}
    picture = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))

    def get(control):
        control.pre_run(base, base.model_sampling.percent_to_sigma)
        with torch.inference_mode():
            return control.get_control(x, sigma, cond, 1, {})

    first, second = (made(widths=widths, time_width=128, kind=kind)[0] for kind in ("timestep", "plain"))
    controls = [t2i_adapter(widths), control_net(base), *map(factor_control.FactorControl, (first, second))]
    for control, strength in zip(controls, (0.5, 0.7, 1.0, 0.9), strict=True):
        control.set_cond_hint(picture, strength)
    alone = [get(control) for control in controls]
    top = None
    for place in order:
        top = controls[place].copy().set_previous_controlnet(top)
    for _ in range(2):  # nothing that a control keeps is changed by the sums
        together = get(top)
        for part in ("input", "middle", "output"):
            for place, found in enumerate(together[part]):
                added = [one[part][place] for one in alone if place < len(one[part])]
                added = [feature for feature in added if feature is not None]
                assert (found is None) == (not added)
                if added:
                    torch.testing.assert_close(found, sum(added), rtol=1e-4, atol=1e-4)
    assert len(together["input"]) == len(together["output"]) == 12
    models_used = top.get_models()
    assert {id(first.patcher), id(second.patcher)} <= {id(patcher) for patcher in models_used}
    assert controls[1].control_model_wrapped in models_used


def test_a_mask_keeps_it_in_its_part(controlled, made, model):
    factor, _ = made()
    mask = torch.zeros(1, 16, 16)
    mask[..., :7] = 1.0
    text, noise = prompts()[0][0], latents(2)
    plain, drawn = (sample(model, noise, p) for p in (prompts(), controlled(prompts(), factor)))
    inside = controlled([[text, {"mask": mask, "mask_strength": 1.0}]], factor)
    outside = [[text, {"mask": 1 - mask, "mask_strength": 1.0}]]
    found = sample(model, noise, inside + outside)
    torch.testing.assert_close(found, drawn * mask + plain * (1 - mask), rtol=0, atol=1e-4)
    assert (drawn - plain).abs().mean() > 0.1


@pytest.mark.parametrize("parents", [0, 1])
def test_in_an_area_it_is_as_if_that_were_all(controlled, made, model, parents):
    factor, _ = made(parents=parents)
    finished = [latents(2, seed=6)] * parents
    noise = latents(2)
    area = controlled([[prompts()[0][0], {"area": (8, 8, 4, 6)}]], factor, finished)
    found = sample(model, noise, area)[..., 4:12, 6:14]
    alone = sample(model, noise[..., 4:12, 6:14], controlled(prompts(), factor, finished))
    torch.testing.assert_close(found, alone, rtol=0, atol=1e-4)


# Life


def test_the_model_is_as_before(controlled, made, model):
    factor, _ = made()
    weights = {key: tensor.clone() for key, tensor in model.model.state_dict().items()}
    plain = sample(model, latents(), prompts(), steps=2)
    drawn = sample(model, latents(), controlled(prompts(), factor), steps=2)
    again = sample(model, latents(), prompts(), steps=2)
    assert torch.equal(plain, again)
    assert not torch.allclose(plain, drawn, atol=0.1)
    for key, tensor in model.model.state_dict().items():
        assert torch.equal(tensor, weights[key])


def test_a_copy_is_alike_and_alone(ready, made, factor_control):
    factor, _ = made(parents=1)
    parent = latents(1, seed=6)
    below = factor_control.FactorControl(made()[0])
    control = ready(factor, [parent], strength=0.6, span=(0.1, 0.9), previous=below)
    copied = control.copy()
    assert type(copied) is type(control)
    assert (copied.factor, copied.strength, copied.timestep_percent_range) == (factor, 0.6, (0.1, 0.9))
    assert copied.parents[0] is parent
    assert copied.previous_controlnet is copied.base is copied.timestep_range is None
    assert control.get_models() == [below.factor.patcher, factor.patcher]
    assert copied.get_models() == [factor.patcher]


def test_cleanup_lets_the_base_go(ready, made, factor_control):
    below = factor_control.FactorControl(made()[0])
    control = ready(made()[0], previous=below)
    assert below.base is control.base is not None
    control.cleanup()
    assert below.base is control.base is control.timestep_range is None


def test_hooks_of_all_controls_are_told(made, factor_control):
    import comfy.hooks

    below, control = (factor_control.FactorControl(made()[0]) for _ in range(2))
    control.set_previous_controlnet(below)
    assert control.get_extra_hooks() == []
    below.extra_hooks = comfy.hooks.HookGroup()
    assert control.get_extra_hooks() == [below.extra_hooks]


def test_another_gpu_has_weights_of_its_own(ready, made, model):
    factor, _ = made()
    control = ready(factor)
    clone = control.deepclone_multigpu(torch.device("cpu"), autoregister=True)
    assert control.get_instance_for_device(torch.device("cpu")) is clone
    assert control.get_models() == [clone.factor.patcher, factor.patcher]
    clone.pre_run(model.model, model.model.model_sampling.percent_to_sigma)
    expected = features_of(control)
    assert_equal(features_of(clone), expected)
    for parameter in factor.patcher.model.parameters():
        parameter.data.zero_()
    assert_equal(features_of(clone), expected)
    control.cleanup()
    assert clone.base is None


# Errors


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"widths": (64, 128)}, r"with levels of 64, 128 channels and a time embedding of 256, and"),
        ({"time_width": 128}, r"with levels of 64, 128, 128 channels and a time embedding of 128, and"),
        ({"kind": "plain", "widths": (64, 128, 256)}, r"with levels of 64, 128, 256 channels, and"),
    ],
)
def test_another_base_is_refused(controlled, made, model, settings, message):
    factor, _ = made(**settings)
    has = r"the model that samples \(.*\) has levels of 64, 128, 128 channels and a time embedding of 256"
    message = rf"model: 0\.safetensors was trained for the miniature {message} {has}; load the base that"
    with pytest.raises(ValueError, match=message):
        sample(model, latents(), controlled(prompts(), factor))


def test_a_model_without_a_unet_is_refused(ready, made):
    class Transformer:
        diffusion_model = torch.nn.Linear(1, 1)

        class model_sampling:  # noqa: N801
            percent_to_sigma = float

    with pytest.raises(ValueError, match=r"has a UNet, and the model that samples has none \(Linear\)"):
        ready(made()[0], base=Transformer())


def test_as_many_parents_as_the_factor_reads(factor_control, made):
    with pytest.raises(ValueError, match=r"parents: got 0, but 0\.safetensors reads 1 \(segmentation\)"):
        factor_control.FactorControl(made(parents=1)[0])
    with pytest.raises(ValueError, match=r"parents: got 1, but .* reads only what it samples"):
        factor_control.FactorControl(made()[0], [None])
