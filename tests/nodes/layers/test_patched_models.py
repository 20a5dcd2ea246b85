"""Learning on a MODEL with patches: those that let gradients pass, and those that do not."""

from __future__ import annotations

import pytest
import torch
from finesse.tests.nodes.layers.photo_layers import fine_tune, optimise
from finesse.tests.nodes.layers.trainable import in_comfyui

LEARNERS = {"texts": optimise, "weights": fine_tune}


@pytest.fixture(params=LEARNERS)
def learn(request, trainable_model, vae):
    """Learns a photo's layers on the model with a patch."""

    def run(patch):
        with torch.inference_mode():
            return LEARNERS[request.param](patch(trainable_model.clone()), vae)

    return run


def free_u(model):
    from comfy_extras.nodes_freelunch import FreeU_V2

    return FreeU_V2.execute(model, 1.3, 1.4, 0.9, 0.2).args[0]


def to_numpy(model):
    def sent(h, hsp, transformer_options):
        return torch.from_numpy(h.numpy()), hsp

    model.set_model_output_block_patch(sent)
    return model


def scaled_in_inference_mode(model):
    scale = torch.full((1,), 0.5)  # as a node has it, which ComfyUI runs in inference mode
    model.set_model_output_block_patch(lambda h, hsp, transformer_options: (h * scale, hsp))
    assert scale.is_inference()
    return model


def without_gradient(model):
    @torch.no_grad()
    def attention(q, k, v, extra_options):
        return q * 1

    model.set_model_attn1_replace(attention, "output", 3, 0)
    return model


def detached(model):
    model.set_model_output_block_patch(lambda h, hsp, transformer_options: (h.detach(), hsp.detach()))
    return model


@pytest.mark.parametrize(
    ("patch", "name", "said"),
    [
        (free_u, "FreeU_V2", "modified by an inplace operation"),
        (to_numpy, "to_numpy", "Can't call numpy"),
        (scaled_in_inference_mode, "scaled_in_inference_mode", "Inference tensors"),
        (without_gradient, "without_gradient", "its result has no gradient"),
        (detached, "detached", "its result has no gradient"),
    ],
)
def test_a_patch_that_lets_no_gradient_pass_is_named(learn, trainable_model, patch, name, said):
    before = in_comfyui(trainable_model)
    with pytest.raises(ValueError, match=rf"model is patched by {name}, .*before that patch.*{said}"):
        learn(patch)
    assert torch.equal(in_comfyui(trainable_model), before)


def test_a_patch_that_lets_gradients_pass_takes_part(learn):
    def reduced(model):
        model.set_model_attn2_patch(lambda n, context, value, extra_options: (n, context * 0.5, value))
        return model

    losses = [learn(patch).loss_map["loss"] for patch in (reduced, lambda model: model)]
    assert losses[0] != losses[1]


def test_an_error_of_another_kind_stays_as_it_is(learn):
    def broken(model):
        def fail(h, hsp, transformer_options):
            raise KeyError("h")

        model.set_model_output_block_patch(fail)
        return model

    with pytest.raises(KeyError):
        learn(broken)
