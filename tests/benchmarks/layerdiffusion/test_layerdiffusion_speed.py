"""LayerDiffusion's time at full size: what the command writes, on a miniature, and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch
from finesse.benchmarks.layerdiffusion import speed as layerdiffusion_speed
from finesse.benchmarks.layerdiffusion.speed import PHASES, Cost, Imagic, LayerDiffusion, ratios
from finesse.training.layers.edit_learning import LayeredConfig

FEW = "--resolution 64 --embedding_steps 3 --fine_tuning_steps 3 --sampling_steps 3 --rank 4"
RATIOS = {
    *(
        f"{way}.{ratio}"
        for way in ("full", "low_rank")
        for ratio in ("ratio_imagic", "ratio_imagic_defaults")
    ),
    *(f"{phase}.{ratio}" for phase in PHASES for ratio in ("ratio_imagic", "ratio_imagic_low_rank")),
}
CPU = torch.device("cpu")


@pytest.fixture
def measured_on(monkeypatch, tmp_path):
    """Runs the command with flags and gives its metrics."""
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path)

    def run(*flags):
        monkeypatch.setattr("sys.argv", ["layerdiffusion_speed", *FEW.split(), *map(str, flags)])
        layerdiffusion_speed.main()
        return json.loads((tmp_path / "layerdiffusion_speed.json").read_text())["metrics"]

    return run


def test_the_command_writes_each_ratio(miniature, measured_on):
    found = measured_on("--base", miniature)
    assert {name for name in found if "ratio" in name} == RATIOS  # a GPU has seconds and memory besides
    assert min(found.values()) > 0
    for way in ("full", "low_rank"):
        assert found[f"{way}.ratio_imagic_defaults"] > found[f"{way}.ratio_imagic"]


def test_ratios_are_the_peers_time_over_ours():
    def cost(once, *paces):
        return Cost(once, dict(zip(PHASES, paces, strict=True)), 0.0)

    costs = {"full": cost(10, 1, 2, 1), "low_rank": cost(0, 1, 1, 0.5), "imagic": cost(20, 4, 6, 2)}
    found = ratios(costs, dict(zip(PHASES, (500, 250, 50), strict=True)))
    assert found.keys() == RATIOS
    assert found["full.ratio_imagic"] == (20 + 2000 + 1500 + 100) / (10 + 500 + 500 + 50)
    assert found["low_rank.ratio_imagic_defaults"] == (20 + 2000 + 6000 + 100) / (500 + 250 + 25)
    assert found["fine_tuning.ratio_imagic"] == 3
    assert found["sampling.ratio_imagic_low_rank"] == 4


@pytest.mark.parametrize("weights", ["full", "low-rank"])
def test_an_edit_leaves_the_base_as_it_was(miniature, weights):
    way = LayerDiffusion(LayeredConfig(base=str(miniature), resolution=64, weights=weights), CPU)
    before = {name: value.clone() for name, value in way.editor.base.unet.state_dict().items()}
    paces = way(dict.fromkeys(PHASES, 2))
    after = way.editor.base.unet.state_dict()
    assert paces.keys() == set(PHASES)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_the_object_s_steps_read_its_text_as_encoded(miniature, monkeypatch):
    way = LayerDiffusion(LayeredConfig(base=str(miniature), resolution=64, weights="low-rank"), CPU)
    turned, draw = [], way._draw
    monkeypatch.setattr(way, "_draw", lambda text, own, steps: turned.append(own) or draw(text, own, steps))
    way(dict.fromkeys(PHASES, 2))
    (text,) = turned
    assert torch.equal(text, way.editor.base.embed([layerdiffusion_speed.OBJECT]).context)


def test_the_peer_learns(miniature, monkeypatch):
    peer = Imagic(LayeredConfig(base=str(miniature), resolution=64), CPU)
    before = [weight.clone() for weight in peer.base.unet.parameters()]
    mixtures, draw = [], Imagic._draw
    monkeypatch.setattr(
        Imagic, "_draw", lambda self, text, steps: mixtures.append(text) or draw(self, text, steps)
    )
    peer(dict.fromkeys(PHASES, 2))
    changed = [not torch.equal(*pair) for pair in zip(before, peer.base.unet.parameters(), strict=True)]
    assert sum(changed) > 0.9 * len(changed)
    assert not torch.equal(mixtures[0], peer.base.embed([layerdiffusion_speed.PROMPT]).context)


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (("--random", "sd16"), "random: got 'sd16'; give one of .*sd15"),
        (("--steps_timed", "-1"), "steps_timed is -1"),
        (("--fine_tuning_steps", "1"), "fine_tuning_steps is 1; give at least 2"),
    ],
)
def test_bad_input_is_refused(measured_on, flags, error):
    with pytest.raises(ValueError, match=error):
        measured_on(*flags)
