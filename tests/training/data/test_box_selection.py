"""Each rule of SOEDiff's sets drops what was worked out by hand; other files are refused by name."""

from __future__ import annotations

import json

import polars as pl
import pytest
from finesse.training.data import box_selection
from finesse.training.data.box_selection import read_selection, select_coco, select_openimages

A, B = "000000000000000a", "000000000000000b"


@pytest.fixture
def rows(csv_row):
    """Boxes of OpenImages and what becomes of them in the training set."""
    small = (0.5, 0.6, 0.5, 0.5625)
    return [
        (csv_row(B, "/m/dog", *small), "kept"),
        (csv_row(A, "/m/apple", 0.5, 0.53125, 0.25, 0.28125), "kept"),  # both sides 1/32
        (csv_row(A, "/m/dog", *small, "1,1,0,0,0"), "occluded"),
        (csv_row(A, "/m/dog", *small, "0,1,0,0,0"), "truncated"),
        (csv_row(A, "/m/dog", *small, "0,0,1,0,0"), "group"),
        (csv_row(A, "/m/dog", *small, "0,0,0,1,0"), "depiction"),
        (csv_row(A, "/m/dog", *small, "0,0,0,0,1"), "inside"),
        (csv_row(A, "/m/dog", *small, "0,0,0,0,-1"), "unknown_flag"),
        (csv_row(A, "/m/man", *small), "person"),
        (csv_row(A, "/m/eye", *small), "body_part"),
        (csv_row(A, "/m/zebra", *small), "unknown_class"),
        (csv_row(A, "/m/dog", 0.95, 1.05, 0.5, 0.6), "bad_box"),
        (csv_row(A, "/m/dog", -0.05, 0.05, 0.5, 0.6), "bad_box"),
        (csv_row(A, "/m/dog", 0.5, 0.5, 0.5, 0.6), "bad_box"),
        (csv_row(A, "/m/dog", 0.6, 0.5, 0.5, 0.6), "bad_box"),
        (csv_row(A, "/m/dog", "nan", 0.5, 0.5, 0.6), "bad_box"),
        (csv_row(A, "/m/dog", 0.5, 0.625, 0.5, 0.6), "too_large"),  # 1/8 is no training side any more
        (csv_row(A, "/m/dog", 0.5, 0.6, 0.5, 0.66), "too_large"),  # 0.16, by its height
        (csv_row(A, "/m/dog", 0.5, 0.6, 0.5, 0.7), "too_large"),
        (csv_row(A, "/m/dog", 0.5, 0.6, 0.5, 0.53), "too_small"),  # 0.03 is under 1/32
        (csv_row(A, "/m/dog", "here", 0.6, 0.5, 0.56), "unreadable"),
        (csv_row(A, "/m/dog", *small, "no,0,0,0,0"), "unreadable"),
        (csv_row("../../a", "/m/dog", *small), "unreadable"),
        (csv_row("", "/m/dog", *small), "unreadable"),
        (csv_row(A, "", *small), "unreadable"),
        (f"{A},xclick,/m/dog,1,0.5", "unreadable"),  # where a download broke off
    ]


def select(write_openimages, rows, out, split="train", **settings):
    return select_openimages(*write_openimages(rows), out, split, **settings)


def count(names):
    return {name: names.count(name) for name in set(names) - {"kept"}}


def test_each_rule_of_the_training_set_drops_its_rows(write_openimages, rows, tmp_path):
    out = tmp_path / "objects.parquet"
    report = select(write_openimages, [row for row, _ in rows], out)

    assert report["rows"] == len(rows) == 26
    assert report["kept"] == 2
    assert report["dropped"] == count([fate for _, fate in rows])
    assert report["unknown_classes"] == ["/m/zebra"]
    assert read_selection(out) == report
    assert pl.read_parquet(out).rows() == [
        (A, f"{A}.jpg", "apple", 0.5, 0.25, 0.53125, 0.28125),
        (B, f"{B}.jpg", "dog", 0.5, 0.5, 0.6, 0.5625),
    ]


def test_the_test_set_takes_sides_from_an_eighth_to_a_sixth(write_openimages, rows, tmp_path):
    report = select(write_openimages, [row for row, _ in rows], tmp_path / "o.parquet", "test")

    # 0.2 is too large. Too small are the two of the training set, the flat one, and three that their class
    # would have dropped next.
    by_side = {"too_large": 1, "too_small": 6}
    by_class = ("person", "body_part", "unknown_class")
    others = [fate for _, fate in rows if fate not in (*by_side, *by_class, "kept")]
    assert report["kept"] == 2
    assert report["dropped"] == count(others) | by_side
    boxes = pl.read_parquet(tmp_path / "o.parquet").select("right", "bottom").rows()
    assert boxes == [(0.6, 0.66), (0.625, 0.6)]


def test_smallest_is_the_least_shorter_side(write_openimages, rows, tmp_path):
    report = select(write_openimages, [row for row, _ in rows], tmp_path / "o.parquet", smallest=0.02)
    assert (report["kept"], "too_small" in report["dropped"]) == (3, False)


def test_a_selection_is_made_once_until_a_file_a_rule_or_the_code_changes(
    write_openimages, csv_row, tmp_path, monkeypatch
):
    out, rows = tmp_path / "objects.parquet", [csv_row(A, "/m/dog", 0.5, 0.6, 0.5, 0.6)]
    boxes, classes = write_openimages(rows)
    select_openimages(boxes, classes, out, "train")
    made = out.stat().st_mtime_ns
    select_openimages(boxes, classes, out, "train")
    assert out.stat().st_mtime_ns == made
    select_openimages(boxes, classes, out, "train", 1 / 64)
    assert out.stat().st_mtime_ns > made
    boxes, classes = write_openimages(rows * 2)
    assert select_openimages(boxes, classes, out, "train", 1 / 64)["kept"] == 2
    made = out.stat().st_mtime_ns
    monkeypatch.setattr(box_selection, "code_hash", lambda *_: "other")
    select_openimages(boxes, classes, out, "train", 1 / 64)
    assert out.stat().st_mtime_ns > made


def test_the_seventh_versions_class_list_has_a_header(write_openimages, csv_row, tmp_path):
    classes = 'LabelName,DisplayName\n/m/table,"Kitchen & dining, table"\n'
    files = write_openimages([csv_row(A, "/m/table", 0.5, 0.6, 0.5, 0.6)], classes=classes)
    select_openimages(*files, tmp_path / "o.parquet", "train")
    assert pl.read_parquet(tmp_path / "o.parquet")["label"].to_list() == ["kitchen & dining, table"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"header": "ImageID,LabelName,XMin"}, r"boxes.csv lacks the columns YMin, XMax, YMax, IsOccluded"),
        ({"header": "\x00\x01"}, r"boxes.csv lacks the columns"),
        ({"classes": "dog\napple\n"}, r"classes.csv is no list of classes, it begins with \('dog',\)"),
        ({"classes": "name,id\ndog,/m/dog\n"}, r"classes.csv is no list of classes"),
        ({"classes": ""}, r"classes.csv cannot be read"),
        ({"rows": []}, r"None of the boxes in boxes.csv, classes.csv holds a small object.*'rows': 0"),
        ({"classes": "/m/other,Dog\n"}, r"None of the boxes.*'unknown_class': 1"),
    ],
)
def test_other_files_are_refused_by_name(write_openimages, csv_row, tmp_path, change, message):
    files = write_openimages(**{"rows": [csv_row(A, "/m/dog", 0.5, 0.6, 0.5, 0.6)], **change})
    with pytest.raises(ValueError, match=message):
        select_openimages(*files, tmp_path / "o.parquet", "train")
    assert not (tmp_path / "o.parquet").exists()


def test_wrong_settings_and_missing_files_are_refused(write_openimages, csv_row, tmp_path):
    boxes, classes = write_openimages([csv_row(A, "/m/dog", 0.5, 0.6, 0.5, 0.6)])
    with pytest.raises(ValueError, match="split is 'val': use one of train, test"):
        select_openimages(boxes, classes, tmp_path / "o.parquet", "val")
    with pytest.raises(ValueError, match=r"smallest is 0.125: give .* below 0.1250"):
        select_openimages(boxes, classes, tmp_path / "o.parquet", "train", 0.125)
    with pytest.raises(ValueError, match=r"none.csv is missing"):
        select_openimages(tmp_path / "none.csv", classes, tmp_path / "o.parquet", "train")
    with pytest.raises(ValueError, match=r"o.parquet is missing: run the step select"):
        read_selection(tmp_path / "o.parquet")
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "o.parquet")
    with pytest.raises(ValueError, match=r"o.parquet was not written by the step select"):
        read_selection(tmp_path / "o.parquet")
    (tmp_path / "o.parquet").write_bytes(b"PAR1")
    with pytest.raises(ValueError, match=r"o.parquet cannot be read"):
        read_selection(tmp_path / "o.parquet")


@pytest.fixture
def coco():
    """Annotations in a picture of 640 x 480 pixels and what becomes of them in the training set."""
    fates = [
        ([320, 240, 64, 48], 1, 18, 0, "kept"),  # 0.1 of both sides
        ([320, 240, 20, 48], 1, 18, 0, "kept"),  # 1/32 of the width
        ([320, 240, 80, 48], 1, 18, 0, "too_large"),  # 1/8 of the width
        ([320, 240, 64, 60], 1, 18, 0, "too_large"),  # 1/8 of the height
        ([320, 240, 19, 48], 1, 18, 0, "too_small"),
        ([320, 240, 64, 48], 1, 1, 0, "person"),
        ([320, 240, 64, 48], 1, 18, 1, "crowd"),
        ([0.5, 240, 64, 48], 1, 18, 0, "truncated"),  # a box that touches the border
        ([320, 432, 64, 48], 1, 18, 0, "truncated"),
        ([600, 240, 64, 48], 1, 18, 0, "bad_box"),
        ([320, 240, 0, 48], 1, 18, 0, "bad_box"),
        ([320, 240, 64, 48], 7, 18, 0, "unknown_image"),
        ([320, 240, 64, 48], 1, 99, 0, "unknown_class"),
    ]
    annotations = [
        {
            "id": index,
            "bbox": box,
            "image_id": image,
            "category_id": category,
            "iscrowd": crowd,
            "segmentation": [],
        }
        for index, (box, image, category, crowd, _) in enumerate(fates)
    ]
    images = [{"id": 1, "file_name": "000000000001.jpg", "width": 640, "height": 480, "license": 3}]
    categories = [{"id": 1, "name": "person"}, {"id": 18, "name": "Dog"}]
    file = {"info": {}, "images": images, "annotations": annotations, "categories": categories}
    return file, [fate for *_, fate in fates]


def test_each_rule_of_coco_drops_its_annotations(coco, tmp_path):
    file, fates = coco
    (tmp_path / "instances.json").write_text(json.dumps(file))
    report = select_coco(tmp_path / "instances.json", tmp_path / "o.parquet", "train")

    assert (report["rows"], report["kept"]) == (13, 2)
    assert report["dropped"] == count(fates)
    assert report["unknown_classes"] == ["99"]
    assert pl.read_parquet(tmp_path / "o.parquet").rows() == [
        ("1", "000000000001.jpg", "dog", 0.5, 0.5, 340 / 640, 0.6),
        ("1", "000000000001.jpg", "dog", 0.5, 0.5, 0.6, 0.6),
    ]


def test_cocos_test_set(coco, tmp_path):
    (tmp_path / "instances.json").write_text(json.dumps(coco[0]))
    report = select_coco(tmp_path / "instances.json", tmp_path / "o.parquet", "test")
    assert report["kept"] == 2
    assert pl.read_parquet(tmp_path / "o.parquet")["right"].to_list() == [0.6, 0.625]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda file: file.pop("categories"),
            r"instances.json is no COCO .* missing required field `categories`",
        ),
        (lambda file: file["annotations"][3].pop("iscrowd"), r"`iscrowd` - at `\$.annotations\[3\]`"),
        (lambda file: file["annotations"][2].update(bbox=[1, 2, 3]), r"`\$.annotations\[2\].bbox`"),
        (lambda file: file["images"][0].update(file_name="../a.jpg"), r"`\$.images\[0\].file_name`"),
        (lambda file: file["images"][0].update(file_name="/a.jpg"), r"`\$.images\[0\].file_name`"),
        (lambda file: file["images"][0].update(width=0), r"`\$.images\[0\].width`"),
        (lambda file: file["annotations"].clear(), r"None of the boxes in instances.json"),
    ],
)
def test_another_json_is_refused_by_name_and_place(coco, tmp_path, spoil, message):
    spoil(coco[0])
    (tmp_path / "instances.json").write_text(json.dumps(coco[0]))
    with pytest.raises(ValueError, match=message):
        select_coco(tmp_path / "instances.json", tmp_path / "o.parquet", "train")


@pytest.mark.parametrize("text", ["", "{", "not json"])
def test_a_broken_json_is_refused(tmp_path, text):
    (tmp_path / "instances.json").write_text(text)
    with pytest.raises(ValueError, match=r"instances.json is no COCO instances file"):
        select_coco(tmp_path / "instances.json", tmp_path / "o.parquet", "train")
