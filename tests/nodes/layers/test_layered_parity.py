"""An edit learnt on ComfyUI's MODEL and on diffusers' UNet: the same numbers from the same seed."""

from __future__ import annotations

import pytest
import torch
from finesse.core.layers import learning
from finesse.core.layers.losses import split_layers
from finesse.miniature.model import networks
from finesse.tests.nodes.factors.small_factors import latents, prompts
from finesse.tests.nodes.layers.trainable import COND, T, comfy_names
from finesse.training.models.base_model import PLAIN, load_base
from finesse.training.models.denoising import use_plain_attention
from finesse.training.models.edit_weights import as_denoiser, edit_weights

SEED, STEPS, RANK = 11, 8, 4
X = latents(2, seed=6)
TOLERANCE = 1e-3


def learn(denoiser, schedule, start_weights, rate):
    """Losses of both parts, changes of the embeddings, and how far the prediction has moved."""
    mask = torch.zeros(64, 64)
    mask[8:40, 20:50] = 1
    layers = split_layers(*(latents(1, seed=seed) for seed in (21, 22)), mask)
    start = [prompts(seed=seed)[0][0] for seed in (31, 32)]
    settings = {"seed": SEED, "steps": STEPS}
    fitted = list(
        learning.optimise_embeddings(denoiser, layers, start, schedule, learning_rate=1e-2, **settings)
    )
    positive = learning.interpolate(*fitted[-1].embeddings)
    parameters = start_weights()
    before = denoiser(X, T, COND.expand(2, -1, -1)).detach()
    tuned = list(
        learning.fine_tune(
            denoiser, layers, [2, 1], positive, parameters, schedule, learning_rate=rate, **settings
        )
    )
    after = denoiser(X, T, COND.expand(2, -1, -1)).detach()
    changes = zip(fitted[-1].embeddings, start, strict=True)
    return {
        "losses": torch.stack([progress.loss for progress in fitted + tuned]),
        "embeddings": [found - given for found, given in changes],
        "moved": float((after - before).norm() / before.norm()),
    }


def on_comfyui(model, denoiser, rank, rate):
    """`learn` with the changes of the weights by diffusers' names."""
    with torch.inference_mode(), denoiser:

        def start_weights():
            return denoiser.add_low_rank(rank, SEED) if rank else denoiser.full_weights()

        found = learn(denoiser, denoiser.schedule, start_weights, rate)
        lora = denoiser.lora() if rank else denoiser.difference()
    names, weights = comfy_names(model), {}
    for key, tensor in lora.items():
        layer, _, part = key.removeprefix("diffusion_model.").partition(".lora_" if rank else ".diff")
        if part == "up.weight":
            tensor = tensor @ lora[key.replace("lora_up", "lora_down")]
        if part in ("", "_b", "up.weight") and not key.endswith(".alpha"):
            weights[names[f"{layer}.{'bias' if part == '_b' else 'weight'}"]] = tensor
    return found | {"weights": weights}


def on_diffusers(base, rank, rate):
    """The same with what the script `finesse.training.layered` is made of."""
    unet = base.unet
    use_plain_attention(unet)
    start = {name: weight.clone() for name, weight in unet.named_parameters()}
    with edit_weights(unet, rank, SEED) as weights:
        found = learn(as_denoiser(unet), base.schedule, lambda: weights.parameters, rate)
        if rank:
            pairs = zip(weights.parameters[::2], weights.parameters[1::2], strict=True)
            layers = [name for name, layer in unet.named_modules() if hasattr(layer, "lora_A")]
            changes = [(up.flatten(1) @ down.flatten(1)).detach() for down, up in pairs]
            changed = dict(zip([f"{layer}.weight" for layer in layers], changes, strict=True))
        else:
            changed = {name: p.detach() - start[name] for name, p in unet.named_parameters()}
    return found | {"weights": changed}


def relative(found, expected):
    return float((found.reshape(expected.shape) - expected).norm() / expected.norm())


@pytest.mark.parametrize(("rank", "rate"), [(0, 1e-3), (RANK, 1e-2)], ids=["full", "low-rank"])
def test_an_edit_is_the_same_in_comfyui_and_in_diffusers(model, trainable, measured, rank, rate):
    ours = on_comfyui(model, trainable(model), rank, rate)
    theirs = on_diffusers(load_base(networks.WEIGHTS, channels=PLAIN), rank, rate)
    assert theirs["moved"] > 0.05
    assert min(float(change.norm()) for change in theirs["embeddings"]) > 1
    assert ours["weights"].keys() == theirs["weights"].keys()
    apart = {
        "losses": float((ours["losses"] / theirs["losses"] - 1).abs().max()),
        "embeddings": max(map(relative, ours["embeddings"], theirs["embeddings"])),
        "weights": max(relative(ours["weights"][name], w) for name, w in theirs["weights"].items()),
    }
    told = ", ".join(f"{name} {value:.1e}" for name, value in apart.items())
    measured(f"an edit in ComfyUI and in diffusers, {'low-rank' if rank else 'full'}: {told}")
    assert {name: value for name, value in apart.items() if not value < TOLERANCE} == {}
