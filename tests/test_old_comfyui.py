"""In a ComfyUI that is too old for it, the pack says so, before anything that such a ComfyUI lacks."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import finesse
import pytest
from finesse.tests.coroutines import awaited

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT = Path(finesse.__file__).parent / "pyproject.toml"
SAID = r"ComfyUI-Finesse needs ComfyUI 0\.30\.0 or newer, and this is ComfyUI {}: .*Update ComfyUI"


@pytest.fixture
def load(monkeypatch):
    """Loads the pack in a ComfyUI of a version; None is one that does not tell it."""

    def run(version):
        module = None if version is None else ModuleType("comfyui_version")
        if module:
            module.__version__ = version
        nodes = ModuleType("finesse.nodes")
        nodes.FinesseExtension = lambda: "the nodes"
        monkeypatch.setitem(sys.modules, "comfyui_version", module)
        monkeypatch.setitem(sys.modules, "finesse.nodes", nodes)
        return awaited(finesse.comfy_entrypoint())

    return run


@pytest.mark.parametrize("version", ["0.16.0", "0.27.0", "0.29.9", "0.3.75", "v0.27.1-5-gabcdef"])
def test_one_that_is_too_old_is_told_what_is_needed(load, version):
    with pytest.raises(RuntimeError, match=SAID.format(version.replace(".", r"\."))):
        load(version)


@pytest.mark.parametrize("version", ["0.30.0", "0.30.1", "0.33.0", "1.0.0", "v0.30.0-2-gabcdef", None])
def test_newer_ones_and_those_that_do_not_tell_get_the_nodes(load, version):
    assert load(version) == "the nodes"


def test_it_is_the_version_that_the_registry_is_told():
    told = tomllib.loads(PROJECT.read_text("utf-8"))["tool"]["comfy"]["requires-comfyui"]
    assert told == f">={finesse.OLDEST_COMFYUI}"
