"""FG-DM's time at full size: what the command writes, on a miniature, and what it refuses."""

from __future__ import annotations

import json

import pytest
import torch
from finesse.benchmarks.fgdm import speed as fgdm_speed
from finesse.benchmarks.full_size import UNETS
from finesse.training.models.base_model import PLAIN

SMALL = {"hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "decoder_hidden_size": 16}
FEW = "--resolution 64 --map_resolution 64 --picture_steps 2 --most_seeds 2 --repeats 1 --precision no"


@pytest.fixture
def measured_on(monkeypatch, tmp_path):
    """Runs the command with flags and gives its metrics."""
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path)
    for name, value in SMALL.items():
        monkeypatch.setitem(fgdm_speed.SEGFORMER, name, value)

    def run(*flags):
        monkeypatch.setattr("sys.argv", ["fgdm_speed", *FEW.split(), *map(str, flags)])
        fgdm_speed.main()
        return json.loads((tmp_path / "fgdm_speed.json").read_text())["metrics"]

    return run


def test_the_command_writes_each_ratio(miniature, measured_on):
    found = measured_on("--base", miniature, "--map_steps", "1, 2")
    table4 = ("stock_n1", "stock_n10", "fgdm_n1", "fgdm_n10_t1", "fgdm_n10_t2")
    growth = ("n1", "n2", "factors1", "factors2", "factors3", "factors4")
    ratios = {name for name in found if name.endswith(".time")}  # a GPU has seconds and memory besides
    assert ratios == {f"table4.{name}.time" for name in table4} | {f"growth.{name}.time" for name in growth}
    assert min(found.values()) > 0
    assert found["table4.stock_n10.time"] == found["growth.n1.time"] == found["growth.factors1.time"] == 1


def test_more_seeds_than_fit_are_left_out(capsys):
    ran = []

    def too_large():
        raise torch.OutOfMemoryError

    ways = {"n1": lambda: ran.append(1), "n2": too_large, "n4": lambda: ran.append(4)}
    assert fgdm_speed.that_fit(ways).keys() == {"n1"}
    assert ran == [1]
    assert "n2 needs more memory" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (("--random", "sd16"), "random: got 'sd16'; give one of .*sd15"),
        (("--map_steps", "10, 0"), "map_steps is '10, 0'"),
        (("--map_steps", "ten"), "map_steps is 'ten'"),
        (("--repeats", "0"), "repeats is 0"),
        (("--map_resolution", "100"), "map_resolution is 100; give a multiple of 64"),
    ],
)
def test_bad_input_is_refused(measured_on, flags, error):
    with pytest.raises(ValueError, match=error):
        measured_on(*flags)


def test_sd15_is_a_text_to_image_model():
    changed = {"in_channels": PLAIN}
    assert UNETS["sd15"] == UNETS["sd15-inpainting"] | changed
