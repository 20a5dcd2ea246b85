"""What ComfyUI's registry gets: the archive of the pack, and what pyproject.toml tells about it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from finesse.tests.test_house import HEAVY

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = {"core", "example_workflows", "locales", "nodes", "subgraphs", "web"}
FILES = {"LICENSE", "README.md", "__init__.py", "comfy-test.toml", "pyproject.toml", "requirements.txt"}
MOST_BYTES = 8 * 2**20
WEIGHTS = {".bin", ".ckpt", ".gguf", ".onnx", ".pt", ".pth", ".safetensors"}
ACCELERATORS = {"GPU :: NVIDIA CUDA", "GPU :: AMD ROCm", "GPU :: Intel Arc", "NPU :: Huawei Ascend"}
SYSTEMS = ("OS Independent", "Microsoft", "POSIX", "MacOS")
SVG = "{http://www.w3.org/2000/svg}svg"


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


def listed(*arguments):
    """Files of the checkout that are or could be committed, as git lists them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", *arguments]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {Path(name) for name in out.split("\0") if name and (ROOT / name).exists()}


@pytest.fixture(scope="module")
def checkout():
    return listed("--exclude-standard")


@pytest.fixture(scope="module")
def archive(checkout):
    """What `comfy node pack` takes: git's files without those that .comfyignore names."""
    return checkout - listed("--ignored", "--exclude-from=.comfyignore")


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


# The archive


def test_it_holds_what_a_user_needs_and_nothing_else(checkout, archive):
    assert {path.parts[0] for path in archive} == FOLDERS | FILES
    assert {path for path in checkout if path.parts[0] in FOLDERS | FILES} == archive


@pytest.mark.parametrize(
    "pattern",
    [
        *("web/finesse.js", "web/editor.html", "web/*/*.js", "web/*/*.css", "web/docs/*.md"),
        *("locales/*/*.json", "subgraphs/*.json", "example_workflows/*.json", "example_workflows/*.jpg"),
        *("nodes/*.py", "core/*.py"),
    ],
)
def test_it_holds_every_kind_of_file_that_comfyui_reads(archive, pattern):
    found = {path.relative_to(ROOT) for path in ROOT.glob(pattern)}
    assert found
    assert found <= archive


def test_it_is_small_and_holds_no_weights(archive):
    assert not [path for path in archive if path.suffix in WEIGHTS]
    assert sum((ROOT / path).stat().st_size for path in archive) < MOST_BYTES


def test_every_system_can_unpack_and_read_it(archive):
    for path in archive:
        assert re.fullmatch(r"[\w.,() -]+(/[\w.,() -]+)*", str(path.as_posix()), re.ASCII), path
        if path.suffix == ".py":
            (ROOT / path).read_text("utf-8").encode("cp1252")
    assert len({str(path).lower() for path in archive}) == len(archive)


def test_it_does_nothing_that_the_registry_bans(archive):
    """exec, eval, and several statements in a line, as `comfy node validate` looks for them."""
    files = [str(path) for path in archive if path.suffix == ".py"]
    ruff = Path(sys.executable).with_name("ruff")
    command = [ruff, "check", "--isolated", "--select", "S102,S307,E702", *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_pages_do_not_know_the_packs_folder(archive):
    """The registry installs it into a folder of the project's name, a clone may have any."""
    for path in archive:
        if path.parts[0] == "web" and path.suffix in {".js", ".html", ".css", ".md"}:
            assert "extensions/ComfyUI-Finesse" not in (ROOT / path).read_text("utf-8"), path


def test_comfyui_loads_it_by_itself_and_soon(archive, tmp_path, measured):
    pack = tmp_path / "custom_nodes" / "comfyui-finesse"
    for path in archive:
        (pack / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, pack / path)
    arguments = ["--cpu", "--base-directory", str(tmp_path), "--disable-api-nodes"]
    done = subprocess.run(
        [sys.executable, "-c", LOAD_PACK.replace("PACK", repr(str(pack))), *arguments],
        env=os.environ | {"PYTHONPATH": os.environ["COMFYUI_PATH"]},  # without the checkout
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    measured(f"loading the pack in ComfyUI: {found['seconds']:.3f} s")

    assert found["loaded"]
    assert found["seconds"] < 0.5
    assert not HEAVY & set(found["added"])
    assert {f"{name}.md" for name in found["nodes"]} == {
        path.name for path in (pack / "web/docs").glob("*.md")
    }


# What is told about it


def test_the_registry_takes_what_it_is_told(project):
    told, comfy = project["project"], project["tool"]["comfy"]
    assert re.fullmatch(r"[a-z]+([._-][a-z0-9]+)*", told["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", told["version"])
    assert told["description"]
    assert told["license"] == {"text": "GPL-3.0-or-later"}
    assert comfy["PublisherId"]
    assert comfy["DisplayName"] == "Finesse"
    assert re.fullmatch(r">=\d+\.\d+\.\d+", comfy["requires-comfyui"])
    assert "web" not in comfy  # beside WEB_DIRECTORY it would register the scripts twice


def test_the_registry_knows_the_classifiers(project):
    kinds = [classifier.partition(" :: ")[::2] for classifier in project["project"]["classifiers"]]
    assert {kind for kind, _ in kinds} == {"Environment", "Operating System"}
    for kind, value in kinds:
        assert value in ACCELERATORS if kind == "Environment" else value.startswith(SYSTEMS)


def test_addresses_are_whole(project):
    comfy, urls = project["tool"]["comfy"], project["project"].get("urls", {})
    given = [*urls.values(), *filter(None, (comfy["Icon"], comfy["Banner"]))]
    assert all(address.startswith("https://") for address in given)
    assert not given or "Repository" in urls


@pytest.mark.parametrize(("name", "size"), [("icon", (400, 400)), ("banner", (1260, 540))])
def test_the_pictures_have_the_registrys_shape(name, size):
    """A square of at most 400 pixels, and 21:9."""
    path = ROOT / "docs" / f"{name}.svg"
    picture = ElementTree.parse(path).getroot()
    assert picture.tag == SVG
    assert picture.get("viewBox") == "0 0 {} {}".format(*size)
    assert path.stat().st_size < 4096
