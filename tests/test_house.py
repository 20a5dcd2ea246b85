"""Who may import whom, and how long and how big a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {
    "core": set(),
    "nodes": {"core"},
    "training": {"core"},
    "miniature": {"core", "training"},
    "benchmarks": {"core", "training", "miniature", "nodes"},
}
COMFYUI = {"comfy", "comfy_api", "comfy_execution", "comfy_extras", "folder_paths", "node_helpers", "server"}
HEAVY = {"diffusers", "peft", "accelerate", "transformers", "tokenizers"}
FORBIDDEN = {"nodes": HEAVY - {"transformers"}, "training": COMFYUI}  # ComfyUI itself needs transformers
MOST_LINES = 350
MOST_BYTES = 16 * 2**20


def git(*arguments):
    out = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / line for line in out.splitlines()]


def tracked(suffix=""):
    return [path for path in git("ls-files") if path.name.endswith(suffix) and path.exists()]


def imports_of(path):
    """(level, module) of every import in a file; `from . import x` counts as a module x."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.level, node.module
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.level, alias.name) for alias in node.names)


def files_of(room):
    return sorted((ROOT / room).rglob("*.py"))


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room):
    for path in files_of(room):
        depth = len(path.relative_to(ROOT).parts)
        for level, module in imports_of(path):
            assert level or module.split(".")[0] != "finesse", f"{path} imports {module}: make it relative"
            if level == depth:
                assert module.split(".")[0] in ROOMS[room], f"{path} imports {module}"
            assert level <= depth, f"{path} imports from outside the package"


def test_core_imports_only_torch_numpy_and_safetensors():
    allowed = {"torch", "numpy", "safetensors"} | sys.stdlib_module_names
    for path in files_of("core"):
        for level, module in imports_of(path):
            assert level or module.split(".")[0] in allowed, f"{path} imports {module}"


@pytest.mark.parametrize(("room", "forbidden"), FORBIDDEN.items())
def test_a_room_keeps_away_from_what_is_not_its_own(room, forbidden):
    for path in files_of(room):
        for level, module in imports_of(path):
            assert level or module.split(".")[0] not in forbidden, f"{path} imports {module}"


def test_dev_needs_the_standard_library_only():
    for path in (ROOT / "dev.py", ROOT / "__init__.py"):
        for level, module in imports_of(path):
            top = module.split(".")[0]
            assert level or top in sys.stdlib_module_names | {"comfy_api"}, f"{path} imports {module}"


def test_no_file_is_too_long():
    for path in [*tracked(".py"), *tracked(".js")]:
        lines = len(path.read_text("utf-8").splitlines())
        assert lines <= MOST_LINES, f"{path} has {lines} lines"


def test_no_file_is_too_big():
    for path in tracked():
        assert path.stat().st_size < MOST_BYTES, f"{path} has {path.stat().st_size} bytes"
