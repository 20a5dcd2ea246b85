"""LayerDiffusion's two loops on a small UNet of diffusers, what they learn and what they leave behind."""

from __future__ import annotations

import math
import weakref

import pytest
import torch
from diffusers import UNet2DConditionModel
from finesse.core.layers.learning import fine_tune, interpolate, optimise_embeddings, same_length
from finesse.core.layers.losses import Layer, LayeredLoss, split_layers
from finesse.core.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.scaled_linear()
TOKENS, WIDTH = 3, 16


def seeded(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def built():
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=8,
        layers_per_block=1,
        block_out_channels=(8, 16),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        norm_num_groups=4,
        attention_head_dim=4,
    ).eval()


@pytest.fixture
def unet(built):
    """A UNet as it was, whatever the test before has made of it."""
    state = {name: tensor.clone() for name, tensor in built.state_dict().items()}
    yield built.requires_grad_(False)
    built.load_state_dict(state)
    built.zero_grad(set_to_none=True)


@pytest.fixture
def denoiser(unet):
    return lambda noisy, timestep, text: unet(noisy, timestep, text).sample


@pytest.fixture
def layers():
    mask = torch.zeros(29, 31)
    mask[5:20, 7:22] = 1
    return split_layers(seeded(1, 4, 8, 8), seeded(1, 4, 8, 8, seed=1), mask)


@pytest.fixture
def texts():
    return [seeded(1, TOKENS, WIDTH, seed=seed) for seed in (2, 3)]


def mean_loss(denoiser, layers, texts, weights=(1.0, 1.0)):
    """Over draws that training has not seen."""
    loss = LayeredLoss(denoiser, layers, texts, weights, SCHEDULE)
    with torch.no_grad():
        return sum(float(loss(1234, step)) for step in range(12)) / 12


def same(before, after):
    return all(torch.equal(before[name], after[name]) for name in before)


def kept(unet):
    return {name: tensor.clone() for name, tensor in unet.state_dict().items()}


def test_embeddings_come_nearer_to_their_layers_and_the_model_stays(unet, denoiser, layers, texts):
    before, starts = kept(unet), [text.clone() for text in texts]
    unet.requires_grad_(True)
    done = list(optimise_embeddings(denoiser, layers, texts, SCHEDULE, seed=0, steps=25, learning_rate=0.1))

    assert [progress.step for progress in done] == list(range(1, 26))
    assert {progress.total for progress in done} == {25}
    assert all(progress.loss.shape == () and not progress.loss.requires_grad for progress in done)
    found = done[-1].embeddings
    assert [text.dtype for text in found] == [torch.float32] * 2
    assert not any(text.requires_grad for text in found)
    assert mean_loss(denoiser, layers, found) < mean_loss(denoiser, layers, starts) - 0.01

    assert same(before, unet.state_dict())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in unet.parameters())
    assert all(torch.equal(text, start) for text, start in zip(texts, starts, strict=True))


def test_a_first_step_of_adam_is_the_learning_rate_against_the_gradient(denoiser, layers, texts):
    """Bias-corrected, it is -rate * g / (|g| + 1e-8): what backward divides out must be exact."""
    leaves = [text.clone().requires_grad_() for text in texts]
    value = LayeredLoss(denoiser, layers, leaves, [1.0, 1.0], SCHEDULE)(7, 0)
    value.backward()
    (done,) = optimise_embeddings(denoiser, layers, texts, SCHEDULE, seed=7, steps=1)
    assert float(done.loss) == pytest.approx(value.item(), rel=1e-6)
    for leaf, found in zip(leaves, done.embeddings, strict=True):
        gradient = leaf.grad.double()
        expected = leaf.detach().double() - 1e-3 * gradient / (gradient.abs() + 1e-8)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-5)
        assert (gradient.abs() > 1e-7).float().mean() > 0.9


def test_one_pass_equals_two(unet, denoiser, layers, texts):
    batches = []

    def counted(noisy, timestep, text):
        batches.append(len(noisy))
        return denoiser(noisy, timestep, text)

    leaves = [text.requires_grad_() for text in texts]
    both = LayeredLoss(counted, layers, leaves, [2.0, 1.0], SCHEDULE)(5, 3)
    together = torch.autograd.grad(both, leaves)
    apart = [
        LayeredLoss(counted, [layer], [leaf], [weight], SCHEDULE)(5, 3)
        for layer, leaf, weight in zip(layers, leaves, (2.0, 1.0), strict=True)
    ]
    assert batches == [2, 1, 1]
    assert both.item() == pytest.approx(sum(loss.item() for loss in apart), abs=1e-5)
    torch.testing.assert_close(together, torch.autograd.grad(sum(apart), leaves), rtol=0, atol=1e-5)


def test_layers_of_two_sizes_are_learnt_too(denoiser, texts):
    mask = torch.zeros(16, 16)
    mask[4:12, 4:12] = 1
    layers = split_layers(seeded(1, 4, 8, 8), seeded(1, 4, 4, 12, seed=1), mask)
    (done,) = optimise_embeddings(denoiser, layers, texts, SCHEDULE, seed=0, steps=1)
    assert math.isfinite(done.loss)
    assert done.preview().shape == (1, 4, 8, 8)


@pytest.mark.parametrize("part", ["", "attn2"])
def test_a_few_weights_or_all_of_them_overfit(unet, denoiser, layers, texts, part):
    before, text = kept(unet), texts[0]
    named = {name: weight for name, weight in unet.named_parameters() if part in name}
    start = mean_loss(denoiser, layers, [text] * 2, (2.0, 1.0))
    rate = 0.01 if not part else 0.1
    done = list(
        fine_tune(
            denoiser,
            layers,
            (2, 1),
            text,
            list(named.values()),
            SCHEDULE,
            seed=0,
            steps=25,
            learning_rate=rate,
        )
    )
    end = mean_loss(denoiser, layers, [text] * 2, (2.0, 1.0))
    assert end < start - 0.2
    assert done[-1].embeddings == ()
    assert torch.equal(text, texts[0])

    after = unet.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == set(named)
    assert all(weight.grad is None and not weight.requires_grad for weight in unet.parameters())


@pytest.mark.parametrize(("weights", "place"), [((2, 0), 0), ((0, 1), 1)])
def test_a_layer_of_weight_0_is_not_computed(unet, denoiser, layers, texts, weights, place):
    batches = []

    def counted(noisy, timestep, text):
        batches.append(len(noisy))
        return denoiser(noisy, timestep, text)

    alone = LayeredLoss(denoiser, [layers[place]], texts[:1], [weights[place]], SCHEDULE)
    expected = alone(0, 0).item()
    weight = unet.conv_out.weight
    (done,) = fine_tune(counted, layers, weights, texts[0], [weight], SCHEDULE, seed=0, steps=1)
    assert batches == [1]
    assert float(done.loss) == pytest.approx(expected, rel=1e-5)


def test_the_loss_of_a_step_depends_on_nothing_but_the_seed(denoiser, layers, texts):
    def losses(steps, seed=3):
        done = list(optimise_embeddings(denoiser, layers, texts, SCHEDULE, seed=seed, steps=steps))
        return [float(progress.loss) for progress in done]

    four = losses(4)
    torch.randn(5)
    assert losses(2) == four[:2]
    assert losses(2, seed=4) != four[:2]


def test_both_stages_draw_alike(unet, denoiser, layers, texts):
    """At a vanishing rate nothing is learnt, so that the losses are those of the draws."""
    same_texts = [texts[0], texts[0]]
    parts = [unet.conv_out.weight]
    shared = {"seed": 9, "steps": 3, "learning_rate": 1e-12}
    first = list(optimise_embeddings(denoiser, layers, same_texts, SCHEDULE, **shared))
    second = list(fine_tune(denoiser, layers, (1, 1), texts[0], parts, SCHEDULE, **shared))
    assert [float(p.loss) for p in first] == pytest.approx([float(p.loss) for p in second], rel=1e-5)


def test_imagic_is_one_layer_without_a_mask(unet, denoiser, texts):
    picture = [Layer.of(seeded(1, 4, 8, 8))]
    *_, done = optimise_embeddings(denoiser, picture, texts[:1], SCHEDULE, seed=0, steps=2, learning_rate=0.1)
    weights = [unet.conv_out.weight]
    *_, tuned = fine_tune(
        denoiser, picture, [1], done.embeddings[0], weights, SCHEDULE, seed=0, steps=2, learning_rate=0.1
    )
    assert interpolate(texts[0], done.embeddings[0], 0.6).shape == texts[0].shape
    assert tuned.step == 2


@pytest.mark.parametrize("stage", ["embeddings", "weights"])
def test_closed_halfway_a_loop_leaves_nothing_behind(unet, denoiser, layers, texts, stage):
    weights = [unet.conv_in.weight, unet.conv_out.weight]
    before = kept(unet)
    if stage == "embeddings":
        loop = optimise_embeddings(denoiser, layers, texts, SCHEDULE, seed=0, steps=50)
    else:
        loop = fine_tune(denoiser, layers, (2, 1), texts[0], weights, SCHEDULE, seed=0, steps=50)
    assert [next(loop).step, next(loop).step] == [1, 2]
    progress = next(loop)
    held = weakref.ref(progress.preview.__self__)
    loop.close()
    assert [p.grad for p in unet.parameters() if p.grad is not None] == []
    assert not any(p.requires_grad for p in unet.parameters())
    assert not any(text.requires_grad for text in texts)
    assert same(before, unet.state_dict()) == (stage == "embeddings")
    del progress
    assert held() is None


def test_what_the_weights_required_of_gradients_comes_back(unet, denoiser, layers, texts):
    weight, bias = unet.conv_out.weight, unet.conv_out.bias
    bias.requires_grad_(True)
    gradient = bias.grad = torch.ones_like(bias)
    loop = fine_tune(denoiser, layers, (2, 1), texts[0], [weight, bias], SCHEDULE, seed=0)
    next(loop)
    assert weight.requires_grad
    loop.close()
    assert (weight.requires_grad, bias.requires_grad) == (False, True)
    assert weight.grad is None
    assert bias.grad is gradient
    assert bool((gradient == 1).all())


def test_it_learns_inside_inference_mode_as_outside(unet, denoiser, texts):
    """ComfyUI runs its nodes in inference mode, whose tensors autograd refuses."""
    mask = torch.zeros(8, 8)
    mask[2:6, 2:6] = 1
    pictures = [seeded(1, 4, 8, 8), seeded(1, 4, 8, 8, seed=1)]
    weight, start = unet.conv_out.weight, unet.conv_out.weight.clone()

    def edit(copy):
        layers = split_layers(*map(copy, pictures), copy(mask))
        own = [copy(text) for text in texts]
        for progress in optimise_embeddings(denoiser, layers, own, SCHEDULE, seed=0, steps=2):
            modes.add(torch.is_inference_mode_enabled())
            progress.preview()
        mixed = interpolate(*progress.embeddings)
        for _ in fine_tune(
            denoiser, layers, (2, 1), mixed, [weight], SCHEDULE, seed=0, steps=2, learning_rate=0.1
        ):
            modes.add(torch.is_inference_mode_enabled())
        learnt = weight.detach().clone()
        with torch.inference_mode(False), torch.no_grad():
            weight.copy_(start)
        return mixed.clone(), learnt

    modes = set()
    outside = edit(lambda tensor: tensor)
    assert modes == {False}
    modes = set()
    with torch.inference_mode():
        inside = edit(torch.clone)
        assert inside[0].is_inference()
    assert modes == {True}
    for one, other in zip(outside, inside, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(outside[1], start)


def test_texts_of_two_lengths_become_one_length_and_mean_the_same(unet):
    short, long = seeded(1, 2, WIDTH), seeded(1, 3, WIDTH, seed=1)
    noisy, timestep = seeded(1, 4, 8, 8, seed=2), torch.tensor([400])
    repeated = same_length(short, long)
    assert [text.shape[1] for text in repeated] == [6, 6]
    for text, same in zip((short, long), repeated, strict=True):
        expected = unet(noisy, timestep, text).sample
        torch.testing.assert_close(unet(noisy, timestep, same).sample, expected, rtol=0, atol=1e-5)
    assert all(map(torch.equal, same_length(short, short), (short, short)))
