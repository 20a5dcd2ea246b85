"""*Load Factor* and *Apply Factor*: files of both kinds, parents, and a stock sampler after them."""

from __future__ import annotations

import pytest
import torch
from finesse.core.factors.files import write_factor
from finesse.tests.nodes.factors.small_factors import info, latents, prompts, random_factor, sample


@pytest.fixture(scope="module")
def nodes(factor_control, tmp_path_factory):
    import folder_paths
    from finesse.nodes.factors import load as factors
    from finesse.nodes.factors.apply import ApplyFactor

    class Nodes:
        folder = tmp_path_factory.mktemp("models")
        module = factors

        def load(self, name, **inputs):
            return factors.LoadFactor.execute(name, **inputs).args

        def apply(self, positive, negative, factor, strength=1.0, start=0.0, end=1.0, **inputs):
            return ApplyFactor.execute(positive, negative, factor, strength, start, end, **inputs).args

    folder_paths.add_model_folder_path(factors.FOLDER, str(Nodes.folder))
    for parents in range(3):
        told = info(parents, trained={"steps": 100, "data": "scenes"})
        write_factor(Nodes.folder / f"{parents}.safetensors", random_factor(parents=parents), told)
    for parents in (1, 2):
        tensors = random_factor("plain", parents).tensors()
        prefix = "model.diffusion_model." + ("adapter." if parents == 1 else "")
        state = {prefix + key: tensor for key, tensor in tensors.items()} | {"betas": torch.ones(2)}
        torch.save({"state_dict": state}, Nodes.folder / f"theirs{parents}.pth")
    (Nodes.folder / "notes.txt").write_text("no factor")
    return Nodes()


def latent(rows=1, seed=5):
    return {"samples": latents(rows, seed=seed)}


def test_factors_of_finesse_and_of_the_authors_are_offered(nodes):
    options = nodes.module.LoadFactor.define_schema().inputs[0].options
    names = {f"{parents}.safetensors" for parents in range(3)} | {"theirs1.pth", "theirs2.pth"}
    assert names <= set(options)
    assert "notes.txt" not in options


def test_a_factor_file_tells_what_it_is(nodes):
    factor, report = nodes.load("2.safetensors", condition="pose")
    assert factor.info == info(2, trained={"steps": 100, "data": "scenes"})
    assert report.splitlines() == [
        "2.safetensors draws depth maps, for the miniature.",
        "It reads the maps of its parents: parent0 segmentation, parent1 normal.",
        "Trained: steps 100, data scenes.",
    ]


def test_a_checkpoint_of_the_authors_is_a_segmentation_in_their_palette(nodes):
    factor, report = nodes.load("theirs1.pth")
    assert factor.patcher.model.kind == "plain"
    assert (factor.info.condition, factor.info.palette, factor.info.parents) == (
        "segmentation",
        "coco-stuff-fgdm",
        (),
    )
    assert report.startswith(
        "theirs1.pth draws segmentation maps in the palette coco-stuff-fgdm, for Stable Diffusion 1.x."
    )
    other, report = nodes.load("theirs2.pth", condition="depth")
    assert (other.info.condition, other.info.palette) == ("depth", "")
    assert "parents: parent0 parent 1, parent1 parent 2." in report


def test_a_missing_file_is_named(nodes):
    with pytest.raises(ValueError, match=r"^factor: 'gone\.safetensors' is not in "):
        nodes.load("gone.safetensors")


def test_both_prompts_share_a_control_for_each_they_had(nodes):
    factor, _ = nodes.load("0.safetensors")
    below, *_ = nodes.apply(prompts(), prompts(), factor)
    positive = prompts() + [[text, {**values, "text": "kept"}] for text, values in below]
    before = [dict(values) for _, values in positive]
    found, negative = nodes.apply(positive, prompts(), factor, 0.5, 0.2, 0.8)
    first, second = (values["control"] for _, values in found)
    assert negative[0][1]["control"] is first is not second
    assert (first.previous_controlnet, second.previous_controlnet) == (None, below[0][1]["control"])
    assert (first.strength, first.timestep_percent_range) == (0.5, (0.2, 0.8))
    assert found[1][1]["text"] == "kept"
    assert [values for _, values in positive] == before


def test_at_strength_0_the_prompts_are_as_they_were(nodes):
    factor, _ = nodes.load("0.safetensors")
    positive, negative = prompts(), prompts()
    found = nodes.apply(positive, negative, factor, 0.0)
    assert found[0] is positive
    assert found[1] is negative


def test_parents_are_read_in_order_and_one_that_is_missing_is_left_out(nodes):
    factor, _ = nodes.load("2.safetensors")

    def parents(**linked):
        return nodes.apply(prompts(), prompts(), factor, parents=linked)[0][0][1]["control"].parents

    one, two = latent(), latent(seed=6)
    assert parents(parent1=two, parent0=one) == (one["samples"], two["samples"])
    assert parents(parent1=two) == (None, two["samples"])
    assert parents() == (None, None)
    assert nodes.apply(prompts(), prompts(), factor)[0][0][1]["control"].parents == (None, None)


@pytest.mark.parametrize(
    ("name", "linked", "message"),
    [
        ("0", "parent0", r"parent0: 0\.safetensors does not read it; its parents are none; unlink it"),
        ("2", "parent2", r"parent2: 2\.safetensors does not read it; .* segmentation, normal; unlink"),
    ],
)
def test_a_parent_too_many_is_named(nodes, name, linked, message):
    factor, _ = nodes.load(f"{name}.safetensors")
    for strength in (1.0, 0.0):
        with pytest.raises(ValueError, match=message):
            nodes.apply(prompts(), prompts(), factor, strength, parents={linked: latent()})


def test_a_latent_of_a_video_is_named(nodes):
    factor, _ = nodes.load("1.safetensors")
    with pytest.raises(ValueError, match=r"parent0: got a latent of \[1, 16, 2, 8, 8\]; .* of a picture"):
        nodes.apply(
            prompts(), prompts(), factor, parents={"parent0": {"samples": torch.zeros(1, 16, 2, 8, 8)}}
        )


def test_a_stock_sampler_draws_a_chain(nodes, model):
    first, later = (nodes.load(f"{i}.safetensors")[0] for i in (0, 1))
    texts, noise = (prompts(seed=2), prompts(seed=3)), latents(2)
    one = sample(model, noise, *nodes.apply(*texts, first), 4.0, 2)
    linked = nodes.apply(*texts, later, parents={"parent0": {"samples": one}})
    two = sample(model, noise, *linked, 4.0, 2)
    left_out = sample(model, noise, *nodes.apply(*texts, later), 4.0, 2)
    assert two.isfinite().all()
    assert (two - one).abs().mean() > 0.05
    assert (two - left_out).abs().mean() > 0.05
