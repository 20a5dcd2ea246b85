"""*Boxes from Mask* in this process, on ComfyUI's own modules and with its own nodes' boxes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from finesse.core.small_objects.boxes import Box, LabelledBox, parse_boxes
from finesse.tests.nodes.maps.running import run
from finesse.tests.nodes.stand_ins import WordCLIP

FIRST, SECOND, THIRD = Box(40, 5, 10, 8), Box(4, 30, 12, 12), Box(30, 33, 6, 6)
DETECTED = [{"x": 4.2, "y": 29.8, "width": 12.3, "height": 11.7, "score": 0.9}]


def image(pictures=1):
    return torch.rand(pictures, 48, 64, 3)


def mask(*boxes):
    painted = torch.zeros(1, 48, 64)
    for box in boxes:
        painted[box.index] = 1
    return painted


MASK = mask(SECOND, THIRD, FIRST)


@pytest.fixture(scope="module")
def boxes_from(comfy):
    from finesse.nodes.small_objects.boxes_from_mask import BoxesFromMask

    def make(pictures=1, **inputs):
        return run(BoxesFromMask, image=image(pictures), **inputs)

    return make


def read(found, pictures=1):
    return parse_boxes(found.boxes, 64, 48, pictures=pictures)


# From masks


def test_the_parts_of_a_mask_become_boxes_as_one_reads_them(boxes_from):
    found = boxes_from(mask=MASK, texts="a dog\na cat")
    assert read(found) == [
        LabelledBox(FIRST, "a dog"),
        LabelledBox(SECOND, "a cat"),
        LabelledBox(THIRD, "a cat"),
    ]
    assert found.count == 3
    assert found.report.splitlines() == [
        "box 1: 10×8 px at (40, 5): a dog",
        "box 2: 12×12 px at (4, 30): a cat",
        "box 3: 6×6 px at (30, 33): a cat",
        "texts has 2 lines, fewer than boxes (3): the last is repeated.",
    ]
    assert found.ui["text"] == (found.report,)


def test_settings_leave_out_join_widen_and_sort(boxes_from):
    def found(**inputs):
        return [item.box for item in read(boxes_from(mask=MASK, **inputs))]

    assert found(minimal_size=7) == [FIRST, SECOND]
    assert found(merge_distance=14) == [FIRST, SECOND, THIRD]
    assert found(merge_distance=15) == [FIRST, Box(4, 30, 32, 12)]
    assert found(margin=6) == [Box(34, 0, 22, 19), Box(0, 24, 22, 24), Box(24, 27, 18, 18)]
    assert found(order="largest first") == [SECOND, FIRST, THIRD]
    assert found(split=False) == [Box(4, 5, 46, 37)]


def test_the_report_tells_what_was_left_out_joined_and_not_used(boxes_from):
    report = boxes_from(mask=MASK, minimal_size=7, merge_distance=25, texts="a dog\na cat\na car").report
    assert report.splitlines()[-3:] == [
        "Left out as smaller than minimal_size: 1.",
        "Joined by merge_distance: 2 became 1.",
        "texts has 3 lines, more than boxes (1): the last are not used.",
    ]


def test_a_pixel_counts_from_the_threshold_up(boxes_from):
    grey = 0.4 * mask(FIRST) + 0.5 * mask(SECOND) + 0.01 * mask(THIRD)
    found = [boxes_from(mask=grey, threshold=level).count for level in (0.5, 0.51 - 0.01, 0.4, 0.0)]
    assert found == [1, 1, 2, 3]


def test_all_masks_of_one_picture_are_its_own(boxes_from):
    several = torch.cat([mask(SECOND), mask(THIRD, FIRST), mask()])
    assert [item.box for item in read(boxes_from(mask=several))] == [FIRST, SECOND, THIRD]
    whole = [item.box for item in read(boxes_from(mask=several, split=False, order="as found"))]
    assert whole == [SECOND, Box(30, 5, 20, 34)]


def test_a_batch_has_a_mask_for_all_or_for_each(boxes_from):
    shared = boxes_from(3, mask=MASK)
    assert [(item.box, item.picture) for item in read(shared, 3)] == [
        (box, None) for box in (FIRST, SECOND, THIRD)
    ]
    each = torch.cat([mask(THIRD, FIRST), mask(), mask(SECOND)])
    found = boxes_from(3, mask=each, texts="a dog\na cat")
    assert [(item.box, item.picture, item.text) for item in read(found, 3)] == [
        (FIRST, 0, "a dog"),
        (THIRD, 0, "a cat"),
        (SECOND, 2, "a dog"),
    ]
    assert found.count == 3
    assert "box 1 of picture 3: 12×12 px at (4, 30): a dog" in found.report


def test_masks_of_other_kinds_are_read(boxes_from):
    for kind in (torch.bool, torch.uint8, torch.float16):
        assert boxes_from(mask=MASK.to(kind)).boxes == boxes_from(mask=MASK).boxes
    assert boxes_from(mask=MASK[0]).boxes == boxes_from(mask=MASK).boxes


# From boxes


def test_boxes_of_a_detector_are_clipped_and_tidied_up(boxes_from):
    detected = [*DETECTED, {"x": -3.0, "y": 0.4, "width": 9.0, "height": 8.0, "score": 0.8}]
    found = read(boxes_from(boxes=[detected], texts="a face"))
    assert found == [LabelledBox(Box(0, 0, 6, 8), "a face"), LabelledBox(Box(4, 30, 12, 12), "a face")]


def test_a_detectors_boxes_of_a_batch_stay_in_their_pictures(boxes_from):
    found = boxes_from(2, boxes=[[], DETECTED])
    assert [(item.box, item.picture) for item in read(found, 2)] == [(SECOND, 1)]


def test_both_outputs_of_create_bounding_boxes_are_read_and_elements_keep_their_texts(boxes_from):
    from comfy_extras.nodes_bounding_boxes import CreateBoundingBoxes

    drawn = [LabelledBox(box, text).to_dict() for box, text in ((SECOND, "a dog"), (FIRST, ""))]
    _, bboxes, elements = CreateBoundingBoxes.execute(64, 48, drawn).args
    for boxes, text in ((bboxes, ""), (elements, "a dog")):
        found = read(boxes_from(boxes=boxes))
        assert [item.text for item in found] == ["", text]
        for item, box in zip(found, (FIRST, SECOND), strict=True):
            assert max(abs(np.subtract([*item.box.to_dict().values()], [*box.to_dict().values()]))) <= 1


def test_the_boxes_fit_cores_own_nodes(boxes_from):
    from comfy_extras.nodes_bounding_boxes import CreateBoundingBoxes
    from comfy_extras.nodes_rtdetr import DrawBBoxes

    boxes = boxes_from(mask=MASK, texts="a dog\n-").boxes
    elements = CreateBoundingBoxes.execute(64, 48, bboxes=boxes).args[2]
    assert [element["desc"] for element in elements] == ["a dog", "", ""]
    assert DrawBBoxes.execute(boxes, image()).args[0].shape == image().shape


def test_the_boxes_link_to_inpaint_small_box(boxes_from, inpaint):
    boxes = boxes_from(mask=MASK, texts="a dog\n-").boxes
    positive, _, _, region, *_ = inpaint(image(), boxes=boxes, clip=WordCLIP())
    assert [values.get("text") for _, values in positive] == [None, "a dog"]
    assert region.boxes == tuple(box.snap(8) for box in (FIRST, SECOND, THIRD))


# The picture


def test_a_server_is_given_the_pictures_with_numbered_boxes(comfy):
    from finesse.nodes.small_objects.numbered_boxes import COLOURS, numbered_boxes

    drawn = np.asarray(numbered_boxes(torch.zeros(48, 64, 3), [FIRST, SECOND]))
    assert drawn.shape == (288, 384, 3)
    for box, colour in zip((FIRST, SECOND), COLOURS, strict=False):
        shown = (drawn == np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)])).all(-1)
        rows, columns = np.flatnonzero(shown.any(1)), np.flatnonzero(shown.any(0))
        assert (columns[0], rows[0]) == (6 * box.x, 6 * box.y)
        assert (columns[-1] + 1, rows[-1] + 1) == (6 * box.right, 6 * box.bottom)
    large = numbered_boxes(torch.zeros(3000, 4096, 4), [Box(9, 9, 1, 1)])
    assert large.size == (1024, 750)


# What is refused


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({}, "mask and boxes are not linked; link one of them"),
        ({"mask": MASK, "boxes": [DETECTED]}, "mask and boxes are both linked; link one of them"),
        (
            {"mask": torch.zeros(1, 64, 64)},
            "mask is 64×64 px but image is 64×48 px; scale .* mask of Load Image",
        ),
        ({"mask": mask()}, r"mask has no pixel of 0\.5 or more, the brightest is 0; paint it, or lower"),
        ({"mask": mask()[:0]}, "mask has no pixel of .* the brightest is none"),
        ({"mask": MASK * 0.3}, r"mask has no pixel .* the brightest is 0\.3;"),
        (
            {"mask": MASK, "minimal_size": 13},
            "mask has no part of 13 px or more: the largest of 3 is 12×12 px",
        ),
        ({"mask": MASK.repeat(2, 1, 1), "pictures": 3}, "mask has 2 masks but image has 3 pictures; give"),
        ({"boxes": [[]]}, r"boxes is empty: \[\[\]\]; draw .* lower a detector's threshold"),
        ({"boxes": [DETECTED, DETECTED]}, "boxes holds boxes for 2 pictures, but image is one picture"),
        ({"boxes": [{**DETECTED[0], "x": 64}, DETECTED[0]]}, "box 1 lies outside the image"),
        ({"boxes": "boxes"}, "boxes must be a list of boxes, got 'boxes'"),
    ],
)
def test_what_is_wrong_is_named(boxes_from, inputs, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        boxes_from(**inputs)


def test_more_boxes_than_one_can_want_are_refused(comfy):
    from finesse.nodes.small_objects.boxes_from_mask import BoxesFromMask

    dots = torch.zeros(1, 80, 80)
    dots[:, ::2, ::2] = 1
    inputs = {"image": torch.zeros(1, 80, 80, 3), "mask": dots, "minimal_size": 1}
    with pytest.raises(
        ValueError, match="mask gives 1600 boxes in a picture, more than 1000; raise minimal_size from 1"
    ):
        run(BoxesFromMask, **inputs)
    assert run(BoxesFromMask, **inputs, merge_distance=2).count == 1
