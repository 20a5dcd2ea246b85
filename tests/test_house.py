"""Who may import whom, and how long and how big a file may be."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {  # floor -> the floors that it may import
    "core": set(),
    "nodes": {"core"},
    "training": {"core"},
    "miniature": {"core", "training"},
    "demo": {"core", "training", "miniature"},
    "benchmarks": {"core", "nodes", "training", "miniature", "demo"},
}
WINGS = {  # wing -> the wings that it may import on its floor and on those below
    "small_objects": set(),
    "maps": {"small_objects"},
    "factors": {"maps"},
    "layers": {"small_objects", "maps"},
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


def imported_by(path):
    """The files of the project that a file imports, as paths from its root."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            named = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            for target in (named, *(named / alias.name for alias in node.names)):
                if target.with_suffix(".py").is_file():
                    yield target.with_suffix(".py").relative_to(ROOT)


def circle(graph):
    """The first circle in a graph of node -> nodes, as the nodes along it; None when there is none."""
    done, path = set(), []

    def walk(node):
        if node in path:
            return [*path[path.index(node) :], node]
        if node in done:
            return None
        path.append(node)
        found = next(filter(None, map(walk, sorted(graph.get(node, ())))), None)
        path.pop()
        done.add(node)
        return found

    return next(filter(None, map(walk, sorted(graph))), None)


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


def wing_of(path):
    """The wing that a file (a path from the root) stands in, None at the root of its floor."""
    return path.parts[1] if len(path.parts) > 2 and path.parts[1] in WINGS else None


@pytest.fixture(scope="module")
def imports():
    """file -> the files that it imports, as paths from the root."""
    paths = [path for room in ROOMS for path in files_of(room)]
    return {path.relative_to(ROOT): set(imported_by(path)) for path in paths}


def test_the_imports_of_a_file_are_found(imports):
    found = imports[Path("nodes/small_objects/composite_box.py")]
    assert Path("core/small_objects/compositing.py") in found
    assert Path("nodes/categories.py") in found


def test_a_wing_imports_only_the_wings_that_it_may(imports):
    for path, targets in imports.items():
        for target in targets:
            wing, other = wing_of(path), wing_of(target)
            if wing and other and wing != other and path.parts[0] != "benchmarks":
                assert other in WINGS[wing], f"{path} imports {target}"
            shared = path.parts[0] == target.parts[0] and not wing and len(path.parts) == 2
            if shared and path.parts[0] == "core":
                assert not other, f"{path} at the root of its floor imports {target} of a wing"


def test_no_files_import_each_other_in_a_circle(imports):
    assert circle(imports) is None


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}}) is None


def types_in(path):
    """The public classes and type aliases that a file defines at its top, type variables left out."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        elif isinstance(node, ast.Assign) and not ast.unparse(node.value).startswith("TypeVar("):
            names = (target.id for target in node.targets if isinstance(target, ast.Name))
            yield from filter(re.compile("[A-Z][a-z][A-Za-z]*$").match, names)


def test_a_name_of_a_type_stands_for_one_thing():
    places = {}
    for room in ROOMS:
        for path in files_of(room):
            for name in types_in(path):
                places.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    del places["Arguments"]  # each script's own
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}
    assert len(places) > 200


def test_a_node_lends_nothing_to_other_nodes(imports):
    """What two nodes need stands in a module of its own."""
    nodes = {
        path
        for path in imports
        if path.parts[0] == "nodes" and "(io.ComfyNode)" in (ROOT / path).read_text("utf-8")
    }
    assert len(nodes) > 15
    for path, targets in imports.items():
        if path.parts[0] == "nodes" and path != Path("nodes/__init__.py"):
            assert not targets & nodes, f"{path} imports {targets & nodes}"


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
    allowed = sys.stdlib_module_names | {"comfy_api", "comfyui_version"}
    for path in (ROOT / "dev.py", ROOT / "__init__.py"):
        for level, module in imports_of(path):
            top = module.split(".")[0]
            assert level or top in allowed, f"{path} imports {module}"


def test_tests_run_coroutines_beside_playwrights_loop():
    """`asyncio.run` fails in a process that has opened a page; `tests/coroutines` does not."""
    for path in files_of("tests"):
        imported = {module for _, module in imports_of(path)}
        assert "asyncio" not in imported or path == ROOT / "tests" / "coroutines.py", path


def test_no_file_is_too_long():
    for path in [*tracked(".py"), *tracked(".js")]:
        lines = len(path.read_text("utf-8").splitlines())
        assert lines <= MOST_LINES, f"{path} has {lines} lines"


def test_no_file_is_too_big():
    for path in tracked():
        assert path.stat().st_size < MOST_BYTES, f"{path} has {path.stat().st_size} bytes"
