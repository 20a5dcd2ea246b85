"""A factor on a diffusers UNet, against diffusers' own adapter path and a forward pass written by hand."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from finesse.core.factors.adapter import Factor, TimestepAdapter
from finesse.miniature.model.networks import build_unet
from finesse.training.models.factor_unet import FactoredUNet, build_factor

WIDTH = 48
SD15_LIKE = {
    "sample_size": 16,
    "block_out_channels": (32, 64, 64, 64),
    "layers_per_block": 2,
    "cross_attention_dim": WIDTH,
    "attention_head_dim": 8,
}
SDXL_LIKE = {
    "sample_size": 16,
    "block_out_channels": (32, 64, 64),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 1, 2),
    "cross_attention_dim": WIDTH,
    "attention_head_dim": 8,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + 20,
}
BUILD = {
    "miniature": build_unet,
    "sd15": lambda: UNet2DConditionModel(**SD15_LIKE),
    "sdxl": lambda: UNet2DConditionModel(**SDXL_LIKE),
}


def frozen(name):
    torch.manual_seed(0)
    return BUILD[name]().eval().requires_grad_(False)


def trained_factor(unet, kind="timestep", parents=0):
    """A factor whose every weight counts."""
    torch.manual_seed(1)
    factor = build_factor(unet, kind, parents)
    with torch.no_grad():
        for parameter in factor.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return factor


def inputs(unet, rows=2, size=(16, 16)):
    torch.manual_seed(2)
    found = {
        "sample": torch.randn(rows, 4, *size),
        "timestep": torch.tensor([10, 700, 300][:rows]),
        "encoder_hidden_states": torch.randn(rows, 5, unet.config.cross_attention_dim),
    }
    if unet.config.addition_embed_type:
        added = {"text_embeds": torch.randn(rows, 20), "time_ids": torch.randint(0, 64, (rows, 6)).float()}
        found["added_cond_kwargs"] = added
    return found


def embedded(unet, given):
    """The embedding that the first residual block of `unet` is given, and the one before sizes are added."""
    seen = []
    hook = unet.time_embedding.register_forward_hook(lambda module, args, output: seen.append(output))
    unet(**given)
    hook.remove()
    return seen[0]


def sdxl_by_hand(unet, given, features):
    """An SDXL's forward pass, its blocks called one by one, features added before each level halves."""
    added = given["added_cond_kwargs"]
    emb = unet.time_embedding(unet.time_proj(given["timestep"]))
    ids = unet.add_time_proj(added["time_ids"].flatten()).reshape(len(emb), -1)
    emb = emb + unet.add_embedding(torch.cat([added["text_embeds"], ids], dim=-1))
    text = given["encoder_hidden_states"]
    x = unet.conv_in(given["sample"])
    skips = [x]
    for block, feature in zip(unet.down_blocks, features, strict=True):
        attentions = getattr(block, "attentions", [None] * len(block.resnets))
        for place, (resnet, attention) in enumerate(zip(block.resnets, attentions, strict=True)):
            x = resnet(x, emb)
            x = x if attention is None else attention(x, encoder_hidden_states=text).sample
            x = x + feature if place == len(block.resnets) - 1 else x
            skips.append(x)
        if block.downsamplers:
            x = block.downsamplers[0](x)
            skips.append(x)
    x = unet.mid_block(x, emb, encoder_hidden_states=text)
    for block in unet.up_blocks:
        own, skips = skips[-len(block.resnets) :], skips[: -len(block.resnets)]
        named = {"encoder_hidden_states": text} if hasattr(block, "attentions") else {}
        x = block(hidden_states=x, temb=emb, res_hidden_states_tuple=tuple(own), **named)
    return unet.conv_out(unet.conv_act(unet.conv_norm_out(x)))


@pytest.mark.parametrize("kind", ["timestep", "plain"])
@pytest.mark.parametrize("name", ["miniature", "sd15"])
@torch.no_grad()
def test_it_computes_what_diffusers_own_adapter_path_computes(name, kind):
    unet = frozen(name)
    given, factor = inputs(unet), trained_factor(unet, kind)
    plain = unet(**given).sample
    features = factor([given["sample"]], embedded(unet, given))
    expected = unet(**given, down_intrablock_additional_residuals=[*features]).sample
    with FactoredUNet(unet, factor, is_first=True).attached() as factored:
        torch.testing.assert_close(factored(**given).sample, expected, rtol=1e-5, atol=1e-5)
        assert torch.equal(factored.plain(**given).sample, plain)
    assert (expected - plain).abs().max() > 1e-2


@torch.no_grad()
def test_an_sdxl_gets_the_features_before_its_levels_halve():
    unet = frozen("sdxl")
    given, factor = inputs(unet), trained_factor(unet)
    zeros = [torch.zeros(1)] * 3
    torch.testing.assert_close(sdxl_by_hand(unet, given, zeros), unet(**given).sample, rtol=1e-5, atol=1e-5)
    expected = sdxl_by_hand(unet, given, factor([given["sample"]], embedded(unet, given)))
    found = FactoredUNet(unet, factor, is_first=True)(**given).sample
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", BUILD)
@torch.no_grad()
def test_the_time_embedding_is_the_unets_own(name):
    unet = frozen(name)
    given = inputs(unet)
    factored = FactoredUNet(unet, build_factor(unet, "timestep", 0), is_first=True)
    assert torch.equal(factored.time_embedding(given["sample"], given["timestep"]), embedded(unet, given))
    one = factored.time_embedding(given["sample"], torch.tensor(10))
    assert torch.equal(one[0], embedded(unet, given)[0])


@torch.no_grad()
def test_odd_sizes_are_halved_as_the_base_halves_them():
    unet = frozen("miniature")
    given, factor = inputs(unet, size=(15, 10)), trained_factor(unet)
    features = factor([given["sample"]], embedded(unet, given))
    expected = unet(**given, down_intrablock_additional_residuals=features).sample
    found = FactoredUNet(unet, factor, is_first=True)(**given).sample
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_a_later_factor_reads_its_parents_and_zeros_for_a_dropped_one():
    unet = frozen("miniature")
    given, factor = inputs(unet), trained_factor(unet, parents=2)
    parent = torch.randn(1, 4, 16, 16)
    factored = FactoredUNet(unet, factor, is_first=False)
    factored.parents = [parent, None]
    found = factored(**given).sample
    read = [parent.expand(2, -1, -1, -1), torch.zeros(2, 4, 16, 16)]
    features = factor(read, embedded(unet, given))
    factored.features = []
    expected = unet(**given, down_intrablock_additional_residuals=features).sample
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_detached_the_base_is_as_before():
    unet = frozen("miniature")
    given, before = inputs(unet), {key: value.clone() for key, value in unet.state_dict().items()}
    plain = unet(**given).sample
    with FactoredUNet(unet, trained_factor(unet), is_first=True).attached() as factored:
        assert not torch.equal(factored(**given).sample, plain)
    with pytest.raises(KeyError), FactoredUNet(unet, trained_factor(unet), is_first=True).attached():
        raise KeyError
    assert torch.equal(unet(**given).sample, plain)
    assert all(torch.equal(value, before[key]) for key, value in unet.state_dict().items())
    assert not any(module._forward_hooks for module in unet.modules())


@pytest.mark.parametrize("name", ["miniature", "sdxl"])
def test_only_the_factor_gets_gradients_checkpointed_or_not(name):
    def gradients(checkpointed):
        unet = frozen(name)
        if checkpointed:
            unet.train().enable_gradient_checkpointing()
        factored = FactoredUNet(unet, trained_factor(unet), is_first=True)
        factored(**inputs(unet)).sample.square().mean().backward()
        assert all(parameter.grad is None for parameter in unet.parameters())
        return {key: parameter.grad for key, parameter in factored.factor.named_parameters()}

    plain, checkpointed = gradients(False), gradients(True)
    assert all(gradient.abs().max() > 0 for gradient in plain.values())
    for key, gradient in plain.items():
        torch.testing.assert_close(checkpointed[key], gradient, rtol=1e-5, atol=1e-8)


def test_a_factor_of_another_base_is_refused():
    unet = frozen("miniature")
    with pytest.raises(ValueError, match=r"its levels are \(32, 64\), the base's \(64, 128, 128\)"):
        FactoredUNet(unet, Factor([TimestepAdapter((32, 64), 128)]), is_first=True)
    assert not any(module._forward_hooks for module in unet.modules())


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind: got 'big'; use one of timestep, plain"):
        build_factor(frozen("miniature"), "big", 0)
