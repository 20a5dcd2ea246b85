"""The ready configs: the script that its comment names reads each, and the docs show it."""

from __future__ import annotations

import importlib
import re
from dataclasses import fields

import pytest
import yaml
from finesse.training import factor, layered, make_dataset, so_lora, vae
from finesse.training.layers.edit_learning import LayeredConfig
from finesse.training.loop.config import READY, TrainConfig, parse

SCRIPTS = {  # script -> its kinds of settings and its defaults
    so_lora: ([so_lora.SoLoraConfig, TrainConfig], so_lora.PLAN),
    vae: ([vae.VaeConfig, TrainConfig], vae.PLAN),
    factor: ([factor.FactorConfig, TrainConfig], factor.PLAN),
    layered: ([LayeredConfig], {}),
    make_dataset: ([make_dataset.DatasetConfig], {}),
}
NAMES = sorted(path.stem for path in READY.glob("*.yaml"))
DOCS = READY.parents[1] / "docs"


def read(name):
    """A config's text, what it sets, and the script that its comment runs."""
    text = (READY / f"{name}.yaml").read_text("utf-8")
    module = re.search(rf"-m (finesse\.training\.\w+) --config {name}\b", text)[1]
    return text, yaml.safe_load(text), importlib.import_module(module)


def test_there_are_configs_for_every_script_that_trains():
    assert {read(name)[2] for name in NAMES} == set(SCRIPTS)
    assert {"sd15_so_lora", "sdxl_so_lora", "sd15_factor_segmentation", "sd15_layered"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_config_sets_what_it_says(name):
    _, settings, script = read(name)
    kinds, plan = SCRIPTS[script]
    found = parse(kinds, plan, ["--config", name])
    values = {item.name: getattr(part, item.name) for part in found for item in fields(part)}
    assert {key: values[key] for key in settings} == settings
    assert {key: type(values[key]) for key in settings} == {key: type(settings[key]) for key in settings}
    empty = {item.name for item in fields(kinds[0]) if item.default == "" and not values[item.name]}
    assert empty <= {"parents", "start", "palette"}  # of which empty is a choice


@pytest.mark.parametrize("name", NAMES)
def test_a_config_is_shown_in_the_docs(name):
    text, _, script = read(name)
    pages = "".join(page.read_text("utf-8") for page in DOCS.glob("*.md"))
    assert re.search(rf"-m {re.escape(script.__name__)} --config {name}\b", pages)
    assert text.startswith("# ")


def test_flags_override_a_ready_config_and_a_file_of_its_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds, plan = SCRIPTS[so_lora]
    config, settings = parse(kinds, plan, ["--config", "sdxl_so_lora", "--rank", "7", "--steps", "3"])
    assert (config.rank, settings.steps, config.resolution) == (7, 3, 1024)
    (tmp_path / "sdxl_so_lora").write_text("rank: 5\n")
    assert parse(kinds, plan, ["--config", "sdxl_so_lora"])[0].rank == 5


def test_a_config_that_is_not_there_is_named_with_the_ready_ones():
    with pytest.raises(ValueError, match=r"there is no file sd15_lora; give .* ready one: .*sd15_so_lora, "):
        parse([TrainConfig], {}, ["--config", "sd15_lora"])
