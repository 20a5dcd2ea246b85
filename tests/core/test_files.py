import hashlib
import json
import os
import stat
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
import torch
from finesse.core import files

WRITE_FOREVER = """
import sys, torch
from finesse.core import files
generation = 0
while True:
    value = torch.full((2_000_000,), float(generation))
    files.write_tensors(sys.argv[1], {"first": value, "second": value.clone()})
    generation += 1
    print(generation, flush=True)
"""

DIE_BEFORE_RENAME = """
import os, sys, torch
from finesse.core import files
os.fsync = lambda descriptor: os._exit(9)
files.write_tensors(sys.argv[1], {"x": torch.ones(3)})
"""


def python(script: str, *arguments: str) -> subprocess.Popen:
    package_parent = str(Path(files.__file__).absolute().parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([package_parent, *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], env=environment, stdout=subprocess.PIPE, text=True
    )


def test_tensors_and_metadata_come_back_as_written(tmp_path):
    tensors = {"half": torch.randn(2, 3).half(), "whole": torch.arange(4), "scalar": torch.tensor(1.5)}
    files.write_tensors(tmp_path / "new" / "a.safetensors", tensors, {"finesse.kind": "factor"})
    read, metadata = files.read_tensors(tmp_path / "new" / "a.safetensors")
    assert metadata == {"finesse.kind": "factor"}
    assert read.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_transposed_and_trained_tensors_are_written(tmp_path):
    weight = torch.randn(3, 2, requires_grad=True)
    files.write_tensors(tmp_path / "a.safetensors", {"w": weight.T})
    read, metadata = files.read_tensors(tmp_path / "a.safetensors")
    assert torch.equal(read["w"], weight.detach().T)
    assert metadata == {}


def test_metadata_that_is_no_string_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"'rank' .* is 4: give a string"):
        files.write_tensors(tmp_path / "a.safetensors", {}, {"rank": 4})
    assert not list(tmp_path.iterdir())


def test_a_kill_while_writing_leaves_a_whole_file(tmp_path):
    target = tmp_path / "a.safetensors"
    writer = python(WRITE_FOREVER, str(target))
    for _ in range(3):
        writer.stdout.readline()
    time.sleep(0.013)
    writer.kill()
    writer.communicate()
    tensors, _ = files.read_tensors(target)
    assert torch.equal(tensors["first"], tensors["second"])
    assert tensors["first"].unique().numel() == 1


def test_a_death_before_the_rename_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.safetensors"
    files.write_tensors(target, {"x": torch.zeros(3)})
    before = target.read_bytes()
    assert python(DIE_BEFORE_RENAME, str(target)).wait() == 9
    assert target.read_bytes() == before
    assert [p.suffix for p in tmp_path.iterdir() if p != target] == [".tmp"]


def test_an_error_while_writing_leaves_the_old_file_alone(tmp_path):
    target = tmp_path / "a.txt"
    files.write_text(target, "old")
    with pytest.raises(AttributeError), files.replacing(target) as temporary:
        temporary.write_text("half").stop()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_written_files_have_ordinary_permissions(tmp_path):
    (tmp_path / "ordinary").touch()
    files.write_text(tmp_path / "a.txt", "text")
    files.write_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(1)})
    assert len({stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}) == 1


@pytest.mark.parametrize("kept", [0, 5, 20, -1])
def test_a_cut_file_is_named(tmp_path, kept):
    target = tmp_path / "cut.safetensors"
    files.write_tensors(target, {"x": torch.zeros(100)})
    target.write_bytes(target.read_bytes()[:kept])
    with pytest.raises(
        ValueError, match=r"cut\.safetensors is cut short or damaged \(\d+ bytes\): copy or download"
    ):
        files.read_tensors(target)


@pytest.mark.parametrize(
    "content", [b"\x80\x02pickle, or so", b"version https://git-lfs", b"\x04" + b"\0" * 7 + b"nope"]
)
def test_another_format_is_named(tmp_path, content):
    target = tmp_path / "model.safetensors"
    target.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.safetensors is not a safetensors file"):
        files.read_tensors(target)


@pytest.mark.parametrize("read", [files.read_tensors, files.read_json])
def test_a_missing_file_and_its_folder_are_named(tmp_path, read):
    with pytest.raises(ValueError, match=rf"gone\.x is missing in .*{tmp_path.name}"):
        read(tmp_path / "gone.x")
    with pytest.raises(ValueError, match="is missing in"):
        read(tmp_path)


def test_json_comes_back_and_names_its_errors(tmp_path):
    target = tmp_path / "results.json"
    files.write_json(target, {"metrics": {"a.b": 1.5}, "name": "ü"})
    assert files.read_json(target) == {"metrics": {"a.b": 1.5}, "name": "ü"}
    assert b"\r" not in target.read_bytes()
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(target, {"loss": float("nan")})
    assert json.loads(target.read_text(encoding="utf-8"))["name"] == "ü"
    target.write_text('{"half": ')
    with pytest.raises(ValueError, match=r"results\.json is not a JSON file"):
        files.read_json(target)


@pytest.mark.parametrize(
    "name", ["a.safetensors", "sub/a.safetensors", "sub\\a.safetensors", "..a", "a..b", "./a"]
)
def test_a_name_inside_is_resolved(tmp_path, name):
    path = files.confined(name, tmp_path)
    assert path.is_relative_to(tmp_path.resolve())
    assert path.name == name.replace("\\", "/").split("/")[-1]


@pytest.mark.parametrize(
    "name",
    [
        "../a",
        "..\\a",
        "sub/../../a",
        "sub/..",
        "..",
        "sub\\..\\..\\a",
        "/etc/passwd",
        "//host/share/a",
        "\\\\host\\share\\a",
        "\\a",
        "C:\\a",
        "C:a",
        "c:/a",
        "\\\\?\\C:\\a",
    ],
)
def test_a_name_that_leads_out_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=r"leads out of .* give a name relative"):
        files.confined(name, tmp_path)


@pytest.mark.parametrize("name", ["", ".", "./", "a\0b"])
def test_an_empty_name_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match="is no file name: give the name of a file in"):
        files.confined(name, tmp_path)


def test_a_link_that_leads_out_is_refused(tmp_path):
    folder, outside = tmp_path / "models", tmp_path / "models-secret"
    for directory in (folder, outside):
        directory.mkdir()
        (directory / "a.txt").touch()
    (folder / "inner").symlink_to(folder / "a.txt")
    (folder / "out").symlink_to(outside, target_is_directory=True)
    (folder / "file").symlink_to(outside / "a.txt")
    assert files.confined("inner", folder) == (folder / "a.txt").resolve()
    for name in ("out/a.txt", "file", "out/not-yet"):
        with pytest.raises(ValueError, match="is a link from"):
            files.confined(name, folder)


def test_a_folder_that_is_a_link_itself_is_fine(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert files.confined("a", tmp_path / "link") == (tmp_path / "real" / "a").resolve()


def test_the_hash_of_files_sees_every_file_and_holds_none_in_memory(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1" * (40 << 20))
    second.write_bytes(b"2")
    tracemalloc.start()
    before = files.file_hash(first, second)
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()
    assert before == hashlib.sha256(first.read_bytes() + b"2").hexdigest()
    second.write_bytes(b"3")
    assert files.file_hash(first, second) != before
