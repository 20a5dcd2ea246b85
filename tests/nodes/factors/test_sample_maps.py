"""*Sample Condition Maps*: each map is that of its seed alone, and chains are as in plain diffusers."""

from __future__ import annotations

import inspect

import pytest
import torch
from diffusers import UNet2DConditionModel
from finesse.core.factors.files import read_factor
from finesse.miniature.model import networks
from finesse.tests.nodes.factors.factor_chains import (
    CORNERS,
    DRAWN,
    ksampler,
    noise_of,
    texts,
    write_chain_factor,
)
from finesse.tests.nodes.factors.small_factors import prompts
from finesse.training.factors.chain_sampling import Link, sample_chain

SEEDS = [40, 41, 42]
SAMPLERS = ["euler", "dpmpp_2m", "euler_ancestral", "dpmpp_2m_sde", "dpmpp_sde", "lcm", "ddpm", "heun"]


@pytest.fixture
def alone(factors, model):
    """The latent of one seed by Apply Factor and a stock KSampler."""
    from finesse.nodes.factors.apply import ApplyFactor

    def make(condition, seed, parents=None, positive=None, **settings):
        given = {**texts(), **({"positive": positive} if positive else {})}
        put = ApplyFactor.execute(*given.values(), factors(condition), 1.0, 0.0, 1.0, parents=parents).args
        return ksampler(model, seed, *put, {**DRAWN, **settings})

    return make


def labels(vae, latents):
    return CORNERS.decode((vae.decode(latents)[..., :3].clamp(0, 1) * 255).round().byte().numpy())


def assert_close(found, expected, atol=1e-3):
    torch.testing.assert_close(found, expected, rtol=0, atol=atol)


# One factor


@pytest.mark.parametrize("sampler_name", SAMPLERS)
def test_each_map_is_that_of_its_seed_alone(draw, factors, alone, vae, sampler_name):
    found = draw(factors("segmentation"), sampler_name=sampler_name, count=2)
    assert found.seeds == SEEDS[:2]
    for row, seed in enumerate(found.seeds):
        own, expected = (
            found.latents["samples"][row : row + 1],
            alone("segmentation", seed, sampler_name=sampler_name),
        )
        assert_close(own, expected)
        # a random factor's map has pixels right between two colours, where rounding decides
        assert (labels(vae, own) == labels(vae, expected)).mean() > 0.995
    assert torch.equal(found.maps, vae.decode(found.latents["samples"]))


def test_every_other_sampler_that_adds_noise_gives_what_a_seed_gives_alone(draw, factors, alone):
    import comfy.samplers

    functions = {
        name: comfy.samplers.sampler_object(name).sampler_function for name in comfy.samplers.SAMPLER_NAMES
    }
    noisy = {
        name for name, made in functions.items() if "noise_sampler" in inspect.signature(made).parameters
    }
    wrong = []
    for name in sorted(noisy - set(SAMPLERS)):
        settings = {"sampler_name": name, "steps": 2, "cfg": 1.0}
        found = draw(factors("segmentation"), count=2, **settings).latents["samples"][1:]
        expected = alone("segmentation", 41, **settings)
        if not (found - expected).abs().max() <= 1e-3 * expected.abs().max():
            wrong.append(name)
    assert not wrong
    assert len(noisy) > 20


def test_rows_whose_steps_depend_on_each_other_are_sampled_one_by_one(draw, factors, alone):
    settings = {"sampler_name": "dpm_adaptive", "steps": 2, "cfg": 1.0, "count": 2}
    found = draw(factors("segmentation"), **settings)
    assert_close(found.latents["samples"][1:], alone("segmentation", 41, **settings))


def test_the_size_of_a_pass_does_not_change_the_maps(draw, factors):
    found = [draw(factors("segmentation"), per_pass=size, sampler_name="ddpm") for size in (1, 2, 10)]
    for other in found[1:]:
        assert_close(other.latents["samples"], found[0].latents["samples"])
        assert other.seeds == SEEDS


def test_at_cfg_1_the_negative_prompt_is_not_read(draw, factors, model):
    rows = []

    def counting(apply_model, call):
        rows.append(len(call["input"]))
        return apply_model(call["input"], call["timestep"], **call["c"])

    counted = model.clone()
    counted.set_model_unet_function_wrapper(counting)
    draw(factors("segmentation"), model=counted, cfg=1.0)
    assert rows == [3] * 4
    rows.clear()
    draw(factors("segmentation"), model=counted)
    assert sum(rows) == 2 * 3 * 4


def test_controls_on_the_prompt_keep_working(draw, factors, model, alone, controlled):
    below = controlled(prompts(seed=2), factors("sketch"))
    found = draw(factors("segmentation"), positive=below, count=1).latents["samples"]
    assert_close(found, alone("segmentation", 40, positive=below))
    assert (found - alone("segmentation", 40)).abs().mean() > 0.01


def test_nothing_is_left_changed(draw, chained, model):
    given = texts()
    options, wrappers, patches = dict(model.model_options), dict(model.wrappers), dict(model.patches)
    first = draw(chained("segmentation", "depth"), **given)
    assert (model.model_options, model.wrappers, model.patches) == (options, wrappers, patches)
    assert all(values == {} for entries in given.values() for _, values in entries)
    again = draw(chained("segmentation", "depth"), **given)
    assert torch.equal(first.latents["samples"], again.latents["samples"])


# Chains


@pytest.mark.parametrize("order", ["together", "one after another"])
@pytest.mark.parametrize("conditions", [("segmentation", "depth", "normal"), ("depth", "normal")])
def test_a_whole_chain_agrees_with_diffusers(draw, factor_control, tmp_path, model, order, conditions):
    from finesse.nodes.factors.chain_links import ChainLink

    ours, theirs = [], []
    for name in conditions:
        write_chain_factor(tmp_path / name, name)
        (tmp_path / name).rename(path := tmp_path / f"{name}.safetensors")
        ours.append(ChainLink(factor_control.load_factor(path)))
        factor, info = read_factor(path)
        theirs.append(Link(factor.float().requires_grad_(False), info))
    # of 3 steps both schedules are whole timesteps: 999, 666 and 333
    settings = {"sampler_name": "dpmpp_2m", "scheduler": "sgm_uniform", "steps": 3, "order": order}
    found = draw(tuple(ours), **settings).all_maps.latents

    unet = (
        UNet2DConditionModel.from_pretrained(networks.WEIGHTS / "unet").float().eval().requires_grad_(False)
    )
    noise = torch.cat([noise_of(seed) for seed in SEEDS])
    expected = sample_chain(
        unet,
        theirs,
        texts()["positive"][0][0].expand(3, -1, -1),
        texts()["negative"][0][0][0],
        dict.fromkeys(conditions, noise),
        together=order == "together",
        steps=3,
        guidance=DRAWN["cfg"],
    )
    assert list(found) == list(conditions)
    for name in conditions:
        assert_close(found[name] * model.model.latent_format.scale_factor, expected[name])


def test_a_later_factor_is_that_of_its_seed_and_its_parents_latent(draw, chained, alone):
    found = draw(chained("segmentation", "depth"), order="one after another", sampler_name="euler_ancestral")
    latents = found.all_maps.latents
    assert torch.equal(latents["segmentation"], found.latents["samples"])
    for row, seed in enumerate(SEEDS):
        parent = {"parent0": {"samples": latents["segmentation"][row : row + 1]}}
        expected = alone("depth", seed, parents=parent, sampler_name="euler_ancestral")
        assert_close(latents["depth"][row : row + 1], expected)


@pytest.mark.parametrize("sampler_name", ["heun", "dpm_2", "uni_pc", "dpm_fast"])
def test_children_follow_samplers_that_ask_between_the_steps(draw, chained, sampler_name):
    together, in_turn = (
        draw(
            chained("segmentation", "depth"), order=order, sampler_name=sampler_name, count=1
        ).all_maps.latents
        for order in ("together", "one after another")
    )
    assert_close(together["segmentation"], in_turn["segmentation"])
    assert together["depth"].isfinite().all()
    assert (together["depth"] - in_turn["depth"]).abs().mean() > 1e-3


def test_a_factor_has_its_own_prompt(draw, chained, alone):
    own = prompts(seed=7)
    chain = chained("segmentation", "sketch", sketch={"positive": own})
    latents = draw(chain, count=1).all_maps.latents
    assert_close(latents["sketch"], alone("sketch", 40, positive=own))
    assert_close(latents["segmentation"], alone("segmentation", 40))


def test_a_map_takes_a_factors_place(draw, chained, alone, vae):
    mine = torch.rand(1, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    found = draw(chained("segmentation", "depth", segmentation={"map": mine}))
    assert torch.equal(found.maps, found.all_maps.maps["depth"])
    assert torch.equal(found.all_maps.maps["segmentation"], mine.expand(3, -1, -1, -1))
    parent = {"parent0": {"samples": vae.encode(mine)}}
    for row, seed in enumerate(SEEDS):
        assert_close(found.latents["samples"][row : row + 1], alone("depth", seed, parents=parent))


def test_each_candidate_may_have_a_map_of_its_own(draw, chained, alone, vae):
    mine = torch.rand(3, 32, 32, 3, generator=torch.Generator().manual_seed(0))
    found = draw(chained("segmentation", "depth", segmentation={"map": mine}), per_pass=2)
    parent = {"parent0": {"samples": vae.encode(mine[2:])}}
    assert_close(found.latents["samples"][2:], alone("depth", 42, parents=parent))


def test_a_segmentation_is_resized_without_new_colours(draw, chained):
    mine = CORNERS.table[torch.randint(8, (1, 48, 24), generator=torch.Generator().manual_seed(0)).numpy()]
    chain = chained("segmentation", "depth", segmentation={"map": torch.from_numpy(mine) / 255})
    resized = draw(chain, count=1, width=32, height=16).all_maps.maps["segmentation"]
    assert resized.shape == (1, 16, 32, 3)
    colours = {tuple(colour) for colour in (resized * 255).round().flatten(0, 2).int().tolist()}
    assert colours <= {tuple(colour) for colour in CORNERS.table.tolist()}
