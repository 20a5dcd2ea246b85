"""*Sample Condition Maps*: early stop, bad input, preview, interruption; and *Get Factor Maps*."""

from __future__ import annotations

import pytest
import torch
from finesse.core.maps.prompt_objects import labels_from, shown_by
from finesse.core.maps.recall import ranked
from finesse.tests.nodes.factors.factor_chains import CORNERS, CUSTOM
from finesse.tests.nodes.factors.small_factors import prompts
from finesse.tests.nodes.maps.running import run

WANTED = "soot, grass, ice, brick"
JUDGED = {**CUSTOM, "objects": WANTED, "minimal_area": 0.1, "count": 4}


def ranks(maps, seeds=None):
    labels = CORNERS.decode((maps[..., :3].clamp(0, 1) * 255).round().byte().numpy())
    return ranked(labels, shown_by(labels_from(WANTED, CORNERS), CORNERS), 0.1, seeds)


# Dropped midway


@pytest.mark.parametrize(
    "sampler_name",
    ["dpmpp_2m", "heun", "dpmpp_2m_sde", "euler_ancestral_cfg_pp", "sa_solver", "uni_pc", "dpm_fast"],
)
def test_what_is_not_dropped_is_as_without_dropping(draw, chained, sampler_name):
    chain, settings = chained("segmentation", "depth"), {"sampler_name": sampler_name, "cfg": 2.0}
    whole = draw(chain, count=4, **settings).all_maps
    some = draw(chain, keep=2, **JUDGED, **settings).all_maps
    assert len(some.seeds) == 2
    rows = [whole.seeds.index(seed) for seed in some.seeds]
    for name in ("segmentation", "depth"):
        torch.testing.assert_close(some.latents[name], whole.latents[name][rows], rtol=1e-5, atol=1e-5)


def test_the_best_of_the_predicted_maps_go_on_and_only_they_are_computed(draw, factors, model, vae):
    predicted, rows = [], []

    def predicting(arguments):
        rows.append(len(arguments["denoised"]))
        predicted.append(model.model.process_latent_out(arguments["denoised"]))
        return arguments["denoised"]

    watched = model.clone()
    watched.set_model_sampler_post_cfg_function(predicting)
    counted = model.clone()
    asked = []

    def counting(apply_model, call):
        asked.append(len(call["input"]))
        return apply_model(call["input"], call["timestep"], **call["c"])

    counted.set_model_unet_function_wrapper(counting)
    draw(factors("segmentation"), model=watched, count=4)
    best = [candidate.index for candidate in ranks(vae.decode(predicted[1]))[:1]]
    found = draw(factors("segmentation"), model=counted, keep=1, cfg=1.0, **JUDGED)
    again = draw(factors("segmentation"), keep=1, **JUDGED)
    assert again.seeds == [40 + index for index in best]
    assert asked == [4, 4, 1, 1]
    assert len(found.seeds) == 1
    assert again.report.splitlines()[1] == "3 of 4 were dropped after half of the steps."


def test_a_judged_child_reads_its_parent_row_by_row(draw, factors, chained):
    chain = (*chained("sketch"), *chained_child(factors))
    whole = draw(chain, count=4).all_maps
    some = draw(chain, keep=2, **JUDGED).all_maps
    rows = [whole.seeds.index(seed) for seed in some.seeds]
    for name in ("sketch", "segmentation"):
        torch.testing.assert_close(some.latents[name], whole.latents[name][rows], rtol=1e-5, atol=1e-5)


def chained_child(factors):
    from finesse.nodes.factors.chain_links import ChainLink

    return (ChainLink(factors("segmentation", parents=("sketch",))),)


def test_the_model_is_loaded_again_after_judging(draw, factors, vae):
    import comfy.model_management

    class Greedy:
        """A VAE that needs all memory for itself."""

        def __getattr__(self, name):
            return getattr(vae, name)

        def decode(self, latents):
            comfy.model_management.unload_all_models()
            return vae.decode(latents)

    expected = draw(factors("segmentation"), keep=2, **JUDGED)
    found = draw(factors("segmentation"), vae=Greedy(), keep=2, **JUDGED)
    assert found.seeds == expected.seeds
    assert torch.equal(found.latents["samples"], expected.latents["samples"])


def test_the_memory_of_all_rows_is_asked_for_also_after_judging(draw, factors, monkeypatch):
    import comfy.model_management

    asked, load = [], comfy.model_management.load_models_gpu

    def told(models, memory_required=0, **settings):
        if len(models) > 1:  # the model and the factor
            asked.append(memory_required)
        return load(models, memory_required, **settings)

    monkeypatch.setattr(comfy.model_management, "load_models_gpu", told)
    factor = factors("segmentation")
    monkeypatch.setattr(type(factor.patcher.model), "peak_bytes", lambda self, cells, size: 1e15 * cells)
    draw(factor, keep=2, width=64, height=64, steps=2, **{**JUDGED, "count": 10})
    assert [round(memory / 1e15) for memory in asked] == [2 * 10 * 16 * 16] * 2


# Stopped


def test_drawing_stops_after_the_pass_that_reaches_the_recall(draw, factors):
    whole = draw(factors("segmentation"), count=6)
    recalls = {c.seed: c.recall for c in ranks(whole.maps, whole.seeds)}
    for goal in sorted({0.0, *recalls.values()}):
        reached = next(place for place, seed in enumerate(whole.seeds) if recalls[seed] >= goal)
        drawn = (reached // 2 + 1) * 2
        found = draw(factors("segmentation"), **{**JUDGED, "count": 6}, per_pass=2, stop_at=goal)
        assert found.seeds == whole.seeds[:drawn]
        torch.testing.assert_close(found.maps, whole.maps[:drawn], rtol=0, atol=1e-3)
        stopped = f"{6 - drawn} of 6 were skipped: the target recall was reached."
        assert (stopped in found.report) == (drawn < 6)
        best = ranks(found.maps, found.seeds)[0]
        assert f"The best, seed {best.seed}, shows {best.recall:.0%} of the objects" in found.report


# Bad input


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"width": 30}, "width is 30, but this VAE has cells of 4 pixels; the nearest sizes are 28 or 32"),
        ({"height": 2}, "height is 2, .* the nearest sizes are 4"),
        ({"keep": 2}, "keep is 2, but objects is empty"),
        ({**CUSTOM, "objects": "unicorn"}, "objects: the palette custom has no 'unicorn'"),
        ({**CUSTOM, "objects": ", ,"}, "objects is ', ,', so there is nothing to rank by"),
        ({"count": 0}, "count is 0; ask for 1"),
        ({"positive": prompts(2)}, "positive holds 2 prompts in a batch"),
        ({"negative": [[prompts()[0][0], {"mask": torch.ones(3, 8, 8)}]]}, "negative holds 3 masks"),
    ],
)
def test_bad_input_is_named(draw, factors, inputs, message):
    with pytest.raises(ValueError, match=message):
        draw(factors("segmentation"), **inputs)


def test_chains_that_cannot_be_are_named(draw, chained, factors):
    mine = torch.zeros(2, 32, 32, 3)
    with pytest.raises(
        ValueError, match=r"chain: segmentation comes before its parent|chain: depth comes before"
    ):
        chained("depth", "segmentation")
    with pytest.raises(ValueError, match="chain: sketch is in it twice"):
        chained("sketch", "sketch")
    with pytest.raises(ValueError, match="every factor has a map in its place"):
        draw(chained("sketch", sketch={"map": mine}))
    with pytest.raises(ValueError, match="map of segmentation holds 2 maps for 3 candidates"):
        draw(chained("segmentation", "depth", segmentation={"map": mine}))
    with pytest.raises(ValueError, match="only segmentations that are sampled are judged"):
        draw(factors("sketch"), **JUDGED)
    wide = factors("normal", widths=(32, 64), time_width=128, parents=())
    with pytest.raises(ValueError, match=r"\[32, 64\] channels, and .* chain factors of one base"):
        run(node_of("ChainFactor"), factor=wide, chain=chained("sketch"))


def node_of(name):
    import finesse.nodes

    return getattr(finesse.nodes, name)


def test_a_palette_that_is_not_the_factors_is_named(draw, factors):
    import dataclasses

    factor = factors("segmentation")
    other = dataclasses.replace(factor, info=dataclasses.replace(factor.info, palette="ade20k"))
    with pytest.raises(ValueError, match="paints in ade20k; choose that"):
        draw(other, **JUDGED)


# Preview and interruption


@pytest.fixture
def hooked(monkeypatch):
    """What ComfyUI's progress hook is told: (value, total, preview)."""
    import comfy.utils
    from comfy.cli_args import LatentPreviewMethod, args

    told = []
    monkeypatch.setattr(args, "preview_method", LatentPreviewMethod.Latent2RGB)
    monkeypatch.setattr(
        comfy.utils,
        "PROGRESS_BAR_HOOK",
        lambda value, total, preview, node_id=None: told.append((value, total, preview)),
    )
    return told


def test_the_maps_of_a_pass_are_previewed_in_one_picture_under_one_progress_bar(draw, chained, hooked):
    draw(chained("segmentation", "depth"), count=5, per_pass=3)
    assert [value for value, _, _ in hooked] == list(range(1, 17))
    assert {total for _, total, _ in hooked} == {2 * 2 * 4}
    kind, first, _ = hooked[0][2]
    assert (kind, first.size) == ("JPEG", (2 * 8, 2 * 8))
    cells = [first.crop((x, y, x + 8, y + 8)).tobytes() for y in (0, 8) for x in (0, 8)]
    assert len(set(cells[:3])) == 3
    assert len(set(first.crop((8, 8, 16, 16)).getdata())) == 1
    assert hooked[-1][2][1].size == (2 * 8, 8)  # the second pass has two


def test_a_preview_decodes_no_more_maps_than_can_be_seen(draw, factors, hooked):
    draw(factors("segmentation"), count=40, per_pass=20, steps=1)
    assert [preview[1].size for _, _, preview in hooked] == [(4 * 8, 4 * 8)] * 2


def test_it_stops_within_a_step_and_leaves_nothing_behind(draw, factors, model, hooked, monkeypatch):
    import comfy.model_management
    import comfy.utils

    expected = draw(factors("segmentation"))
    told = []

    def cancel(value, total, preview, node_id=None):
        told.append(value)
        if value == 2:
            comfy.model_management.interrupt_current_processing()

    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", cancel)
    with pytest.raises(comfy.model_management.InterruptProcessingException):
        draw(factors("segmentation"))
    assert told == [1, 2]
    assert model.wrappers == {}
    monkeypatch.setattr(comfy.utils, "PROGRESS_BAR_HOOK", None)
    again = draw(factors("segmentation"))
    assert torch.equal(again.latents["samples"], expected.latents["samples"])


# Get Factor Maps


def test_one_factors_maps_are_taken_out(draw, chained):
    drawn = draw(chained("segmentation", "depth"))
    take = node_of("GetFactorMaps")
    found = run(take, all_maps=drawn.all_maps, condition=" depth ")
    assert torch.equal(found.maps, drawn.all_maps.maps["depth"])
    assert torch.equal(found.latents["samples"], drawn.all_maps.latents["depth"])
    assert found.seeds == drawn.seeds
    one = run(take, all_maps=drawn.all_maps, index=1)
    assert torch.equal(one.maps, found.maps[1:2])
    assert (one.latents["samples"].shape, one.seeds) == ((1, 4, 8, 8), [41])
    with pytest.raises(ValueError, match="condition is 'pose', but the maps are of segmentation, depth"):
        run(take, all_maps=drawn.all_maps, condition="pose")
    with pytest.raises(ValueError, match="index is 3, but there are 3 candidates; give 0 to 2"):
        run(take, all_maps=drawn.all_maps, index=3)
