"""A shard gives back what was written, leaves out what is damaged by name, and prompts read as English."""

from __future__ import annotations

import io
import tarfile

import pytest
from finesse.training.data.ahead import ahead
from finesse.training.data.samples import (
    Sample,
    SampleRecord,
    SmallObject,
    prompts,
    read_shard,
    shards,
    write_shard,
)
from PIL import Image


def sample(name, size=(8, 6), colour=(200, 30, 30)):
    picture, file = Image.new("RGB", size, colour), io.BytesIO()
    picture.save(file, "jpeg")
    thing = SmallObject("dog", (0.25, 0.5, 0.375, 0.625), "red")
    return Sample(SampleRecord("coco", name, *size, (thing,)), file.getvalue(), picture)


@pytest.mark.parametrize(
    ("label", "colour", "expected"),
    [
        ("dog", "brown", ["a dog", "a brown dog"]),
        ("dog", None, ["a dog"]),
        ("apple", "orange", ["an apple", "an orange apple"]),
        ("orange", "green", ["an orange", "a green orange"]),
        ("umbrella", "black", ["an umbrella", "a black umbrella"]),
        ("unicycle", None, ["a unicycle"]),
        ("ukulele", None, ["a ukulele"]),
        ("hourglass", None, ["an hourglass"]),
        ("horse", None, ["a horse"]),
        ("oven", None, ["an oven"]),
        ("traffic light", "red", ["a traffic light", "a red traffic light"]),
    ],
)
def test_prompts(label, colour, expected):
    assert prompts(SmallObject(label, (0, 0, 1, 1), colour)) == expected


def test_a_shard_gives_back_what_was_written(tmp_path):
    written = [sample("a1"), sample("a2", (5, 9))]
    assert write_shard(tmp_path / "s.tar", iter(written)) == 2
    read = list(read_shard(tmp_path / "s.tar"))

    assert [s.record for s in read] == [s.record for s in written]
    assert [s.jpg for s in read] == [s.jpg for s in written]
    assert [(s.picture.size, s.picture.mode) for s in read] == [((8, 6), "RGB"), ((5, 9), "RGB")]
    write_shard(tmp_path / "again.tar", iter(written))
    assert (tmp_path / "again.tar").read_bytes() == (tmp_path / "s.tar").read_bytes()


def test_damaged_samples_are_left_out_by_name(tmp_path):
    good = sample("good")
    text = b'{"source":"coco","id":"x","width":8,"height":6,"objects":[]}'
    members = {
        "a.jpg": good.jpg,
        "b.json": text,
        "c.jpg": good.jpg[:-200],
        "c.json": text,
        "d.jpg": good.jpg,
        "d.json": text[:-9],
        "e.jpg": good.jpg,
        "e.json": text.replace(b"8", b"9"),
        "f.jpg": good.jpg,
        "f.json": text,
    }
    with tarfile.open(tmp_path / "s.tar", "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    damaged = []

    assert [s.jpg for s in read_shard(tmp_path / "s.tar", damaged)] == [good.jpg]
    assert [what.split(":")[:2] for what in damaged] == [["s.tar", f" {key}"] for key in "abcde"]
    for what, reason in zip(damaged, ("no json", "no jpg", "Truncated", "truncated", "(9, 6)"), strict=True):
        assert reason in what


@pytest.mark.parametrize("kept", [512, 1536, 3000, 5000])
def test_a_shard_cut_short_gives_its_whole_samples_and_says_so(tmp_path, kept):
    path = tmp_path / "s.tar"
    write_shard(path, [sample("a"), sample("b"), sample("c")])
    whole = {s.record.id for s in read_shard(path)}
    path.write_bytes(path.read_bytes()[:kept])
    damaged = []
    read = {s.record.id for s in read_shard(path, damaged)}

    assert whole == {"a", "b", "c"}
    assert read < whole
    assert len(damaged) in (1, 2)  # the rest, and a sample that lost its record
    assert "the rest of the file" in damaged[-1]


def test_a_damaged_header_in_the_middle_is_noticed(tmp_path):
    path = tmp_path / "s.tar"
    write_shard(path, [sample("a"), sample("b")])
    with tarfile.open(path) as tar:
        offset = tar.getmember("b.jpg").offset
    data = bytearray(path.read_bytes())
    data[offset : offset + 100] = b"\xff" * 100
    path.write_bytes(data)
    damaged = []

    assert [s.record.id for s in read_shard(path, damaged)] == ["a"]
    assert damaged == ["s.tar: the rest of the file: it is cut short or damaged; pack it again"]


def test_missing_shards_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"none.tar is missing: pack the shards"):
        next(read_shard(tmp_path / "none.tar"))
    with pytest.raises(ValueError, match=r"data: there is no .*train.json"):
        shards(tmp_path / "train")
    (tmp_path / "train.json").write_text('{"shards": [{"file": "train-000000.tar"}]}')
    with pytest.raises(ValueError, match=r"lacks train-000000.tar"):
        shards(tmp_path / "train")
    (tmp_path / "train-000000.tar").touch()
    assert shards(tmp_path / "train") == [tmp_path / "train-000000.tar"]


def test_work_ahead_is_in_order_and_bounded():
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    results = ahead(lambda item: item * 2, items(), workers=3)
    assert next(results) == 0
    assert len(taken) == 4
    assert list(results) == list(range(2, 200, 2))


def test_an_error_in_work_ahead_is_raised_in_its_turn():
    results = ahead(lambda item: 10 // item, [5, 2, 0, 1], workers=2)
    assert [next(results), next(results)] == [2, 5]
    with pytest.raises(ZeroDivisionError):
        next(results)
