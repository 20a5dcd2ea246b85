"""Attention read out of a UNet, against the same computed by hand in float64."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from finesse.core.factors.attention import attention_divergence
from finesse.miniature.model.networks import TEXT_WIDTH, build_unet
from finesse.training.models.attention import grid_of, recorded

LAYERS = 7  # transformer blocks of the miniature: 2 down, 1 in the middle, 4 up
SD15_LIKE = {
    "sample_size": 16,
    "block_out_channels": (32, 64, 64, 64),
    "layers_per_block": 2,
    "cross_attention_dim": TEXT_WIDTH,
    "attention_head_dim": 8,
}


@pytest.fixture
def unet():
    torch.manual_seed(0)
    return build_unet().requires_grad_(False)


def inputs(height=16, width=16, batch=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return {
        "sample": torch.randn(batch, 4, height, width, generator=generator, dtype=dtype),
        "timestep": torch.tensor([10] * batch),
        "encoder_hidden_states": torch.randn(batch, 5, TEXT_WIDTH, generator=generator, dtype=dtype),
    }


def features(scale=0.5):
    """What a factor would add at the end of each of the miniature's levels."""
    generator = torch.Generator().manual_seed(2)
    shapes = [(64, 16), (128, 8), (128, 4)]
    return [scale * torch.randn(2, c, n, n, generator=generator) for c, n in shapes]


def processors(unet):
    return list(unet.attn_processors.values())


def by_hand(unet, run):
    """Layer by layer, in order: (self?, probabilities (B, Q, K)) in float64 from hooked queries and keys."""
    layers = {name: m for name, m in unet.named_modules() if name.endswith(("attn1", "attn2"))}
    seen, order, hooks = {}, [], []
    for name, layer in layers.items():
        hooks.append(layer.register_forward_hook(lambda *_, name=name: order.append(name)))
        for part in (layer.to_q, layer.to_k):
            hooks.append(part.register_forward_hook(lambda m, _, out: seen.__setitem__(m, out.double())))
    run()
    for hook in hooks:
        hook.remove()
    for name in order:
        layer = layers[name]
        heads = [seen[part].chunk(layer.heads, dim=-1) for part in (layer.to_q, layer.to_k)]
        each = [torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1) for q, k in zip(*heads, strict=True)]
        yield name.endswith("attn1"), sum(each) / layer.heads


@pytest.mark.parametrize("before", [AttnProcessor, AttnProcessor2_0])
def test_the_maps_are_the_probabilities_computed_by_hand(unet, before):
    unet.set_attn_processor(before())
    expected = list(by_hand(unet, lambda: unet(**inputs())))
    plain = unet(**inputs()).sample

    with recorded(unet) as maps:
        assert torch.allclose(unet(**inputs()).sample, plain, atol=2e-5, rtol=1e-5)

    assert len(maps.of_cells) == len(maps.of_tokens) == LAYERS
    for own, found in ((True, maps.of_cells), (False, maps.of_tokens)):
        for map_, probabilities in zip(found, [p for kind, p in expected if kind == own], strict=True):
            side = round(probabilities.shape[1] ** 0.5)
            assert map_.shape == (2, probabilities.shape[2], side, side)
            assert torch.allclose(map_.double().flatten(2).mT, probabilities, atol=1e-6)
    assert torch.equal(unet(**inputs()).sample, plain)


def test_a_larger_picture_that_is_not_square_is_kept_on_sixteen_cells(unet):
    with torch.no_grad(), recorded(unet) as maps:
        unet(**inputs(24, 40))

    assert maps.of_cells[0].shape == (2, 16 * 10, 10, 16)
    assert maps.of_tokens[0].shape == (2, 5, 24, 40)
    assert not maps.of_cells[0].requires_grad
    for map_ in (*maps.of_cells, *maps.of_tokens):
        assert torch.allclose(map_.sum(dim=1), torch.ones(()), atol=1e-5)


def test_an_sd15_like_unet_is_recorded_too():
    torch.manual_seed(0)
    unet = UNet2DConditionModel(**SD15_LIKE)
    with torch.no_grad():
        plain = unet(**inputs()).sample
        with recorded(unet) as maps:
            assert torch.allclose(unet(**inputs()).sample, plain, atol=2e-5, rtol=1e-5)

    assert len(maps.of_cells) == len(maps.of_tokens) == 16


def test_gradients_reach_what_a_factor_adds_and_are_the_same_with_checkpointing(unet):
    unet.train()
    with torch.no_grad(), recorded(unet) as teacher:
        unet(**inputs())
    gradients = []
    for checkpointing in (False, True):
        if checkpointing:
            unet.enable_gradient_checkpointing()
        added = [feature.requires_grad_() for feature in features()]
        with recorded(unet) as student:
            predicted = unet(**inputs(), down_intrablock_additional_residuals=list(added)).sample
        divergence = attention_divergence(teacher, student)
        (divergence + predicted.square().mean()).backward()  # after the block, as a trainer does

        assert divergence > 1e-4
        assert len(student.of_cells) == len(student.of_tokens) == LAYERS
        assert unet.is_gradient_checkpointing == checkpointing
        gradients.append([feature.grad for feature in added])

    for plain, checkpointed in zip(*gradients, strict=True):
        assert plain.abs().sum() > 0
        torch.testing.assert_close(checkpointed, plain)


def test_gradients_are_the_finite_differences(unet):
    unet.double()
    with torch.no_grad(), recorded(unet) as teacher:
        unet(**inputs(dtype=torch.float64))
    added = [feature.double() for feature in features()]

    def divergence(scale):
        with recorded(unet) as student:
            residuals = [scale * feature for feature in added]
            unet(**inputs(dtype=torch.float64), down_intrablock_additional_residuals=residuals)
        return attention_divergence(teacher, student)

    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    divergence(scale).backward()
    with torch.no_grad():
        difference = (divergence(scale + 1e-5) - divergence(scale - 1e-5)) / 2e-5

    assert scale.grad.item() == pytest.approx(difference.item(), rel=1e-5)


def test_without_features_student_and_teacher_agree(unet):
    with torch.no_grad(), recorded(unet) as teacher:
        unet(**inputs())
    with recorded(unet) as student:
        unet(**inputs())

    assert attention_divergence(teacher, student).abs() < 1e-6


def test_a_second_pass_replaces_the_first(unet):
    with torch.no_grad(), recorded(unet) as maps:
        unet(**inputs())
        unet(**inputs(batch=1))

    assert len(maps.of_cells) == LAYERS
    assert maps.of_cells[0].shape[0] == 1


def test_the_unet_is_as_before_also_after_an_error(unet):
    unet.enable_gradient_checkpointing()
    before = processors(unet)

    def fail_within():
        with recorded(unet):
            assert not set(map(id, before)) & set(map(id, processors(unet)))
            unet(**inputs() | {"encoder_hidden_states": torch.zeros(2, 5, 3)})

    with pytest.raises(RuntimeError, match="shapes"):
        fail_within()

    assert all(a is b for a, b in zip(before, processors(unet), strict=True))
    assert unet.is_gradient_checkpointing
    assert all(m.gradient_checkpointing for m in unet.modules() if hasattr(m, "gradient_checkpointing"))
    assert not unet._forward_pre_hooks


def test_attention_of_another_kind_is_refused(unet):
    class Special:
        pass

    unet.mid_block.attentions[0].transformer_blocks[0].attn1.processor = Special()

    with pytest.raises(ValueError, match="attends by Special"), recorded(unet):
        pass


def test_the_grid_of_a_layer():
    assert grid_of(32 * 24, (64, 48)) == (32, 24)
    assert grid_of(5 * 3, (9, 5)) == (5, 3)
    with pytest.raises(ValueError, match="no halving"):
        grid_of(10, (16, 16))
