"""COCO's labels and keypoints come to the right names and the right pixels."""

from __future__ import annotations

import json

import msgspec
import numpy as np
import pytest
from finesse.core.maps.palettes import COCO_STUFF
from finesse.training.data.map_sources import Person, Square, coco_pictures, pose, segmentation, stuff_labels
from PIL import Image

# Pixels of stuffthingmaps: COCO-Stuff's published ids less one.
PUBLISHED = {
    **{0: "person", 1: "bicycle", 17: "dog", 23: "zebra", 58: "pizza", 89: "toothbrush", 91: "banner"},
    **{123: "grass", 148: "road", 154: "sea", 156: "sky-other", 168: "tree", 181: "wood", 255: "unlabeled"},
}
LEFT_SHOULDER, RIGHT_SHOULDER, LEFT_EYE, RIGHT_ANKLE = 5, 6, 1, 16  # COCO's numbers


def person(body=None, face=None, left=None):
    def listed(count, seen):
        numbers = np.zeros((count, 3))
        for index, place in (seen or {}).items():
            numbers[index] = (*place, 2)
        return msgspec.Raw(json.dumps(numbers.ravel().tolist()).encode())

    return Person(7, listed(17, body), listed(68, face), listed(21, left), listed(21, None))


@pytest.mark.parametrize(("pixel", "label"), PUBLISHED.items())
def test_a_pixel_is_the_label_that_coco_stuff_publishes(pixel, label):
    assert COCO_STUFF.labels[int(stuff_labels(np.array([[pixel]], np.uint8))[0, 0])] == label


@pytest.mark.parametrize("pixel", [182, 200, 254])
def test_a_pixel_of_no_label_is_refused(pixel):
    with pytest.raises(ValueError, match=f"it has the label {pixel}; labels are 0 to 181 and 255"):
        stuff_labels(np.array([[0, pixel, 255]], np.uint8))


@pytest.mark.parametrize("size", [(640, 480), (333, 500), (48, 48), (61, 60)])
def test_the_square_is_whole_central_and_as_large_as_can_be(size):
    square = Square.of(*size, 64)
    assert square.side == min(size)
    assert 0 <= (size[0] - square.side) - 2 * square.left <= 1
    assert 0 <= (size[1] - square.side) - 2 * square.top <= 1
    assert square.place(square.left, square.top) == (0, 0)
    assert square.place(square.left + square.side, square.top + square.side) == (64, 64)


def test_segmentation_is_painted_and_no_labels_are_mixed(tmp_path):
    labels = np.full((60, 90), 255, np.uint8)
    labels[:, 15:45], labels[30:, 45:75] = 17, 123  # the square is columns 15 to 75
    Image.fromarray(labels).save(tmp_path / "1.png")
    painted = np.asarray(segmentation(tmp_path / "1.png", (90, 60), Square.of(90, 60, 32)))

    names = np.array(COCO_STUFF.labels)[COCO_STUFF.decode(painted)]
    assert (COCO_STUFF.encode(COCO_STUFF.decode(painted)) == painted).all()
    assert (names[:, :16] == "dog").all()
    assert (names[16:, 16:] == "grass").all()
    assert (names[:16, 16:] == "unlabeled").all()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:50]), r"1.png: \w+"),
        (lambda path: path.write_bytes(b"<html>"), "1.png: UnidentifiedImageError"),
        (lambda path: Image.new("L", (8, 6)).save(path), r"1.png is L \(8, 6\), not 8 bits per pixel"),
        (lambda path: Image.new("RGB", (90, 60)).save(path), "1.png is RGB"),
        (lambda path: Image.new("L", (90, 60), 190).save(path), "1.png: it has the label 190"),
    ],
)
def test_damaged_labels_are_named(tmp_path, spoil, message):
    path = tmp_path / "1.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 90, (60, 90), np.uint8)).save(path)
    spoil(path)
    with pytest.raises(ValueError, match=message):
        segmentation(path, (90, 60), Square.of(90, 60, 32))


def test_keypoints_are_drawn_at_their_pixels_in_openposes_colours():
    # The square is columns 128 to 640, and maps are as large: a place moves 128 to the left.
    square = Square.of(768, 512, 512)
    someone = person(
        {LEFT_SHOULDER: (480, 160), RIGHT_SHOULDER: (320, 160), LEFT_EYE: (416, 40), RIGHT_ANKLE: (240, 480)},
        face={30: (560, 80)},
        left={0: (600, 400)},
    )
    drawn = np.asarray(pose([someone], square))

    assert tuple(drawn[160, 352]) == (85, 255, 0)  # OpenPose's left shoulder, its keypoint 5
    assert tuple(drawn[160, 192]) == (255, 170, 0)  # its right shoulder, 2
    assert tuple(drawn[160, 272]) == (255, 85, 0)  # the neck, 1, half way
    assert tuple(drawn[160, 232]) == (153, 0, 0)  # the limb from the neck to the right shoulder, the first
    assert tuple(drawn[160, 312]) == (153, 51, 0)  # and to the left one
    assert tuple(drawn[40, 288]) == (255, 0, 255)  # the left eye, 15
    assert tuple(drawn[480, 112]) == (0, 170, 255)  # the right ankle, 10
    assert tuple(drawn[80, 432]) == (255, 255, 255)
    assert tuple(drawn[400, 472]) == (0, 0, 255)
    assert not drawn[200:380, :450].any()  # the ankle is alone


def test_without_a_shoulder_there_is_no_neck():
    drawn = np.asarray(pose([person({LEFT_SHOULDER: (20, 20), 0: (40, 40)})], Square.of(64, 64, 64)))
    assert drawn[20, 20].any()
    assert drawn[40, 40].any()
    assert not drawn[25:36].any()


def test_keypoints_of_another_number_are_refused():
    short = person()
    short.face_kpts = msgspec.Raw(b"[1, 2, 3]")
    with pytest.raises(ValueError, match="3 numbers for 68 keypoints"):
        pose([short], Square.of(64, 64, 64))
    short.face_kpts = msgspec.Raw(b'["a"]')
    with pytest.raises(ValueError, match="its keypoints cannot be read"):
        pose([short], Square.of(64, 64, 64))


def test_files_of_another_kind_are_named(tmp_path):
    other = tmp_path / "other.json"
    other.write_text('{"images": []}')
    with pytest.raises(ValueError, match=r"other.json is no COCO captions file, give captions_...json"):
        coco_pictures(tmp_path, other, [])
    with pytest.raises(ValueError, match=r"none.json is missing"):
        coco_pictures(tmp_path, tmp_path / "none.json", [])
    captions = tmp_path / "captions.json"
    captions.write_text('{"images": [], "annotations": []}')
    with pytest.raises(ValueError, match=r"other.json is no COCO coco_wholebody file"):
        coco_pictures(tmp_path, captions, [], keypoints=other)
    other.write_text('{"annotations": []}')
    with pytest.raises(ValueError, match=r"other.json has nobody in the pictures of .*captions.json"):
        coco_pictures(tmp_path, captions, [], keypoints=other)
