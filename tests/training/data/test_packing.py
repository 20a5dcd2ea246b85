"""Shards hold what was selected, survive a kill and bad pictures, and are read by many workers at once."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from io import BytesIO

import polars as pl
import pytest
import torch
import webdataset
from finesse.training.data import packing
from finesse.training.data.colours import rows_digest
from finesse.training.data.packing import pack
from finesse.training.data.samples import read_shard, shards
from PIL import Image

KILLED = """
import sys, time
from pathlib import Path
from finesse.training.data import packing
original = packing.decode
def slow(jpg):
    time.sleep(0.2)
    return original(jpg)
packing.decode = slow
packing.pack(*map(Path, sys.argv[1:]), per_shard=3, workers=1)
"""


def make(small_set, **settings):
    return pack(
        small_set.selection,
        small_set.images,
        small_set.colours,
        small_set.folder,
        **{"per_shard": 3, "workers": 2, **settings},
    )


def read(small_set):
    return [sample for path in shards(small_set.folder / "train") for sample in read_shard(path)]


def tars(small_set):
    return {path.name: path.read_bytes() for path in small_set.folder.glob("*.tar")}


@pytest.fixture
def coloured(small_set):
    """The set, its objects answered: blue, "plaid", unanswered, blue, ... in the selection's order."""
    answers = [("Blue", "plaid", None)[index % 3] for index in range(22)]
    causes = {"model": "oracle", "rows": rows_digest(pl.scan_parquet(small_set.selection), 0)}
    small_set.colours.mkdir()
    (small_set.colours / "000000.json").write_text(json.dumps({"causes": causes, "answers": answers}))
    return small_set


def test_a_sample_a_picture_with_its_objects(coloured):
    report = make(coloured)
    samples = read(coloured)

    assert sorted(tars(coloured)) == [f"train-00000{index}.tar" for index in range(4)]
    assert [sample.record.id for sample in samples] == [f"{index:016x}" for index in range(11)]
    for sample in samples:
        assert sample.jpg == (coloured.images / f"{sample.record.id}.jpg").read_bytes()
        assert (sample.record.source, sample.record.width, sample.record.height) == ("openimages", 64, 48)
    things = [thing for sample in samples for thing in sample.record.objects]
    assert [thing.colour for thing in things] == [("blue", None, None)[index % 3] for index in range(22)]
    assert {thing.label for thing in things} == {"dog", "apple", "traffic light"}
    assert [thing.box for thing in things if thing.label == "dog"] == [(0.1, 0.1, 0.2, 0.2)] * 11
    assert report == json.loads((coloured.folder / "train.json").read_text())
    assert report["objects"] == 22
    assert report["colours"] == {"model": "oracle", "known": 8, "no_colour": 7, "not_asked": 7}
    assert [shard["samples"] for shard in report["shards"]] == [3, 3, 3, 2]
    assert [shard["objects"] for shard in report["shards"]] == [6, 6, 6, 4]
    assert report["boxes"] == {"rows": 22, "kept": 22, "dropped": {}, "unknown_classes": []}
    assert report["rules"] == {"longer_side": [0.0, 0.125], "shorter_side": 1 / 32}


def test_other_code_makes_the_shards_again(small_set, monkeypatch):
    make(small_set)
    times = {path: path.stat().st_mtime_ns for path in small_set.folder.glob("*.tar")}
    make(small_set)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    monkeypatch.setattr(packing, "code_hash", lambda *_: "other")
    make(small_set)
    assert all(path.stat().st_mtime_ns != time for path, time in times.items())


def test_without_the_step_colours_there_are_none(small_set):
    report = make(small_set)
    assert report["colours"] == {"model": None, "not_asked": 22}
    assert {thing.colour for sample in read(small_set) for thing in sample.record.objects} == {None}


def test_bad_pictures_are_counted_and_named(small_set):
    paths = sorted(small_set.images.iterdir())
    paths[0].unlink()
    paths[4].write_bytes(paths[4].read_bytes()[:-300])
    paths[5].write_bytes(b"<html>not found</html>")
    paths[6].write_bytes(b"")
    report = make(small_set)

    assert report["pictures"]["missing"] == {"count": 1, "first": [f"{0:016x}.jpg"]}
    assert report["pictures"]["damaged"]["count"] == 3
    named = report["pictures"]["damaged"]["first"]
    assert [name.split(":")[0] for name in named] == [f"{index:016x}.jpg" for index in (4, 5, 6)]
    assert report["pictures"]["kept"] == 7
    assert [sample.record.id for sample in read(small_set)] == [f"{i:016x}" for i in (1, 2, 3, 7, 8, 9, 10)]
    # Of the ten that are there the second three, 4 to 6, are all damaged: a shard of none is not written.
    assert sorted(tars(small_set)) == ["train-000000.tar", "train-000002.tar", "train-000003.tar"]


def test_a_mended_picture_comes_in_and_only_its_shards_are_made_again(small_set, monkeypatch):
    paths = sorted(small_set.images.iterdir())
    good = paths[10].read_bytes()
    paths[10].write_bytes(good[:-300])
    make(small_set)
    paths[10].write_bytes(good)
    decoded = []
    original = packing.decode
    monkeypatch.setattr(packing, "decode", lambda jpg: decoded.append(jpg) or original(jpg))
    report = make(small_set, workers=1)

    assert decoded == [paths[9].read_bytes(), good]
    assert report["pictures"]["damaged"] == {"count": 0, "first": []}
    assert len(read(small_set)) == 11


def test_a_run_that_was_killed_goes_on_and_gives_the_same_files(small_set):
    make(small_set)
    whole = tars(small_set)
    for path in [*small_set.folder.glob("*.tar"), small_set.folder / "train.json"]:
        path.unlink()
    shutil.rmtree(small_set.selection.parent / "shards")
    arguments = [small_set.selection, small_set.images, small_set.colours, small_set.folder]
    run = subprocess.Popen([sys.executable, "-c", KILLED, *map(str, arguments)])
    while run.poll() is None and not (small_set.selection.parent / "shards" / "000001.json").exists():
        time.sleep(0.01)
    time.sleep(0.3)  # in the middle of the third shard
    os.kill(run.pid, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    left = tars(small_set)
    stamps = {name: (small_set.folder / name).stat().st_mtime_ns for name in left}

    assert sorted(left) == ["train-000000.tar", "train-000001.tar"]
    assert list(small_set.folder.glob(".train-000002.tar.*.tmp"))
    assert not (small_set.folder / "train.json").exists()
    report = make(small_set)
    assert tars(small_set) == whole
    assert {name: (small_set.folder / name).stat().st_mtime_ns for name in left} == stamps
    assert not list(small_set.folder.glob(".*.tmp"))
    assert report["pictures"]["kept"] == 11


def test_other_colours_or_sizes_make_new_shards_and_leave_none_behind(small_set):
    make(small_set, per_shard=2)
    assert len(tars(small_set)) == 6
    (small_set.folder / "train-000099.tar").touch()
    (small_set.folder / "test-000099.tar").touch()
    make(small_set, per_shard=6)
    assert sorted(tars(small_set)) == ["test-000099.tar", "train-000000.tar", "train-000001.tar"]
    assert [sample.record.id for sample in read(small_set)] == [f"{index:016x}" for index in range(11)]


def test_a_shard_cut_short_is_made_again(small_set):
    make(small_set)
    whole = tars(small_set)
    (small_set.folder / "train-000001.tar").write_bytes(whole["train-000001.tar"][:2000])
    (small_set.selection.parent / "shards" / "000002.json").write_text("{")
    make(small_set)
    assert tars(small_set) == whole


def test_openimages_archives_unpack_into_folders_by_the_first_digit(small_set):
    (small_set.images / "train_0").mkdir()
    for path in sorted(small_set.images.glob("*.jpg"))[:6]:
        path.rename(small_set.images / "train_0" / path.name)
    assert make(small_set)["pictures"]["kept"] == 11


def test_a_wrong_folder_and_wrong_settings_are_refused(small_set, tmp_path):
    make(small_set)
    report = (small_set.folder / "train.json").read_bytes()
    images, small_set.images = small_set.images, tmp_path / "elsewhere"
    with pytest.raises(
        ValueError, match=r"elsewhere has none .* 11 are missing, 0 damaged, for example 0{16}.jpg"
    ):
        make(small_set)
    assert (small_set.folder / "train.json").read_bytes() == report
    small_set.images = images
    with pytest.raises(ValueError, match="per_shard is 0"):
        make(small_set, per_shard=0)
    small_set.selection.unlink()
    with pytest.raises(ValueError, match="run the step select first"):
        make(small_set)


def test_webdataset_reads_the_shards_by_two_workers_without_overlap(coloured):
    make(coloured)
    dataset = webdataset.WebDataset(
        [str(path) for path in shards(coloured.folder / "train")],
        shardshuffle=False,
        workersplitter=webdataset.split_by_worker,
    ).map(
        lambda sample: (
            sample["__key__"],
            sample["jpg"],
            sample["json"],
            torch.utils.data.get_worker_info().id,
        )
    )
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=None, num_workers=2, multiprocessing_context="fork"
    )
    found = list(loader)

    assert Counter(key for key, *_ in found) == Counter(f"{index:016x}" for index in range(11))
    assert Counter(worker for *_, worker in found) == {0: 6, 1: 5}
    records = {sample.record.id: sample.record for sample in read(coloured)}
    for key, jpg, text, _ in found:
        record = json.loads(text)
        assert Image.open(BytesIO(jpg)).size == (record["width"], record["height"]) == (64, 48)
        assert record["id"] == key
        assert record["objects"] == [
            {"label": thing.label, "box": list(thing.box), "colour": thing.colour}
            for thing in records[key].objects
        ]
