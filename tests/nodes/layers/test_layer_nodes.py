"""*Optimise Layers* and *Fine-Tune Layers* in this process, on a random miniature."""

from __future__ import annotations

import math

import pytest
import torch
from finesse.core.layers import learning
from finesse.core.schedule import NoiseSchedule
from finesse.tests.nodes.factors.small_factors import prompts
from finesse.tests.nodes.layers.photo_layers import (
    BACKGROUND,
    OBJECT,
    as_layers,
    fine_tune,
    optimise,
    picture,
    pictures,
    pixels,
    watched,
)
from finesse.tests.nodes.layers.trainable import in_comfyui, small_sdxl, weights_of

SCHEDULE = NoiseSchedule.scaled_linear()
TEXT = OBJECT[0][0]


@pytest.fixture
def there(theirs):
    """diffusers' UNet of the same weights as a denoiser."""
    return lambda x, t, text: theirs(x, t, text).sample


@pytest.fixture
def told(monkeypatch):
    """What ComfyUI's progress hook is told: (value, total, preview)."""
    import comfy.utils
    from comfy.cli_args import LatentPreviewMethod, args

    heard = []
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    monkeypatch.setattr(
        comfy.utils,
        "PROGRESS_BAR_HOOK",
        lambda value, total, preview, node_id=None: heard.append((value, total, preview)),
    )
    return heard


# What is learnt


def test_optimised_texts_are_those_of_the_method_in_diffusers(trainable_model, vae, theirs, there):
    theirs.requires_grad_(False)
    found = optimise(trainable_model, vae, steps=4, learning_rate=0.01, alpha=0.6, seed=5)
    layers = as_layers(trainable_model, vae, **pictures())
    loop = learning.optimise_embeddings(
        there, layers, [TEXT, BACKGROUND[0][0]], SCHEDULE, seed=5, steps=4, learning_rate=0.01
    )
    *_, last = expected = list(loop)
    for output, embedding in zip((found.object, found.background), last.embeddings, strict=True):
        torch.testing.assert_close(output[0][0], embedding, rtol=0, atol=1e-3)
    torch.testing.assert_close(
        found.loss_map["loss"], [float(step.loss) for step in expected], rtol=1e-3, atol=0
    )
    mixed = 0.6 * found.object[0][0] + 0.4 * found.background[0][0]
    torch.testing.assert_close(found.positive[0][0], mixed)
    assert (found.object[0][0] - TEXT).abs().max() > 0.01
    assert torch.equal(TEXT, prompts(seed=2)[0][0])


def test_fully_tuned_weights_are_those_of_the_method_in_diffusers(trainable_model, vae, theirs, there):
    found = fine_tune(trainable_model, vae, weights="full", steps=4, balance="small object 3 : 1", seed=5)
    layers = as_layers(trainable_model, vae, **pictures())
    loop = learning.fine_tune(
        there, layers, [3.0, 1.0], TEXT, list(theirs.parameters()), SCHEDULE, seed=5, steps=4
    )
    losses = [float(step.loss) for step in loop]
    torch.testing.assert_close(found.loss_map["loss"], losses, rtol=1e-3, atol=0)
    changed = found.lora["diffusion_model.input_blocks.0.0.diff"]
    assert 1e-6 < changed.abs().max() < 1e-5  # 4 steps of 2e-6


@pytest.mark.parametrize("weights", ["full", "low-rank"])
def test_the_model_output_is_the_model_with_the_lora(trainable_model, vae, weights):
    from comfy_extras.nodes_train import LoraModelLoader

    before = in_comfyui(trainable_model)
    found = fine_tune(trainable_model, vae, weights=weights, learning_rate=1e-3, rank=2)
    (by_core,) = LoraModelLoader.execute(trainable_model, found.lora, 1.0).args
    tuned = in_comfyui(found.model)
    assert (tuned - before).abs().max() > 1e-3
    assert torch.equal(in_comfyui(by_core), tuned)
    assert torch.equal(in_comfyui(trainable_model), before)
    ends = (".diff", ".diff_b") if weights == "full" else (".lora_up.weight", ".lora_down.weight", ".alpha")
    assert {name.endswith(ends) for name in found.lora} == {True}


def test_each_kind_has_a_learning_rate_of_its_own(trainable_model, vae):
    for weights, rate in (("full", 2e-6), ("low-rank", 1e-4)):
        by_default, told = (
            fine_tune(trainable_model, vae, weights=weights, learning_rate=given).lora
            for given in (0.0, rate)
        )
        assert all(torch.equal(told[name], tensor) for name, tensor in by_default.items())


def test_the_balance_is_what_the_weights_say(trainable_model, vae):
    def losses(balance, *weights):
        names = dict(zip(("object_weight", "background_weight"), weights, strict=False))
        return fine_tune(trainable_model, vae, balance=balance, **names).loss_map["loss"]

    assert losses("object 2 : 1", 9.0, 9.0) == losses("custom", 2.0, 1.0)
    assert losses("small object 3 : 1") == losses("custom", 3.0, 1.0)
    alone, both = losses("custom", 1.0, 0.0), losses("custom", 1.0, 1.0)
    other = losses("custom", 0.0, 1.0)
    assert alone[0] + other[0] == pytest.approx(both[0], rel=1e-4)


def test_texts_of_different_length_are_repeated_as_a_whole(trainable_model, vae):
    long = [[torch.cat([TEXT, BACKGROUND[0][0] * 0.5, TEXT * 0.1], 1), {}]]
    half = [[torch.cat([BACKGROUND[0][0], TEXT], 1), {}]]
    found = optimise(trainable_model, vae, object=half, background=long)
    assert found.object[0][0].shape == found.background[0][0].shape == (1, 192, 192)
    once, again, thrice = found.object[0][0].split(64, 1)
    torch.testing.assert_close(once, again, rtol=0, atol=1e-4)
    torch.testing.assert_close(once, thrice, rtol=0, atol=1e-4)
    assert (once - half[0][0]).abs().max() > 1e-4


def test_the_first_of_several_entries_is_learnt_and_what_hangs_on_it_kept(trainable_model, vae):
    mine = [[TEXT, {"strength": 0.5}], *prompts(seed=8)]
    found = optimise(trainable_model, vae, object=mine, background=BACKGROUND)
    plain = optimise(trainable_model, vae)
    assert torch.equal(found.positive[0][0], plain.positive[0][0])
    assert found.positive[0][1] == found.object[0][1] == {"strength": 0.5}
    assert len(found.positive) == 1
    assert mine[0][1] == {"strength": 0.5}


def test_an_sdxl_learns_with_each_texts_own_pooled_text(factor_control, vae):
    model = small_sdxl()
    pooled = [torch.randn(1, 1280, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    texts = [[[TEXT, {"pooled_output": own}]] for own in pooled]
    found = optimise(model, vae, object=texts[0], background=texts[1], alpha=0.25)
    for output, own in ((found.object, pooled[0]), (found.background, pooled[1])):
        assert torch.equal(output[0][1]["pooled_output"], own)
    mixed = 0.25 * pooled[0] + 0.75 * pooled[1]
    torch.testing.assert_close(found.positive[0][1]["pooled_output"], mixed)
    swapped = optimise(model, vae, object=[[TEXT, {"pooled_output": pooled[1]}]], background=texts[1])
    assert swapped.loss_map["loss"][0] != found.loss_map["loss"][0]
    tuned = fine_tune(model, vae, positive=found.positive)
    assert len(tuned.loss_map["loss"]) == 3


def test_the_same_seed_learns_the_same_and_another_does_not(trainable_model, vae):
    first, again, other = (fine_tune(trainable_model, vae, seed=seed).lora for seed in (1, 1, 2))
    assert all(torch.equal(again[name], tensor) for name, tensor in first.items())
    assert any(not torch.equal(other[name], tensor) for name, tensor in first.items())


@pytest.mark.parametrize(
    ("total", "spare", "kind"), [(12e9, 1.5, "low-rank"), (16.5e9, 1.5, "full"), (24e9, 0.5, "low-rank")]
)
def test_auto_is_low_rank_on_small_cards_and_on_full_ones(
    trainable_model, vae, monkeypatch, total, spare, kind
):
    import comfy.model_management
    from finesse.nodes.layers.training_memory import training_memory

    low, full = (training_memory(trainable_model, (2, 4, 9, 8), rank, 32) for rank in (16, None))
    free = low + spare * (full - low)
    monkeypatch.setattr(comfy.model_management, "get_total_memory", lambda device=None: total)
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device=None: free)
    lora = fine_tune(trainable_model, vae, weights="auto", steps=1).lora
    assert any(name.endswith(".diff") for name in lora) == (kind == "full")


def test_it_is_shown_while_it_learns(model, vae, told, monkeypatch):
    from finesse.nodes.layers import layer_training

    monkeypatch.setattr(layer_training, "PREVIEW_EVERY", 0.0)
    optimise(model, vae, steps=3)
    assert [(value, total) for value, total, _ in told] == [(1, 3), (2, 3), (3, 3)]
    shown = [preview for _, _, preview in told]
    assert {(kind, image.size) for kind, image, _ in shown} == {("JPEG", (8, 9))}  # cells


# What becomes of the model


def interrupt():
    import comfy.model_management

    comfy.model_management.interrupt_current_processing()


def run_out_of_memory():
    raise torch.cuda.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize("end", ["done", "interrupted", "out of memory", "NaN"])
@pytest.mark.parametrize(
    ("learn", "inputs"),
    [(optimise, {}), (fine_tune, {"weights": "low-rank"}), (fine_tune, {"weights": "full"})],
)
def test_the_loaded_model_stays_as_it_was(trainable_model, vae, learn, inputs, end):
    from comfy.model_management import InterruptProcessingException

    do, error, message = {
        "done": (None, None, None),
        "interrupted": (interrupt, InterruptProcessingException, None),
        "out of memory": (run_out_of_memory, ValueError, r"cpu ran out of memory while learning; .*smaller"),
        "NaN": (lambda: math.nan, ValueError, r"The loss is nan at step 3 of 40: lower learning_rate"),
    }[end]
    expected, before = pixels(trainable_model), weights_of(trainable_model)
    model, calls = watched(trainable_model, 3, do)
    if error is None:
        learn(trainable_model, vae, **inputs)
    else:
        with pytest.raises(error, match=message) as failed:
            learn(model, vae, steps=40, **inputs)
        assert len(calls) == (3 if end != "NaN" else learning.CHECK_EVERY)
        assert failed.value.__context__ is None  # which would hold on to the memory
    after = trainable_model.model.state_dict()
    assert all(torch.equal(tensor, before[name]) for name, tensor in after.items())
    assert all(parameter.grad is None for parameter in trainable_model.model.parameters())
    assert torch.equal(pixels(trainable_model), expected)


# What is refused


def test_too_little_memory_is_told_before_it_starts(trainable_model, vae, monkeypatch):
    import comfy.model_management

    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda device=None: 2**20)
    model, calls = watched(trainable_model, 0, interrupt)
    for learn, inputs, remedy in (
        (optimise, {}, "make image, mask and reference smaller"),
        (fine_tune, {"weights": "full"}, "choose low-rank for weights"),
        (fine_tune, {}, "lower rank, or make image"),
    ):
        with pytest.raises(ValueError, match=rf"needs about [\d.]+ GB and cpu can free 0\.0 GB; {remedy}"):
            learn(model, vae, **inputs)
    assert not calls


REFUSED = {
    "two pictures": ({"image": picture(0).repeat(2, 1, 1, 1)}, "image holds 2 pictures; link one"),
    "two references": ({"reference": picture(0).repeat(2, 1, 1, 1)}, "reference holds 2 pictures; link one"),
    "NaN": ({"reference": picture(0) / 0}, "reference holds 2958 values that are NaN or infinite"),
    "empty mask": ({"mask": torch.zeros(1, 34, 29)}, r"mask is empty \(0 everywhere\): paint the object"),
    "placeholder": ({"mask": torch.zeros(1, 64, 64)}, r"mask is empty \(0 everywhere\): paint the object"),
    "mask everywhere": ({"mask": torch.ones(1, 34, 29)}, "mask is 1 everywhere, which leaves no background"),
    "other mask": ({"mask": torch.ones(1, 30, 29)}, "mask is 29×30 px but image is 29×34 px"),
    "mask too bright": ({"mask": torch.ones(1, 34, 29) * 2}, "mask has values from 2 to 2"),
    "other reference": (
        {"reference": picture(0, 40, 30)},
        "reference is 30×40 px but image is 29×34 px; put it through background of Reference Background",
    ),
}


@pytest.mark.parametrize("learn", [optimise, fine_tune])
@pytest.mark.parametrize("case", REFUSED)
def test_unfit_pictures_are_refused(trainable_model, vae, learn, case):
    inputs, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        learn(trainable_model, vae, **inputs)


@pytest.mark.parametrize(
    ("learn", "name"), [(optimise, "object"), (optimise, "background"), (fine_tune, "positive")]
)
def test_unfit_texts_are_refused(trainable_model, vae, learn, name):
    with pytest.raises(ValueError, match=f"{name} holds no prompt; link a conditioning"):
        learn(trainable_model, vae, **{name: []})
    message = f"{name} has embeddings of 768 numbers and model reads 192; encode the text with the CLIP of"
    with pytest.raises(ValueError, match=message):
        learn(trainable_model, vae, **{name: [[torch.zeros(1, 77, 768), {}]]})
    with pytest.raises(
        ValueError, match=rf"{name} must be one text \(1, tokens, width\), got \[2, 32, 192\]"
    ):
        learn(trainable_model, vae, **{name: prompts(rows=2)})


def test_a_vae_of_another_model_is_refused(trainable_model, vae):
    class Wide:
        """A VAE of 16 channels."""

        def spacial_compression_encode(self):
            return vae.spacial_compression_encode()

        def encode(self, pixels):
            return vae.encode(pixels).repeat(1, 4, 1, 1)

    with pytest.raises(ValueError, match=r"vae gives a latent of shape \[1, 16, 9, 8\] but model reads 4"):
        optimise(trainable_model, Wide())


def test_models_that_cannot_learn_are_refused(trainable_model, vae):
    from comfy_extras.nodes_model_advanced import ModelSamplingSD3

    (model,) = ModelSamplingSD3().patch(trainable_model, 3.0)
    for learn in (optimise, fine_tune):
        with pytest.raises(ValueError, match="cannot be trained here; link a Stable Diffusion"):
            learn(model, vae)


def test_weights_of_nothing_are_refused(trainable_model, vae):
    with pytest.raises(ValueError, match="object_weight and background_weight are both 0; raise one"):
        fine_tune(trainable_model, vae, balance="custom", object_weight=0.0, background_weight=0.0)
