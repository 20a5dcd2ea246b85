"""Who may import whom, what importing the pack costs, and what is published of it."""

from __future__ import annotations

import ast
import json
import os
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

LOAD_PACK = """
import asyncio, json, sys, time
import comfy.options
comfy.options.enable_args_parsing()
import execution, server, nodes
asyncio.run(nodes.init_builtin_extra_nodes())
before, start = set(sys.modules), time.process_time()
loaded = asyncio.run(nodes.load_custom_node(PACK))
seconds = time.process_time() - start
added = sorted({name.split(".")[0] for name in set(sys.modules) - before})
ours = [name for name in nodes.NODE_CLASS_MAPPINGS if name.startswith("Finesse")]
print(json.dumps({"loaded": loaded, "seconds": seconds, "added": added, "nodes": ours}))
"""


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


def test_loading_the_pack_in_comfyui_is_light(tmp_path, measured):
    arguments = ["--cpu", "--base-directory", str(tmp_path), "--disable-api-nodes"]
    done = subprocess.run(
        [sys.executable, "-c", LOAD_PACK.replace("PACK", repr(str(ROOT))), *arguments],
        env=os.environ | {"PYTHONPATH": os.environ["COMFYUI_PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    measured(f"loading the pack in ComfyUI: {found['seconds']:.3f} s")

    assert found["loaded"]
    assert found["nodes"]
    assert found["seconds"] < 0.5
    assert not HEAVY & set(found["added"])


def test_no_file_is_too_long():
    for path in [*tracked(".py"), *tracked(".js")]:
        lines = len(path.read_text("utf-8").splitlines())
        assert lines <= MOST_LINES, f"{path} has {lines} lines"


def test_no_file_is_too_big():
    for path in tracked():
        assert path.stat().st_size < MOST_BYTES, f"{path} has {path.stat().st_size} bytes"


def test_what_is_published_is_what_comfyui_users_need():
    left_out = {path.relative_to(ROOT) for path in git("ls-files", "-ci", "--exclude-from=.comfyignore")}
    published = {path.relative_to(ROOT) for path in tracked()} - left_out

    assert {path.parts[0] for path in left_out} <= {
        ".ci",
        "benchmarks",
        "dev.py",
        "docs",
        "miniature",
        "tests",
    }
    for needed in ("__init__.py", "LICENSE", "README.md", "pyproject.toml", "requirements.txt"):
        assert Path(needed) in published
    assert any(path.is_relative_to("web/docs") for path in published)
    assert any(path.is_relative_to("example_workflows") for path in published)
