"""The cache computes once, notices a changed cause and makes a damaged file again."""

from __future__ import annotations

import importlib
import sys

import pytest
import torch
from finesse.training.loop import cache
from finesse.training.loop.cache import cached, code_hash

MODULES = {
    "core/files.py": "",
    "core/colours.py": "",
    "core/maps/__init__.py": "",
    "core/maps/shapes.py": "from ..colours import RED",
    "core/maps/late.py": "",
    "core/other.py": "",
    "training/loop/__init__.py": "",
    "training/loop/cache.py": "from ...core import files",
    "training/task.py": """
from typing import TYPE_CHECKING
import json
from ..core.maps import shapes
from .loop.cache import json as other
if TYPE_CHECKING:
    from .views import View
def work():
    from ..core.maps.late import draw
""",
    "training/views.py": "",
}


def test_made_once_until_a_cause_changes(tmp_path):
    made = []

    def make():
        made.append(1)
        return {"x": torch.full((2,), len(made))}

    assert cached(tmp_path, "n", {"seed": 1}, make)["x"].tolist() == [1, 1]
    assert cached(tmp_path, "n", {"seed": 1}, make)["x"].tolist() == [1, 1]
    assert cached(tmp_path, "n", {"seed": 2}, make)["x"].tolist() == [2, 2]
    (file,) = [path for path in tmp_path.iterdir() if b'"seed\\": 1' in path.read_bytes()]
    file.write_bytes(file.read_bytes()[:-4])
    assert cached(tmp_path, "n", {"seed": 1}, make)["x"].tolist() == [3, 3]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of the project's shape in place of the project; its name is the folder's."""
    root = tmp_path / "pack"
    for name, source in MODULES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(cache, "PACKAGE", root.resolve())
    importlib.import_module("pack.training.views")
    yield root
    for name in [name for name in sys.modules if name.split(".")[0] == "pack"]:
        del sys.modules[name]


@pytest.fixture
def task_hash(package):
    """The hash of the code of `training/task.py`."""
    # its imports are read, not run
    spec = importlib.util.spec_from_file_location("pack.training.task", package / "training" / "task.py")
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)

    def found():
        cache.imported_by.cache_clear()
        return code_hash(spec.name)

    return found


@pytest.mark.parametrize(
    "changed",
    [
        "training/task.py",
        "core/maps/shapes.py",
        "core/colours.py",  # imported by an imported one
        "core/maps/__init__.py",
        "core/maps/late.py",  # imported inside a function
        "training/views.py",  # imported for its types alone
    ],
)
def test_the_code_s_hash_changes_with_any_module_that_it_imports(package, task_hash, changed):
    before = task_hash()
    assert task_hash() == before
    path = package / changed
    path.write_text(path.read_text() + "\n# changed\n")
    assert task_hash() != before


@pytest.mark.parametrize("changed", ["core/other.py", "core/files.py", "training/loop/cache.py"])
def test_it_stays_for_modules_that_are_not_imported_and_for_the_machinery(package, task_hash, changed):
    before = task_hash()
    path = package / changed
    path.write_text(path.read_text() + "\n# changed\n")
    assert task_hash() == before


def test_it_follows_the_imports_of_the_project_itself():
    """Modules of which a change has once gone unnoticed."""
    from finesse.training.data import map_shards
    from finesse.training.factors import made_samples

    def named(module):
        return {path.relative_to(cache.PACKAGE).as_posix() for path in cache.sources(module.__name__)}

    assert {"training/data/skeletons.py", "core/maps/palettes.py"} <= named(map_shards)
    assert {"core/maps/conversion.py", "core/maps/recall.py"} <= named(made_samples)
