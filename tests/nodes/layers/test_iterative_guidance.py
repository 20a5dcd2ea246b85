"""*Iterative Guidance* in this process, on ComfyUI's own modules and samplers."""

from __future__ import annotations

import itertools

import pytest
import torch
from finesse.tests.nodes.factors.small_factors import latents, prompts

CFG, STEPS, SEED = 4.0, 4, 7
ONE_A_STEP = ("euler", "euler_ancestral", "dpmpp_2m", "dpmpp_2m_sde")
SEVERAL_A_STEP = ("heun", "dpm_2_ancestral", "dpmpp_sde")
OWN_STEPS = ("dpm_fast", "dpm_adaptive")
POSITIVE, OBJECT, NEGATIVE = (prompts(seed=seed) for seed in (2, 3, 4))


@pytest.fixture
def guider(model):
    """The node's guider on the miniature."""
    from finesse.nodes.layers.iterative_guidance import IterativeGuidance

    def make(every=2, start=0.0, end=1.0, positive=POSITIVE, object=OBJECT, model=model, cfg=CFG):
        return IterativeGuidance.execute(model, positive, object, NEGATIVE, cfg, every, start, end).args[0]

    return make


@pytest.fixture
def stock(model):
    """Core's CFG Guider on the miniature."""
    from comfy_extras.nodes_custom_sampler import CFGGuider

    return lambda positive, model=model, cfg=CFG: CFGGuider.execute(model, positive, NEGATIVE, cfg).args[0]


@pytest.fixture
def sigmas(model):
    """The last `steps` of `of` steps, as with a denoise of steps / of."""
    from comfy.samplers import calculate_sigmas

    sampling = model.get_model_object("model_sampling")
    return lambda steps=STEPS, of=STEPS: calculate_sigmas(sampling, "normal", of)[-steps - 1 :]


@pytest.fixture
def sample(sigmas):
    """SamplerCustomAdvanced: the latent that a guider makes."""
    from comfy.samplers import sampler_object
    from comfy_extras.nodes_custom_sampler import Noise_RandomNoise, SamplerCustomAdvanced

    def run(guider, sampler="euler", steps=None, rows=1, latent=None, **extra):
        given = {"samples": torch.zeros(rows, 4, 8, 8) if latent is None else latent, **extra}
        chosen = sampler_object(sampler) if isinstance(sampler, str) else sampler
        with torch.inference_mode():
            out = SamplerCustomAdvanced.execute(
                Noise_RandomNoise(SEED), guider, chosen, sigmas() if steps is None else steps, given
            )
        return out.args[0]["samples"]

    return run


@pytest.fixture
def log(model):
    """A MODEL that computes nothing, and what was asked of it: (sigma, "positive" or "object")."""
    asked = []

    def predict(args):
        cross = [torch.equal(c[0]["cross_attn"], OBJECT[0][0]) for c in args["conds"][:1]]
        asked.append((float(args["sigma"][0]), "object" if cross[0] else "positive"))
        return [args["input"] * 0.5, args["input"] * 0.4]

    recording = model.clone()
    recording.set_model_sampler_calc_cond_batch_function(predict)
    return recording, asked


@pytest.mark.parametrize("sampler", [*ONE_A_STEP, *SEVERAL_A_STEP])
def test_with_no_step_of_the_objects_it_is_the_stock_guider(guider, stock, sample, sampler):
    expected = sample(stock(POSITIVE), sampler)
    assert torch.equal(sample(guider(every=0), sampler), expected)
    assert torch.equal(sample(guider(every=STEPS + 1), sampler), expected)
    assert not torch.equal(sample(stock(OBJECT), sampler), expected)


@pytest.mark.parametrize("sampler", ["euler", "heun", "dpmpp_2m_sde"])
def test_with_all_steps_the_objects_it_is_the_stock_guider_on_object(guider, stock, sample, sampler):
    assert torch.equal(sample(guider(every=1), sampler), sample(stock(OBJECT), sampler))


def test_a_batch_and_a_denoise_mask_are_the_stock_guiders(guider, stock, sample, sigmas):
    settings = {
        "rows": 3,
        "steps": sigmas(4),
        "latent": latents(3, seed=1)[..., :8, :8],
        "noise_mask": torch.ones(1, 1, 8, 8).tril(),
    }
    assert torch.equal(sample(guider(every=9), **settings), sample(stock(POSITIVE), **settings))
    assert torch.equal(sample(guider(every=1), **settings), sample(stock(OBJECT), **settings))


@pytest.mark.parametrize(
    ("every", "start", "end"), [(2, 0.0, 1.0), (3, 0.0, 1.0), (1, 0.3, 0.7), (2, 0.2, 1.0)]
)
def test_a_whole_sampling_agrees_with_euler_by_hand(guider, sample, sigmas, model, every, start, end):
    noise = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(SEED))
    schedule, base = sigmas(), model.model
    highest, lowest = (base.model_sampling.percent_to_sigma(percent) for percent in (start, end))
    x = noise * (1 + schedule[0] ** 2).sqrt()
    chosen = []
    with torch.inference_mode():
        for step, (sigma, following) in enumerate(itertools.pairwise(schedule), 1):
            is_objects = step % every == 0 and lowest <= float(sigma) <= highest
            chosen.append(is_objects)
            clean = [
                base.apply_model(x, sigma.expand(2), c_crossattn=text[0][0].expand(2, -1, -1))
                for text in (NEGATIVE, OBJECT if is_objects else POSITIVE)
            ]
            guided = clean[0] + CFG * (clean[1] - clean[0])
            x = x + (x - guided) / sigma * (following - sigma)
    assert len(set(chosen)) == 2
    found = sample(guider(every, start, end), rows=2)
    torch.testing.assert_close(found, base.process_latent_out(x), rtol=0, atol=1e-4)


def samplers():
    from finesse.benchmarks import parity

    parity.import_comfyui()
    from comfy.samplers import SAMPLER_NAMES

    return [name for name in SAMPLER_NAMES if name not in OWN_STEPS]


def steps_by_report(guider, sampler, steps, asked, sample):
    """(step, prompt) of every evaluation: it belongs to the step reported last, but the one before a report.

    That is how core's samplers report, all of which evaluate a step's beginning and then call back.
    """
    events, before = [], len(asked)
    original = sampler.sample

    def watched(wrap, sigmas, extra_args, callback, *rest):
        def report(step, *shown):
            events.append((len(asked) - before, step))
            callback(step, *shown)

        return original(wrap, sigmas, extra_args, report, *rest)

    sampler.sample = watched
    sample(guider, sampler, steps)
    owners, calls = [], asked[before:]
    for (first, step), (following, _) in itertools.pairwise([*events, (len(calls) + 1, None)]):
        owners += [step] * (following - first)
    return list(zip(owners, [prompt for _, prompt in calls], strict=True))


@pytest.mark.parametrize("every", [2, 3])
def test_a_step_takes_one_prompt_in_every_sampler_of_comfyui(guider, log, sample, sigmas, every):
    from comfy.samplers import sampler_object

    recording, asked = log
    wrong = {}
    for name in samplers():
        found = steps_by_report(guider(every, model=recording), sampler_object(name), sigmas(), asked, sample)
        expected = [(step, "object" if (step + 1) % every == 0 else "positive") for step, _ in found]
        assert {step for step, _ in found} == set(range(STEPS)), name
        if found != expected:
            wrong[name] = found
    assert wrong == {}


@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_an_evaluation_inside_a_step_is_that_steps(guider, log, sample, sigmas, eta):
    from comfy.samplers import ksampler

    recording, asked = log
    for name in ("dpm_2_ancestral", "dpmpp_2s_ancestral"):
        found = steps_by_report(
            guider(2, model=recording), ksampler(name, {"eta": eta}), sigmas(), asked, sample
        )
        assert len(found) > STEPS
        assert [prompt for _, prompt in found] == [("positive", "object")[step % 2] for step, _ in found]


@pytest.mark.parametrize("name", OWN_STEPS)
def test_a_sampler_with_steps_of_its_own_goes_by_the_noise_level(guider, log, sample, sigmas, name):
    recording, asked = log
    sample(guider(2, model=recording), name)
    levels = sigmas()[:-1]
    for sigma, prompt in asked:
        step = int((levels >= sigma * (1 - 1e-4)).sum()) - 1
        assert prompt == ("positive", "object")[step % 2]
    assert {prompt for _, prompt in asked} == {"positive", "object"}


def test_denoise_below_1_counts_from_its_first_step(guider, log, sample, sigmas):
    recording, asked = log
    latent = latents(1, seed=1)[..., :8, :8]
    sample(guider(3, model=recording), steps=sigmas(4, of=6), latent=latent)
    assert [prompt for _, prompt in asked] == ["positive", "positive", "object", "positive"]


def test_noise_put_back_into_a_picture_alternates_too(guider, log, sample, sigmas):
    recording, asked = log
    rising = sigmas().flip(0)
    rising[0] = 1e-4
    sample(guider(2, model=recording), steps=rising, latent=latents(1, seed=1)[..., :8, :8])
    assert [prompt for _, prompt in asked] == ["positive", "object"] * (STEPS // 2)


def test_a_step_costs_one_prompt_and_the_negative(guider, sample, model):
    seen = []

    def count(apply, args):
        seen.append(args["input"].shape[0])
        return apply(args["input"], args["timestep"], **args["c"])

    counting = model.clone()
    counting.set_model_unet_function_wrapper(count)
    sample(guider(2, model=counting))
    assert seen == [2] * STEPS
    seen.clear()
    sample(guider(2, model=counting, cfg=1.0))
    assert seen == [1] * STEPS


def test_an_area_of_one_prompt_leaves_the_others_steps_alone(guider, stock, sample):
    import node_helpers

    area = node_helpers.conditioning_set_values(OBJECT, {"area": (4, 4, 0, 0), "strength": 1.0})
    both = [*POSITIVE, *area]
    assert torch.equal(sample(guider(every=9, object=both)), sample(stock(POSITIVE)))
    assert torch.equal(sample(guider(every=1, positive=both)), sample(stock(OBJECT)))
    assert torch.equal(sample(guider(every=1, object=both)), sample(stock(both)))
    assert not torch.equal(sample(stock(both)), sample(stock(POSITIVE)))


def test_a_control_works_on_its_own_prompts_steps(guider, stock, sample, made, controlled):
    factor, _ = made()
    steered = controlled(OBJECT, factor)
    assert torch.equal(sample(guider(every=9, object=steered)), sample(stock(POSITIVE)))
    assert torch.equal(sample(guider(every=1, object=steered)), sample(stock(steered)))
    assert not torch.equal(sample(stock(steered)), sample(stock(OBJECT)))


def test_a_lora_hook_works_on_its_own_prompts_steps(guider, stock, sample, model):
    import comfy.hooks

    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    width = model.model.diffusion_model.middle_block[1].transformer_blocks[0].attn2.to_k.weight.shape[1]
    down, up = torch.ones(1, width), torch.ones(128, 1)
    lora = {f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}
    hooks = comfy.hooks.create_hook_lora(lora, 1.0, 1.0)
    hooked = comfy.hooks.set_hooks_for_conditioning(OBJECT, hooks)
    assert torch.equal(sample(guider(every=9, object=hooked)), sample(stock(POSITIVE)))
    assert torch.equal(sample(guider(every=1, object=hooked)), sample(stock(hooked)))
    assert not torch.equal(sample(stock(hooked)), sample(stock(OBJECT)))


def test_nothing_is_left_behind_also_when_sampling_is_cut_off(guider, stock, sample, model):
    expected, weights = sample(stock(POSITIVE)), {k: v.clone() for k, v in model.model.state_dict().items()}
    texts = [text[0][0].clone() for text in (POSITIVE, OBJECT, NEGATIVE)]
    keys = [sorted(text[0][1]) for text in (POSITIVE, OBJECT, NEGATIVE)]
    used = guider(2)
    first = sample(used)

    def cut_off(*_, **__):
        raise InterruptedError

    broken = model.clone()
    broken.set_model_unet_function_wrapper(cut_off)
    with pytest.raises(InterruptedError):
        sample(guider(2, model=broken))

    assert torch.equal(sample(used), first)
    assert torch.equal(sample(stock(POSITIVE)), expected)
    for name, tensor in model.model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    assert all(torch.equal(a, b[0][0]) for a, b in zip(texts, (POSITIVE, OBJECT, NEGATIVE), strict=True))
    assert [sorted(text[0][1]) for text in (POSITIVE, OBJECT, NEGATIVE)] == keys


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"start": 0.8, "end": 0.2},
            r"start_percent is 0\.8 and end_percent 0\.2: no step lies between them",
        ),
        ({"object": []}, "object holds no prompt"),
        (
            {"object": [[torch.zeros(1, 7, 3), {}]]},
            "object has embeddings of 3 numbers and positive of .*; encode all prompts with the CLIP",
        ),
    ],
)
def test_bad_inputs_are_refused(guider, inputs, message):
    with pytest.raises(ValueError, match=message):
        guider(**inputs)
