"""Labelled data out of prompts, made by a miniature, its factors and a ControlNet of random weights."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import webdataset
from diffusers import ControlNetModel, DDPMScheduler
from finesse.core.factors.files import FactorInfo, write_factor
from finesse.core.files import read_json
from finesse.core.maps.recall import ranked
from finesse.core.seeds import mix
from finesse.miniature.model import networks
from finesse.training import make_dataset
from finesse.training.data.map_samples import read_maps
from finesse.training.factors.chain_sampling import sample_chain
from finesse.training.factors.made_samples import Maker
from finesse.training.models.base_model import PLAIN, load_base
from finesse.training.models.controlled_unet import ControlledUNet, load_controlnet
from finesse.training.models.factor_unet import build_factor
from finesse.training.models.sampling import decode, noise_for

PROMPTS = ["a dog", "a car", "nothing at all", "a dog and a car", "two dogs"]
RECALLS = [1, 0, None, 0.5, 1]  # a network of random weights paints most of a map grey
PALETTE = {"dog": "#808080", "car": "#ff0000"}
CHAIN = {"segmentation": (), "depth": ("segmentation",), "pose": ("segmentation", "depth")}


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """A folder with all that the script reads."""
    folder = tmp_path_factory.mktemp("parts")
    networks.random(folder / "base")
    unet = load_base(folder / "base", channels=PLAIN).unet
    torch.manual_seed(1)
    control = shaken(ControlNetModel.from_unet(unet))
    control.save_pretrained(folder / "controlnet")
    for name, parents in CHAIN.items():
        info = FactorInfo(condition=name, palette="coco-stuff", base="miniature", parents=parents)
        write_factor(
            folder / f"{name}.safetensors", shaken(build_factor(unet, "timestep", len(parents))), info
        )
    (folder / "two.json").write_text(json.dumps(PALETTE))
    (folder / "prompts.txt").write_text("\n".join(PROMPTS[:2]) + "\n\n" + "\n".join(PROMPTS[2:]) + "\n")
    return folder


@torch.no_grad()
def shaken(module):
    for parameter in module.parameters():
        parameter += 0.02 * torch.randn_like(parameter)
    return module


@pytest.fixture(scope="module")
def config(parts):
    def settings(output, **changes):
        chosen = {
            "base": str(parts / "base"),
            "factors": ", ".join(str(parts / f"{name}.safetensors") for name in CHAIN),
            "controlnet": str(parts / "controlnet"),
            "prompts": str(parts / "prompts.txt"),
            "palette": str(parts / "two.json"),
            "output": str(output),
            "candidates": 3,
            "keep": 2,
            "minimal_recall": 0,
            "minimal_area": 0.5,
            "map_size": 16,
            "size": 32,
            "steps": 2,
            "per_shard": 2,
        } | changes
        return make_dataset.DatasetConfig(**chosen)

    return settings


def process(index=0, count=1):
    """What the script asks of accelerate, for one of several processes."""
    nothing = {name: lambda: None for name in ("wait_for_everyone", "end_training")}
    return SimpleNamespace(
        process_index=index,
        num_processes=count,
        is_main_process=index == 0,
        device=torch.device("cpu"),
        **nothing,
    )


def contents(folder):
    return {path.name: path.read_bytes() for path in [*folder.glob("*.tar"), *folder.glob("*.json")]}


@pytest.fixture(scope="module")
def made(config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    make_dataset.run(config(folder), process())
    return folder


def test_the_report_tells_what_is_there(made):
    report = read_json(made / "train.json")
    assert report["conditions"] == list(CHAIN)
    assert (report["palette"], report["resolution"]) == ("two", 32)
    assert report["labels"] == {"dog": [128, 128, 128], "car": [255, 0, 0]}
    assert report["pictures"] == {"kept": 4, "dropped_by_recall": 0, "without_objects": 1}
    assert report["recall"] == pytest.approx(2.5 / 4)
    assert [shard["samples"] for shard in report["shards"]] == [2, 1, 1]


def test_the_shards_are_read_as_maps_and_by_webdataset(made):
    paths = sorted(made.glob("*.tar"))
    samples = [sample for path in paths for sample in read_maps(path, list(CHAIN))]
    assert [sample.captions for sample in samples] == [(PROMPTS[i],) for i in (0, 1, 3, 4)]
    for sample in samples:
        assert {sample.picture.size, *(drawn.size for drawn in sample.maps.values())} == {(32, 32)}
        colours = {tuple(colour) for colour in np.asarray(sample.maps["segmentation"]).reshape(-1, 3)}
        assert colours <= {(128, 128, 128), (255, 0, 0)}
    found = [row for path in paths for row in webdataset.WebDataset(str(path), shardshuffle=False)]
    assert [row["__key__"] for row in found] == ["00000000", "00000001", "00000003", "00000004"]
    assert {f"{name}.png" for name in CHAIN} | {"jpg", "json"} <= found[0].keys()


def test_any_number_of_processes_makes_the_same_bytes(made, config, tmp_path):
    for index in (1, 0):
        make_dataset.run(config(tmp_path), process(index, 2))
    assert contents(tmp_path) == contents(made)


def test_what_is_missing_is_made_again_and_nothing_else(made, config):
    before, lost = contents(made), made / "train-000001.tar"
    times = {path: path.stat().st_mtime_ns for path in made.glob("*.tar") if path != lost}
    lost.unlink()
    make_dataset.run(config(made), process())
    assert contents(made) == before
    assert {path: path.stat().st_mtime_ns for path in times} == times


@pytest.mark.parametrize("least", [0.5, 0.75])
def test_prompts_below_the_recall_are_dropped(config, tmp_path, least):
    make_dataset.run(config(tmp_path, minimal_recall=least, candidates=1, keep=0), process())
    kept = [i for i, recall in enumerate(RECALLS) if recall is not None and recall >= least]
    report = read_json(tmp_path / "train.json")
    assert report["pictures"]["kept"] == len(kept)
    assert report["pictures"]["dropped_by_recall"] == 4 - len(kept)
    paths = [tmp_path / shard["file"] for shard in report["shards"]]
    assert [s.captions[0] for path in paths for s in read_maps(path, [])] == [PROMPTS[i] for i in kept]


@pytest.fixture(scope="module")
def maker(config):
    settings = config("nowhere", keep=0, palette="coco-stuff", candidates=4, minimal_area=0.003)
    chain = make_dataset.read_chain(settings.files)
    own = DDPMScheduler(beta_start=1e-4, beta_end=0.02)  # another noise schedule than Stable Diffusion's
    base = replace(load_base(settings.base, channels=PLAIN), scheduler=own)
    controlled = ControlledUNet(base.unet, load_controlnet(settings.controlnet))
    return Maker(base, chain, controlled, make_dataset.recipe_of(settings, chain))


@torch.no_grad()
def test_the_best_candidate_is_the_best_of_maps_sampled_one_by_one(maker):
    prompt, index, recipe = "a wall, a sea, a cloth, a carpet and some grass", 7, maker.recipe
    wanted, base = maker.wanted(prompt), maker.base
    labels, latents = [], []
    for row in range(4):
        noise = noise_for([mix(0, index, *b"segmentation", row)], (4, 4, 4), "cpu")
        found = sample_chain(
            base.unet,
            maker.chain[:1],
            base.embed([prompt]).context,
            base.embed([""]).context[0],
            {"segmentation": noise},
            scheduler=base.scheduler,
            steps=2,
            guidance=5.0,
        )["segmentation"]
        pixels = (decode(base.vae, found) * 255).round().byte().movedim(1, -1).numpy()
        labels.append(recipe.palette.decode(pixels)[0])
        latents.append(found)
    expected = ranked(np.stack(labels), wanted, recipe.minimal_area)[0]
    best = maker.best(prompt, index)
    assert (best.candidate.index, best.candidate.recall) == (expected.index, expected.recall)
    torch.testing.assert_close(best.record.final, latents[expected.index], rtol=1e-3, atol=1e-3)
    assert (recipe.palette.decode(best.painted) == labels[expected.index]).mean() > 0.99


@torch.no_grad()
def test_a_controlled_unet_adds_what_the_controlnet_says(maker):
    controlled, context = maker.controlled, torch.randn(2, 5, networks.TEXT_WIDTH)
    sample, timestep = torch.randn(2, 4, 8, 8), torch.tensor(500)
    controlled.hint = torch.rand(1, 3, 64, 64)
    down, mid = controlled.control(
        sample, timestep, context, controlled.hint.expand(2, -1, -1, -1), return_dict=False
    )
    expected = controlled.unet(
        sample, timestep, context, down_block_additional_residuals=down, mid_block_additional_residual=mid
    ).sample
    assert torch.equal(controlled(sample, timestep, context).sample, expected)
    assert not torch.equal(controlled.unet(sample, timestep, context).sample, expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minimal_recall": 1.01}, "minimal_recall is 1.01; give 0 to 1"),
        ({"keep": 4}, "keep is 4; give 0 to 3"),
        ({"candidates": 0}, "candidates is 0"),
        ({"prompts": "/nowhere.txt"}, "prompts: there is no file '/nowhere.txt'"),
        ({"factors": ""}, "factors: none is given"),
        ({"palette": "coco"}, "palette: got 'coco'; give one of coco-stuff"),
        ({"control_palette": "ade"}, "control_palette: got 'ade'"),
        ({"controlnet": "/nowhere"}, "controlnet: /nowhere has no config.json"),
        ({"base": "/nowhere"}, "base: /nowhere has no unet"),
        ({"map_size": 18}, "map_size is 18; give a multiple of 4"),
    ],
)
def test_bad_settings_are_named(config, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        make_dataset.run(config(tmp_path, **changes), process())


def test_a_chain_that_does_not_begin_with_a_segmentation_is_refused(parts):
    files = [parts / f"{name}.safetensors" for name in ("depth", "segmentation", "segmentation")]
    with pytest.raises(ValueError, match=r"the first, depth.safetensors, makes depth of \['segmentation'\]"):
        make_dataset.read_chain(files)
    with pytest.raises(ValueError, match="segmentation is in it twice; leave one of them out"):
        make_dataset.read_chain(files[1:])


def test_when_nothing_is_kept_the_reason_is_told(config, tmp_path):
    (tmp_path / "prompts.txt").write_text("a car\nnothing at all\n")
    settings = config(tmp_path, prompts=str(tmp_path / "prompts.txt"), minimal_recall=1, candidates=1, keep=0)
    with pytest.raises(ValueError, match=r"no picture to keep: 1 prompts fall short .*, 1 name no object"):
        make_dataset.run(settings, process())
