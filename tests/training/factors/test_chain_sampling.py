"""Chains of factors in plain diffusers: what children read of their parents, and rows dropped midway."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from finesse.core.factors.files import FactorInfo
from finesse.core.factors.selection import Rows
from finesse.core.schedule import NoiseSchedule
from finesse.miniature.model.networks import TEXT_WIDTH, build_unet
from finesse.training.factors.chain_sampling import Link, RowsUNet, sample_chain
from finesse.training.models.factor_unet import FactoredUNet, build_factor
from finesse.training.models.sampling import noise_for, sample, timesteps

STEPS = 4
EMPTY = torch.zeros(5, TEXT_WIDTH)


@pytest.fixture(scope="module")
def unet():
    torch.manual_seed(0)
    return build_unet().eval().requires_grad_(False)


def link(unet, condition, *parents):
    torch.manual_seed(len(condition))
    factor = build_factor(unet, "timestep", len(parents)).requires_grad_(False)
    for parameter in factor.parameters():
        parameter += 0.02 * torch.randn_like(parameter)
    info = FactorInfo(condition=condition, palette="coco-stuff", base="miniature", parents=parents)
    return Link(factor, info)


def context(rows):
    return torch.randn(rows, 5, TEXT_WIDTH, generator=torch.Generator().manual_seed(1))


def noises(rows, *names):
    return {
        name: noise_for([10 * i + row for row in range(rows)], (4, 8, 8), "cpu")
        for i, name in enumerate(names)
    }


def probed(link):
    """What the adapters of a link are given, call by call, first half of the rows: the others lack text."""
    seen = []
    link.factor.register_forward_pre_hook(
        lambda module, args: seen.append([latent.chunk(2)[0].clone() for latent in args[0]])
    )
    return seen


def trajectory(unet, link, noise, rows):
    """The latents before each step of a first factor, and after the last."""
    seen = []

    def watched(latents, *inputs, **named):
        seen.append(latents.chunk(2)[0].clone())
        return factored(latents, *inputs, **named)

    with FactoredUNet(unet, link.factor, is_first=True).attached() as factored:
        last = sample(watched, context(rows), EMPTY, noise, steps=STEPS)
    return [*seen, last]


def test_together_a_child_reads_its_parent_as_it_is_after_the_step(unet):
    chain = [link(unet, "segmentation"), link(unet, "pose", "segmentation")]
    start = noises(2, "segmentation", "pose")
    expected = trajectory(unet, chain[0], start["segmentation"], 2)
    read = probed(chain[1])
    found = sample_chain(unet, chain, context(2), EMPTY, start, steps=STEPS)
    assert torch.equal(found["segmentation"], expected[-1])
    assert len(read) == STEPS
    for (parent,), after in zip(read, expected[1:], strict=True):
        assert torch.equal(parent, after)


def test_one_after_another_a_child_reads_the_finished_map(unet):
    chain = [link(unet, "segmentation"), link(unet, "pose", "segmentation")]
    read = probed(chain[1])
    start = noises(2, "segmentation", "pose")
    found = sample_chain(unet, chain, context(2), EMPTY, start, together=False, steps=STEPS)
    assert all(torch.equal(parent, found["segmentation"]) for (parent,) in read)


def test_a_given_map_takes_the_place_of_a_factor_and_a_missing_one_is_zeros(unet):
    chain = [link(unet, "segmentation"), link(unet, "pose", "segmentation", "depth")]
    read, given = probed(chain[1]), torch.randn(2, 4, 8, 8)
    found = sample_chain(
        unet, chain, context(2), EMPTY, noises(2, "pose"), given={"segmentation": given}, steps=STEPS
    )
    assert found["segmentation"] is given
    assert all(torch.equal(first, given) and not second.any() for first, second in read)


def test_a_record_of_one_row_feeds_children_of_that_row(unet):
    chain = [link(unet, "segmentation"), link(unet, "pose", "segmentation")]
    start = noises(3, "segmentation", "pose")
    rows = Rows(3, timesteps(STEPS), recorded=True)
    with FactoredUNet(unet, chain[0].factor, is_first=True).attached() as factored:
        maps = sample(RowsUNet(factored, rows), context(3), EMPTY, start["segmentation"], steps=STEPS)
    rows.trajectory.final = maps
    whole = sample_chain(unet, chain, context(3), EMPTY, start, steps=STEPS)
    alone = sample_chain(
        unet,
        chain,
        context(3)[1:2],
        EMPTY,
        {"pose": start["pose"][1:2]},
        given={"segmentation": maps[1:2]},
        recorded={"segmentation": rows.trajectory.take([1])},
        steps=STEPS,
    )
    torch.testing.assert_close(alone["pose"], whole["pose"][1:2], rtol=1e-3, atol=1e-3)


def test_the_base_is_free_of_the_chain_afterwards(unet):
    sample_chain(unet, [link(unet, "depth")], context(1), EMPTY, noises(1, "depth"), steps=1)
    assert not any(module._forward_hooks for module in unet.modules())


def test_a_child_before_its_parent_is_refused(unet):
    chain = [link(unet, "pose", "segmentation"), link(unet, "segmentation")]
    with pytest.raises(ValueError, match="chain: pose comes before its parent segmentation"):
        sample_chain(unet, chain, context(1), EMPTY, noises(1, "segmentation", "pose"), steps=1)


def test_survivors_are_what_they_are_without_dropping(unet):
    """Row by row to the bit where the network itself computes row by row, else to rounding."""
    noise, keep = noise_for(range(5), (4, 8, 8), "cpu"), [1, 3, 4]
    computed, judged = [], []

    def by_row(latents, timestep, texts, added_cond_kwargs=None):
        computed.append(len(latents))
        value = torch.sin(latents * 3 + texts.mean(dim=(1, 2)).view(-1, 1, 1, 1)) + timestep / 1000
        return SimpleNamespace(sample=value)

    def judge(clean):
        judged.append(clean)
        return keep

    def dropping(network, judge):
        rows = Rows(5, timesteps(STEPS), judge=judge)
        return RowsUNet(network, rows, schedule=NoiseSchedule.scaled_linear(), guidance=5.0)

    found = sample(dropping(by_row, judge), context(5), EMPTY, noise, steps=STEPS)
    assert torch.equal(found[keep], sample(by_row, context(5), EMPTY, noise, steps=STEPS)[keep])
    assert computed[:STEPS] == [10, 10, 6, 6]
    assert [clean.shape for clean in judged] == [(5, 4, 8, 8)]
    with FactoredUNet(unet, link(unet, "depth").factor, is_first=True).attached() as factored:
        dropped = sample(dropping(factored, lambda _: keep), context(5), EMPTY, noise, steps=STEPS)
        whole = sample(factored, context(5), EMPTY, noise, steps=STEPS)
    torch.testing.assert_close(dropped[keep], whole[keep], rtol=1e-4, atol=1e-4)


def test_the_judge_sees_the_predicted_clean_latents():
    """Of a network that knows the noise, they are the clean latents themselves."""
    schedule, clean, seen = NoiseSchedule.scaled_linear(), torch.randn(2, 4, 4, 4), []

    def knows(latents, timestep, texts, added_cond_kwargs=None):
        alpha, sigma = schedule.alpha_sigma(timestep.long().expand(len(latents)), latents)
        return SimpleNamespace(sample=(latents - alpha * clean.repeat(2, 1, 1, 1)) / sigma)

    def judge(latents):
        seen.append(latents)
        return range(2)

    rows = Rows(2, timesteps(STEPS), judge=judge)
    watched = RowsUNet(knows, rows, schedule=schedule, guidance=3.0)
    sample(watched, context(2), EMPTY, torch.randn(2, 4, 4, 4), steps=STEPS)
    torch.testing.assert_close(seen[0], clean, rtol=1e-3, atol=1e-3)
