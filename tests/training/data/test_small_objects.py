"""The three steps from the command line make a COCO set; what is missing on the line is named."""

from __future__ import annotations

import json

import numpy as np
import pytest
from finesse.training.data import small_objects
from finesse.training.data.samples import read_shard, shards
from PIL import Image


@pytest.fixture
def run(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["small_objects", *map(str, arguments)])
        small_objects.main()

    return run


def test_the_steps_make_a_set_of_coco(run, tmp_path, blip_folder):
    images = tmp_path / "images"
    images.mkdir()
    random = np.random.default_rng(0)
    names = [f"{index:012d}.jpg" for index in (9, 12)]
    for name in names:
        Image.fromarray(random.integers(0, 255, (60, 80, 3), np.uint8)).save(images / name)
    annotations = [
        {"image_id": image, "category_id": 3, "bbox": [20, 20, 12, 6], "iscrowd": 0} for image in (9, 12, 12)
    ]
    pictures = [
        {"id": image, "file_name": name, "width": 80, "height": 60}
        for image, name in zip((9, 12), names, strict=True)
    ]
    instances = {"images": pictures, "annotations": annotations, "categories": [{"id": 3, "name": "Dog"}]}
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    common = ["--split", "test", "--folder", tmp_path / "set"]
    run("--step", "select", "--source", "coco", "--instances", tmp_path / "instances.json", *common)
    run("--step", "colours", "--images", images, "--model", blip_folder, *common)
    run("--step", "pack", "--images", images, "--per_shard", "1", *common)

    paths = shards(tmp_path / "set" / "test")
    assert [path.name for path in paths] == ["test-000000.tar", "test-000001.tar"]
    records = [sample.record for path in paths for sample in read_shard(path)]
    assert [(record.source, record.id, len(record.objects)) for record in records] == [
        ("coco", "12", 2),
        ("coco", "9", 1),
    ]
    assert records[1].objects[0].label == "dog"
    assert records[1].objects[0].box == (0.25, 20 / 60, 0.4, 26 / 60)
    report = json.loads((tmp_path / "set" / "test.json").read_text())
    assert report["colours"].pop("model") == "tiny-vqa"
    assert sum(report["colours"].values()) == 3
    assert "not_asked" not in report["colours"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "step: got ''; use one of select, colours, pack"),
        (["--step", "select", "--source", "lvis"], "source: got 'lvis'; use one of openimages, coco"),
        (["--step", "pack", "--split", "val"], "split: got 'val'; use one of train, test"),
        (["--step", "select"], "step select on openimages needs --boxes and --classes"),
        (["--step", "select", "--source", "coco"], "step select on coco needs --instances"),
        (["--step", "colours", "--images", "x"], "needs --model"),
        (["--step", "pack"], "needs --images"),
    ],
)
def test_what_is_missing_on_the_line_is_named(run, arguments, message):
    with pytest.raises(ValueError, match=message):
        run(*arguments)
