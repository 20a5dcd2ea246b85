"""Boxes of masks' parts: found, joined, ordered and given texts."""

import random
import time

import numpy as np
import pytest
import torch
from finesse.core.small_objects.boxes import Box, LabelledBox
from finesse.core.small_objects.mask_parts import (
    boxes_of_parts,
    joined,
    lines_of,
    ordered,
    with_texts,
    without_specks,
)
from scipy import ndimage


def labelled(*boxes):
    return [LabelledBox(Box(*box)) for box in boxes]


def numbers(boxes, found):
    """What `found` holds, as places in `boxes`."""
    return [boxes.index(item) for item in found]


def scattered(rng, count, side, largest):
    return labelled(
        *(
            (rng.randrange(side), rng.randrange(side), rng.randint(1, largest), rng.randint(1, largest))
            for _ in range(count)
        )
    )


# Parts


@pytest.mark.parametrize("seed", range(8))
def test_the_boxes_are_those_of_scipys_parts(seed):
    rng = np.random.default_rng(seed)
    mask = np.zeros((90, 70), bool)
    mask[10:80, 5:60] = ndimage.binary_dilation(rng.random((70, 55)) > 0.97, iterations=seed % 3 or 1)
    parts, count = ndimage.label(mask, np.ones((3, 3)))
    expected = [
        Box(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)
        for rows, columns in ndimage.find_objects(parts)
    ]
    found = boxes_of_parts(torch.from_numpy(mask))
    assert count > 5
    assert sorted(map(str, found)) == sorted(map(str, expected))


def test_a_mask_as_a_whole_has_one_box_and_an_empty_one_none():
    mask = torch.zeros(20, 30, dtype=torch.bool)
    assert boxes_of_parts(mask) == boxes_of_parts(mask, split=False) == []
    mask[3, 4] = mask[15, 22] = True
    assert boxes_of_parts(mask) == [Box(4, 3, 1, 1), Box(22, 15, 1, 1)]
    assert boxes_of_parts(mask, split=False) == [Box(4, 3, 19, 13)]


def test_specks_are_small_in_both_directions():
    boxes = labelled((0, 0, 3, 3), (9, 0, 4, 1), (20, 0, 1, 4), (30, 0, 4, 4))
    assert without_specks(boxes, 4) == boxes[1:]
    assert without_specks(boxes, 1) == boxes


# Joining


def gap(a, b):
    across = max(a.x, b.x) - min(a.right, b.right)
    down = max(a.y, b.y) - min(a.bottom, b.bottom)
    return max(across, down, 0)


def joined_one_by_one(boxes, distance):
    """The same, box after box."""
    boxes = [item.box for item in boxes]
    while True:
        near = [
            (i, j)
            for i in range(len(boxes))
            for j in range(i + 1, len(boxes))
            if gap(boxes[i], boxes[j]) < distance
        ]
        if not near:
            return boxes
        i, j = near[0]
        a, b = boxes[i], boxes.pop(j)
        x, y = min(a.x, b.x), min(a.y, b.y)
        boxes[i] = Box(x, y, max(a.right, b.right) - x, max(a.bottom, b.bottom) - y)


@pytest.mark.parametrize("distance", [0, 1, 2, 7, 30])
def test_joining_is_that_of_pairs_until_none_is_near(distance):
    rng = random.Random(distance)
    for _ in range(30):
        boxes = scattered(rng, rng.randint(1, 20), 150, 20)
        found = [item.box for item in joined(boxes, distance)]
        assert set(found) == set(joined_one_by_one(boxes, distance))


def test_distance_counts_the_pixels_between():
    apart, corner = labelled((0, 0, 4, 4), (6, 0, 4, 4)), labelled((0, 0, 4, 4), (4, 4, 2, 2))
    assert joined(apart, 2) == apart
    assert joined(apart, 3) == labelled((0, 0, 10, 4))
    assert joined(corner, 0) == corner
    assert joined(corner, 1) == labelled((0, 0, 6, 6))


def test_a_joined_box_keeps_texts_and_the_first_seed():
    boxes = [
        LabelledBox(Box(0, 0, 4, 4), "a dog"),
        LabelledBox(Box(40, 0, 4, 4), "a sign"),
        LabelledBox(Box(5, 0, 4, 4), "a cat", 7),
        LabelledBox(Box(10, 0, 4, 4), "a dog", 8),
    ]
    assert joined(boxes, 3) == [LabelledBox(Box(0, 0, 14, 4), "a dog, a cat", 7), boxes[1]]


# Order


@pytest.mark.parametrize("seed", range(20))
def test_reading_goes_row_by_row_however_the_boxes_stand_in_it(seed):
    """Boxes of 20 to 32 px in rows 40 px apart, their middles up to 4 px off."""
    rng = random.Random(seed)
    boxes = []
    for row in range(5):
        for column in range(rng.randint(1, 6)):
            height, shift = rng.randint(20, 32), rng.randint(-4, 4)
            boxes.append((40 * column + rng.randint(0, 8), 40 * row + shift - height // 2, 20, height))
    expected = labelled(*boxes)
    mixed = rng.sample(expected, len(expected))
    assert ordered(mixed, "reading") == expected


def test_a_staircase_does_not_become_one_row():
    stairs = labelled(*((30 * (9 - step), 8 * step, 20, 20) for step in range(10)))
    rows = ordered(stairs, "reading")
    assert rows[0] in stairs[1:3]
    assert rows[-1] in stairs[7:]


def test_a_tall_box_does_not_draw_two_rows_together():
    rows = labelled((40, 0, 10, 10), (60, 1, 10, 10), (40, 50, 10, 10), (60, 49, 10, 10))
    tall = labelled((0, 0, 20, 60))
    assert ordered([*tall, *rows], "reading") == [*rows[:2], *tall, *rows[2:]]


def test_other_orders():
    boxes = labelled((0, 0, 2, 2), (5, 50, 9, 9), (5, 5, 3, 3))
    assert ordered(boxes, "as found") == boxes
    assert numbers(boxes, ordered(boxes, "largest first")) == [1, 2, 0]


# Texts


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("", ["own", "", ""]),
        (" \n\n", ["own", "", ""]),
        ("a face", ["a face"] * 3),
        ("a dog\na cat", ["a dog", "a cat", "a cat"]),
        ("a dog \r\n  a cat\na sign\na car\n", ["a dog", "a cat", "a sign"]),
        ("a dog\n-", ["a dog", "", ""]),
        ("-\na cat", ["own", "a cat", "a cat"]),
        ("\n\na sign", ["own", "", "a sign"]),
    ],
)
def test_the_last_line_holds_for_the_boxes_that_remain(texts, expected):
    boxes = [LabelledBox(Box(0, 0, 9, 9), "own"), *labelled((9, 0, 9, 9), (18, 0, 9, 9))]
    assert [item.text for item in with_texts(boxes, lines_of(texts))] == expected


# Time


def test_hundreds_of_boxes_in_a_large_picture_are_found_soon(measured):
    rng = random.Random(0)
    mask = torch.zeros(2048, 2048, dtype=torch.bool)
    for item in scattered(rng, 200, 2000, 48):
        mask[item.box.index[1:]] = True
    start = time.process_time()
    boxes = [LabelledBox(box) for box in boxes_of_parts(mask)]
    found = ordered(joined(boxes, 8), "reading")
    seconds = time.process_time() - start
    measured(f"{len(found)} boxes of {len(boxes)} parts of a mask of 2048×2048 px: {seconds:.2f} s")
    assert len(boxes) > 150
    assert seconds < 2
