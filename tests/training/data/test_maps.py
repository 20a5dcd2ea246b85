"""A small COCO becomes shards of pictures with maps, once, past what is damaged, and they are read again."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import webdataset
from finesse.core.maps.palettes import COCO_STUFF
from finesse.training.data import map_shards, maps
from finesse.training.data.map_estimators import DepthModel, normals, sketches
from finesse.training.data.map_samples import MapSample, read_maps, write_maps
from finesse.training.data.map_shards import MapRecipe, finish, make_shards
from finesse.training.data.map_sources import coco_pictures
from finesse.training.data.samples import shards
from finesse.training.data.shard_set import ShardSet
from PIL import Image

CONDITIONS = ("segmentation", "pose", "depth", "normal", "sketch")
DOG, GRASS = 17, 123
IDS = (9, 12, 34, 77, 139)
BLUE = (20, 40, 230)


def write_json(path, value):
    path.write_text(json.dumps(value))
    return path


@pytest.fixture
def coco(tmp_path):
    """Five pictures, 120 x 80 and 80 x 120: grass, a blue dog to the right of the middle, a nose in it."""
    images, stuff = tmp_path / "images", tmp_path / "stuff"
    images.mkdir()
    stuff.mkdir()
    listed, captions, people = [], [], []
    for index, number in enumerate(IDS):
        width, height = ((120, 80), (80, 120))[index % 2]
        x, y = width // 2 + 5, height // 2 - 10
        pixels = np.full((height, width, 3), (90, 160 + 10 * index, 60), np.uint8)
        pixels[y : y + 20, x : x + 20] = BLUE
        Image.fromarray(pixels).save(images / f"{number:012d}.jpg", quality=98, subsampling=0)
        labels = np.full((height, width), GRASS, np.uint8)
        labels[y : y + 20, x : x + 20] = DOG
        Image.fromarray(labels).save(stuff / f"{number:012d}.png")
        listed.append({"id": number, "file_name": f"{number:012d}.jpg", "width": width, "height": height})
        texts = [f"A dog,  view {view}.\n" for view in range(5)]
        captions += [{"image_id": number, "caption": text, "id": 0} for text in texts]
        if number != 34:
            body = [x + 10, y + 10, 2] + [0] * 48
            hands = {"lefthand_kpts": [0] * 63, "righthand_kpts": [0] * 63}
            people.append(
                {"image_id": number, "keypoints": body, "face_kpts": [0] * 204, "foot_kpts": [], **hands}
            )
    return SimpleNamespace(
        images=images,
        stuff=stuff,
        captions=write_json(tmp_path / "captions.json", {"images": listed[::-1], "annotations": captions}),
        keypoints=write_json(tmp_path / "wholebody.json", {"annotations": people}),
        output=tmp_path / "set",
    )


@pytest.fixture(scope="module")
def depth_model(dpt_folder):
    return DepthModel(dpt_folder, torch.device("cpu"))


def make(coco, recipe, missing=None, report=True, **settings):
    missing = [] if missing is None else missing
    files = {"stuff": coco.stuff, "keypoints": coco.keypoints}
    pictures = coco_pictures(coco.images, coco.captions, missing, **files)
    target = ShardSet(coco.output, "train", coco.output / "train" / "shards")
    made = make_shards(pictures, recipe, target, per_shard=2, **settings)
    return finish(made, missing, recipe, target) if report else made


@pytest.fixture
def recipe():
    """Maps without a model."""
    return MapRecipe(("segmentation", "pose", "sketch"), 64, None, torch.device("cpu"), 2, workers=2)


def tars(coco):
    return {path.name: path.read_bytes() for path in coco.output.glob("*.tar")}


def read(coco, conditions):
    return [sample for path in shards(coco.output / "train") for sample in read_maps(path, conditions)]


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["maps", *map(str, arguments)])
    maps.main()


def test_the_script_makes_all_maps_of_one_crop(coco, dpt_folder, depth_model, monkeypatch):
    run(
        monkeypatch,
        *("--images", coco.images, "--captions", coco.captions, "--stuff", coco.stuff),
        *("--keypoints", coco.keypoints, "--depth_model", dpt_folder, "--output", coco.output),
        *("--resolution", "64", "--per_shard", "2", "--workers", "2", "--batch_size", "3"),
    )
    report = json.loads((coco.output / "train.json").read_text())
    assert report == {
        "source": "coco",
        "conditions": list(CONDITIONS),
        "palette": "coco-stuff",
        "resolution": 64,
        "depth_model": "tiny-dpt",
        "pictures": {
            "kept": 5,
            "missing": {"count": 0, "first": []},
            "damaged": {"count": 0, "first": []},
        },
        "shards": [{"file": f"train-00000{i}.tar", "samples": n} for i, n in enumerate((2, 2, 1))],
    }
    samples = read(coco, CONDITIONS)
    assert [sample.id for sample in samples] == [str(number) for number in IDS]
    for sample in samples:
        assert sample.captions == tuple(f"A dog, view {view}." for view in range(5))
        assert sample.source == "coco"
        assert list(sample.maps) == list(CONDITIONS)
        assert {picture.size for picture in (sample.picture, *sample.maps.values())} == {(64, 64)}
        assert {picture.mode for picture in sample.maps.values()} == {"RGB"}
        found = {name: np.asarray(picture) for name, picture in sample.maps.items()}
        dog = COCO_STUFF.decode(found["segmentation"]) == COCO_STUFF.index("dog")
        rows, columns = np.nonzero(dog)
        # An 80-pixel square at 64: 20 pixels are 16, 5 to the right of the middle are 4.
        assert (columns.min(), columns.max(), rows.min(), rows.max()) == (36, 51, 24, 39)
        blue = np.abs(np.asarray(sample.picture, int) - BLUE).sum(-1) < 90
        assert (blue == dog)[2:-2, 2:-2].mean() > 0.97
        seen = found["pose"].any(-1)
        assert bool(seen.any()) == (sample.id != "34")
        if sample.id != "34":
            assert found["pose"][31:33, 43:45].any()
            assert not (seen & ~dog).any()
        grey = found["depth"][..., 0]
        assert (grey.min(), grey.max()) == (0, 255)
        near = torch.tensor(grey / np.float32(255))[None]
        assert np.abs(normals(near)[0].permute(1, 2, 0).numpy() * 255 - found["normal"]).mean() < 2
        exact = torch.tensor(np.array(sample.picture)).permute(2, 0, 1)[None] / 255
        assert np.abs(sketches(exact)[0].numpy() * 255 - found["sketch"][..., 0]).mean() < 3
        assert found["sketch"][30, 34:38].max() > 100  # the dog's outline


def test_webdataset_reads_the_shards(coco, recipe):
    make(coco, recipe)
    dataset = webdataset.WebDataset([str(path) for path in shards(coco.output / "train")], shardshuffle=False)
    found = {sample["__key__"]: sample for sample in dataset}

    assert list(found) == [str(number) for number in IDS]
    for sample, mine in zip(found.values(), read(coco, recipe.conditions), strict=True):
        assert {"jpg", "json", "segmentation.png", "pose.png", "sketch.png"} <= sample.keys()
        record = json.loads(sample["json"])
        assert record == {
            "source": "coco",
            "id": mine.id,
            "width": 64,
            "height": 64,
            "captions": list(mine.captions),
        }
        picture = Image.open(BytesIO(sample["segmentation.png"]))
        assert (np.asarray(picture) == np.asarray(mine.maps["segmentation"])).all()


def test_missing_and_damaged_files_are_named_and_left_out(coco, recipe):
    (coco.images / f"{9:012d}.jpg").unlink()
    (coco.stuff / f"{12:012d}.png").unlink()
    broken = coco.images / f"{34:012d}.jpg"
    broken.write_bytes(broken.read_bytes()[:-300])
    Image.new("L", (8, 8)).save(coco.stuff / f"{77:012d}.png")
    report = make(coco, recipe)

    assert report["pictures"]["missing"] == {"count": 2, "first": [f"{9:012d}.jpg", f"{12:012d}.png"]}
    assert report["pictures"]["damaged"]["count"] == 2
    first, second = report["pictures"]["damaged"]["first"]
    assert first.startswith(f"{34:012d}.jpg: OSError")
    assert second.startswith(f"{77:012d}.jpg: {77:012d}.png is L (8, 8)")
    assert report["pictures"]["kept"] == 1
    assert [sample.id for sample in read(coco, recipe.conditions)] == ["139"]
    assert sorted(tars(coco)) == ["train-000001.tar"]  # a shard of none is not written


def test_pictures_without_captions_or_of_another_size_are_named(coco, recipe):
    listed = json.loads(coco.captions.read_text())
    listed["annotations"] = [entry for entry in listed["annotations"] if entry["image_id"] != 12]
    listed["images"][0]["width"] -= 1  # the last picture's
    write_json(coco.captions, listed)
    report = make(coco, recipe)
    assert report["pictures"]["missing"]["first"] == [f"{12:012d}.jpg: a caption"]
    assert report["pictures"]["damaged"]["first"] == [
        f"{139:012d}.jpg: it is (120, 80), but its annotations are for (119, 80)"
    ]


def test_only_what_changed_is_made_again(coco, recipe, monkeypatch):
    make(coco, recipe)
    whole, drawn, original = tars(coco), [], map_shards.decode
    monkeypatch.setattr(map_shards, "decode", lambda data: drawn.append(data) or original(data))

    def again(**settings):
        drawn.clear()
        make(coco, settings.get("recipe", recipe))
        return len(drawn)

    assert again() == 0
    (coco.output / "train-000001.tar").unlink()
    assert again() == 2
    assert tars(coco) == whole
    image, other = (coco.images / f"{number:012d}.jpg" for number in (139, 9))
    image.write_bytes(other.read_bytes())
    assert again() == 1
    changed = tars(coco)
    assert {name for name in whole if changed[name] != whole[name]} == {"train-000002.tar"}
    people = json.loads(coco.keypoints.read_text())
    people["annotations"][0]["keypoints"][0] += 1
    write_json(coco.keypoints, people)
    assert again() == 2
    labels = coco.stuff / f"{34:012d}.png"
    Image.new("L", (120, 80), 5).save(labels)
    assert again() == 2
    assert again(recipe=replace(recipe, resolution=72)) == 5


def test_a_run_that_stopped_goes_on_and_gives_the_same_files(coco, recipe, monkeypatch):
    make(coco, recipe)
    whole = tars(coco)
    for path in [*coco.output.glob("*.tar"), coco.output / "train.json"]:
        path.unlink()
    original = map_shards.pack_maps

    def stops(sample):
        if sample.id == "77":
            raise KeyboardInterrupt
        return original(sample)

    monkeypatch.setattr(map_shards, "pack_maps", stops)
    with pytest.raises(KeyboardInterrupt):
        make(coco, recipe)
    assert [path.name for path in coco.output.iterdir() if path.is_file()] == ["train-000000.tar"]
    monkeypatch.setattr(map_shards, "pack_maps", original)
    make(coco, recipe)
    assert tars(coco) == whole


def test_processes_share_the_shards_and_the_first_finds_them_made(coco, recipe, monkeypatch):
    first = make(coco, recipe, report=False, process=0, processes=2)
    second = make(coco, recipe, report=False, process=1, processes=2)
    assert [shard["file"] for shard in first] == ["train-000000.tar", "train-000002.tar"]
    assert [shard["file"] for shard in second] == ["train-000001.tar"]
    monkeypatch.setattr(map_shards, "decode", None)
    assert make(coco, recipe)["pictures"]["kept"] == 5


def test_how_many_work_at_once_does_not_show(coco, recipe, depth_model):
    recipe = replace(recipe, conditions=CONDITIONS, depth_model=depth_model)
    make(coco, recipe)
    samples = read(coco, CONDITIONS)
    for path in coco.output.glob("*.tar"):
        path.unlink()
    make(coco, replace(recipe, batch_size=1, workers=1))
    for one, other in zip(samples, read(coco, CONDITIONS), strict=True):
        for condition in CONDITIONS:
            difference = np.asarray(one.maps[condition], int) - np.asarray(other.maps[condition])
            assert np.abs(difference).max() <= 2


def test_a_written_sample_is_read_again_and_lacks_are_named(tmp_path):
    red, blue = Image.new("RGB", (16, 24), (200, 0, 0)), Image.new("RGB", (16, 24), (0, 0, 200))
    whole = MapSample("a", ("one", "two"), red, {"depth": Image.new("L", (16, 24), 7), "pose": blue}, "made")
    lacking = MapSample("b", (), red, {"depth": blue}, "made")
    small = MapSample("c", (), red, {"depth": blue, "pose": Image.new("RGB", (8, 8))}, "made")
    assert write_maps(tmp_path / "s.tar", [whole, lacking, small]) == 3
    damaged = []
    (found,) = read_maps(tmp_path / "s.tar", ["pose", "depth"], damaged)

    assert (found.id, found.captions, found.source) == ("a", ("one", "two"), "made")
    assert np.abs(np.asarray(found.picture, int) - (200, 0, 0)).max() <= 3
    assert found.maps["pose"].getpixel((3, 3)) == (0, 0, 200)
    assert found.maps["depth"].getpixel((3, 3)) == (7, 7, 7)
    assert damaged == [
        "s.tar: b: there is no pose.png",
        "s.tar: c: pose.png is (8, 8), but the record says (16, 24)",
    ]
    assert [sample.id for sample in read_maps(tmp_path / "s.tar", ["depth"])] == ["a", "b", "c"]


def test_wrong_folders_and_settings_are_refused(coco, recipe, tmp_path):
    coco.images = tmp_path / "elsewhere"
    with pytest.raises(ValueError, match=r"make maps of: 5 are missing, 0 damaged, for example 0{11}9.jpg"):
        make(coco, recipe)
    with pytest.raises(ValueError, match="workers is 0: give at least 1"):
        make(coco, replace(recipe, workers=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conditions", "depth,hed"], "conditions: got 'depth,hed'; use some of segmentation, pose"),
        (["--conditions", ""], "conditions: got ''"),
        (["--conditions", "pose"], "pose: give --images and --captions and --output and --keypoints"),
        (
            ["--images", "a", "--captions", "b", "--output", "c", "--conditions", "depth,normal"],
            "depth, normal: give --depth_model",
        ),
        (
            ["--images", "a", "--captions", "b", "--output", "c", "--conditions=sketch", "--resolution=50"],
            "resolution: got 50; use a multiple of 8 from 64",
        ),
    ],
)
def test_what_is_wrong_on_the_line_is_named(monkeypatch, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        run(monkeypatch, *arguments)
