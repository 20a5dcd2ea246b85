"""FG-DM's tables on a miniature with random weights: what they hold, and that rows do not mix."""

from __future__ import annotations

import itertools
import json
import random

import pytest
import torch
from diffusers import ControlNetModel
from finesse.benchmarks.fgdm import downstream as fgdm_downstream
from finesse.benchmarks.fgdm import tables as fgdm
from finesse.benchmarks.fgdm import timing as fgdm_timing
from finesse.benchmarks.fgdm.methods import (
    MapStudio,
    MapStudioConfig,
    ScenePrompt,
    mean_iou,
    prompts_of,
    recalls,
    unasked,
)
from finesse.core.factors.files import FactorInfo, write_factor
from finesse.miniature.model import judges, networks
from finesse.miniature.world.palette import PALETTE
from finesse.miniature.world.things import ON_MAPS
from finesse.training.loop.config import TrainConfig
from finesse.training.models.factor_unet import build_factor


@pytest.fixture(scope="module")
def config(miniature):
    torch.manual_seed(0)
    unet = networks.load(miniature).unet
    networks.save(ControlNetModel.from_unet(unet), miniature / "controlnet")
    for kind in (judges.Classifier, judges.Segmenter):
        judges.save_judge(kind(), miniature / "judges" / f"{kind.__name__.lower()}.safetensors")
    info = FactorInfo(condition="segmentation", palette="coco-stuff", base="miniature")
    path = miniature / "factors" / "segmentation.safetensors"
    write_factor(path, build_factor(unet, "timestep", 0), info)
    return MapStudioConfig(str(miniature), factor=str(path), picture_steps=2, keep=1, precision="no")


@pytest.fixture(scope="module")
def studio(config):
    return MapStudio(config, torch.device("cpu"))


def test_prompts_name_four_to_eight_things():
    prompts = prompts_of(30)
    assert len({prompt.text for prompt in prompts}) == 30
    for prompt in prompts:
        assert 4 <= len(prompt.things) <= 8
        assert all(thing in ON_MAPS and thing in prompt.text for thing in prompt.things)


def test_a_row_depends_on_its_prompt_and_seed_alone(studio):
    texts = [prompt.text for prompt in prompts_of(3)]
    together = studio.maps(texts, [5, 6, 7], 2)
    alone = studio.maps(texts[1:2], [6], 2)
    assert together.shape == (3, 3, 64, 64)
    assert (together[1] - alone[0]).abs().max() < 1e-4
    hint = together[:1]
    picture = studio.pictures(texts[:1], [3], hint)
    assert picture.shape == (1, 3, 64, 64)
    assert torch.equal(picture, studio.pictures(texts[:1], [3], hint))


def test_maps_are_read_by_the_nearest_colour(studio):
    labels = torch.tensor([PALETTE.index(name) for name in ("sheep", "grass", "train", "snow")]).view(1, 2, 2)
    labels = labels.repeat_interleave(3, 1).repeat_interleave(3, 2)
    maps = studio.table[labels].movedim(-1, 1) / 255
    assert torch.equal(studio.decoded((maps + 0.02 * torch.rand_like(maps)).clamp(max=1)), labels)
    prompt = ScenePrompt("a sheep and a train", ("sheep", "train"))
    assert recalls(labels, [prompt]).tolist() == [1.0]
    assert recalls(labels[..., :3], [prompt]).tolist() == [1.0]
    assert recalls(labels[..., 3:], [prompt]).tolist() == [0.0]
    others = unasked(labels, [ScenePrompt("a train", ("train",))])
    assert others.tolist() == pytest.approx([1 / (len(ON_MAPS) - 1)])


def test_early_stop_ends_as_if_it_had_been_run(config):
    generator = random.Random(0)
    for _ in range(50):
        recall = [generator.choice((0.0, 0.25, 0.5, 0.75, 1.0)) for _ in range(10)]
        rank = sorted(range(10), key=lambda i: (-recall[i], i))
        halfway = generator.sample(range(10), 10)
        found = {
            "recall": torch.tensor([recall]),
            "rank": torch.tensor([[rank.index(i) for i in range(10)]]),
            "halfway_rank": torch.tensor([halfway]),
        }
        (chosen,), (steps,) = (values.tolist() for values in fgdm.early_stopped(found, config))
        alive, cost = [], 0.0
        for own in (range(start, start + 2) for start in range(0, 10, 2)):
            alive += min(
                itertools.combinations(own, config.keep), key=lambda kept: sum(halfway[i] for i in kept)
            )
            cost += (2 + config.keep) / 2
            if max(recall[i] for i in alive) >= config.stop_at:
                break
        assert chosen == next(i for i in rank if i in alive)
        assert steps == cost


def test_timed_early_stop_never_picks_what_it_dropped(studio, monkeypatch):
    """Dropped rows hold nothing of use: here they would show all."""
    prompt, everything = prompts_of(1)[0], torch.zeros(3, 64, 64)
    names = [PALETTE.index(name) for name in prompt.things]
    stripes = studio.table[torch.tensor(names).repeat_interleave(64 // len(names) + 1)[:64]] / 255
    everything += stripes.T[:, None]
    picked = []

    def maps(texts, seeds, steps, judge=None):
        made = torch.zeros(len(texts), 3, 64, 64)
        if judge:
            kept = judge(made)
            made[[row for row in range(len(texts)) if row not in kept]] = everything
        return made

    monkeypatch.setattr(studio, "maps", maps)
    monkeypatch.setattr(studio, "pictures", lambda texts, seeds, hints=None: picked.append(hints))
    monkeypatch.setattr(studio, "segmented", lambda pixels: torch.zeros(10, 64, 64, dtype=torch.long))
    fgdm_timing.timings(studio, [prompt, prompt])
    assert all(hint is None or not torch.equal(hint[0], everything) for hint in picked)
    assert len(picked) == 12


def test_mean_iou_against_counting():
    seen, asked = torch.tensor([[[0, 0, 1, 1]]]), torch.tensor([[[0, 1, 1, 2]]])
    assert mean_iou(seen, asked) == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)


def test_the_command_writes_all_tables_and_goes_on(config, tmp_path, monkeypatch):
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path / "results")
    monkeypatch.setattr(fgdm, "FOLDER", tmp_path / "results")
    for module in (fgdm, fgdm_timing):
        monkeypatch.setattr(module, "MOST_SEEDS", 2)
        monkeypatch.setattr(module, "SEEDS_OF_TABLE3", (1, 2))
        monkeypatch.setattr(module, "PER_PASS", 2)
    for name, value in {"REAL": 4, "MADE": 2, "TESTED": 3, "CANDIDATES": 2}.items():
        monkeypatch.setattr(fgdm_downstream, name, value)
    monkeypatch.setattr(fgdm_downstream, "PLAN", TrainConfig(steps=2, batch_size=2))
    monkeypatch.setattr(fgdm, "SHOWN", 1)
    command = ["fgdm", "--base", config.base, "--factor", config.factor, "--picture_steps", "1"]
    command += ["--prompts", "2", "--drawn", "2", "--timed", "1", "--keep", "1", "--work", str(tmp_path)]
    command += ["--without_distillation", config.factor, "--precision", "no"]
    (tmp_path / "results").mkdir()
    monkeypatch.setattr("sys.argv", command)
    fgdm.main()
    metrics = json.loads((tmp_path / "results" / "fgdm.json").read_text())["metrics"]
    for name in ("stock_n1", "stock_n10", "fgdm_n1", "fgdm_n10_t10", "fgdm_n10_t20", "fgdm_early"):
        assert 0 <= metrics[f"table4.{name}.recall"] <= 1
        assert metrics[f"table4.{name}.seconds"] > 0
    assert metrics["table4.stock_n10.time"] == 1
    assert metrics["table4.fgdm_early_dropping.map_steps"] <= metrics["table4.fgdm_early.map_steps"]
    assert all(0 <= metrics[f"table4.{name}.unasked"] <= 1 for name in ("stock_n1", "fgdm_n1"))
    for name in ("n1_t10", "n2_t20"):
        low, middle, high = (metrics[f"table3.{name}.{key}"] for key in ("min", "median", "max"))
        assert low <= middle <= high
    assert metrics["table2.with_distillation.recall"] == metrics["table2.without_distillation.recall"]
    for name in ("real", "real_and_made"):
        assert 0 <= metrics[f"downstream.{name}.miou"] <= 1
    assert (tmp_path / "results" / "fgdm.png").is_file()
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    fgdm.main()
    assert kept == {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
