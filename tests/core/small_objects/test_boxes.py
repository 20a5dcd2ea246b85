import json
import math
import random
from pathlib import Path

import pytest
from finesse.core.small_objects.boxes import (
    Box,
    Grid,
    LabelledBox,
    describe_effective_area,
    effective_area,
    grade_effective_area,
    parse_boxes,
    union,
)
from finesse.core.small_objects.region import plan_edit

SD15 = Grid(8, levels=4)
GRADES = Path(__file__).parents[2] / "web" / "box_grades.json"  # the page's tests read it, too


def random_box(rng, limit=200):
    return Box(rng.randint(-40, limit), rng.randint(-40, limit), rng.randint(1, limit), rng.randint(1, limit))


def contains(outer, inner):
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and outer.right >= inner.right
        and outer.bottom >= inner.bottom
    )


def test_dict_round_trip():
    value = {"x": 3, "y": -4, "width": 5, "height": 6}
    assert Box.from_dict(value).to_dict() == value


def test_from_dict_rounds_to_whole_pixels():
    assert Box.from_dict({"x": 0.6, "y": 1.4, "width": 2.5001, "height": 3}) == Box(1, 1, 3, 3)
    assert Box.from_dict({"x": 7.3, "y": 2, "width": 0.2, "height": 0.4}) == Box(7, 2, 1, 1)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "None"),
        ([1, 2, 3, 4], r"\[1, 2, 3, 4\]"),
        ({"x": 1, "y": 2, "width": 3}, "width and height"),
        ({"x": math.nan, "y": 0, "width": 3, "height": 3}, "nan.*enter pixels"),
        ({"x": 0, "y": math.inf, "width": 3, "height": 3}, "inf"),
        ({"x": 0, "y": "1", "width": 3, "height": 3}, "finite numbers"),
        ({"x": 0, "y": True, "width": 3, "height": 3}, "finite numbers"),
        ({"x": 7, "y": 8, "width": 0, "height": 3}, r"no area: 0×3 px at \(7, 8\); give it"),
        ({"x": 7, "y": 8, "width": 3, "height": -3}, "no area"),
    ],
)
def test_from_dict_names_what_is_wrong(value, said):
    with pytest.raises(ValueError, match=f"(?s)my_box.*{said}"):
        Box.from_dict(value, "my_box")


def test_clip_keeps_what_is_inside():
    assert Box(-5, 10, 20, 500).clip(64, 48) == Box(0, 10, 15, 38)
    assert Box(-9, -9, 999, 999).clip(1, 1) == Box(0, 0, 1, 1)


@pytest.mark.parametrize("box", [Box(64, 0, 5, 5), Box(-5, 0, 5, 5), Box(0, 48, 5, 5), Box(0, -9, 5, 5)])
def test_clip_outside_names_box_and_image(box):
    with pytest.raises(ValueError, match=r"box lies outside the image: 5×5 px at .*64×48 px; move it inside"):
        box.clip(64, 48)


def test_snap_is_the_smallest_grid_box_around():
    rng = random.Random(0)
    for _ in range(500):
        box, cell = random_box(rng), rng.choice([1, 4, 8, 16])
        snapped = box.snap(cell)
        assert contains(snapped, box)
        assert all(value % cell == 0 for value in snapped.to_dict().values())
        assert box.x - snapped.x < cell
        assert box.y - snapped.y < cell
        assert snapped.right - box.right < cell
        assert snapped.bottom - box.bottom < cell
        assert snapped.snap(cell) == snapped


def test_window_contains_the_box_on_the_grid_inside_the_padded_image():
    rng = random.Random(1)
    for _ in range(2000):
        width, height, cell = rng.randint(1, 300), rng.randint(1, 300), rng.choice([4, 8])
        x, y = rng.randrange(width), rng.randrange(height)
        box = Box(x, y, rng.randint(1, width - x), rng.randint(1, height - y))
        side = rng.choice([0, 1, 8, 64, 100, 999])
        window = box.window(width, height, side, cell)
        assert contains(window, box)
        assert all(value % cell == 0 for value in window.to_dict().values())
        assert window.x >= 0
        assert window.y >= 0
        assert window.right - width < cell
        assert window.bottom - height < cell
        margin = (box.x - window.x, box.y - window.y, window.right - box.right, window.bottom - box.bottom)
        at_frame = (window.x == 0, window.y == 0, window.right >= width, window.bottom >= height)
        assert all(free >= cell or frame for free, frame in zip(margin, at_frame, strict=True))
        if side == 0:
            assert (window.x, window.y) == (0, 0)
            assert window.right >= width
            assert window.bottom >= height
        else:
            assert window.width >= min(side, width)
            assert window.width < max(side, box.width + 2 * cell) + 2 * cell


def test_window_is_a_square_of_the_side_around_the_middle():
    assert Box(240, 240, 32, 32).window(512, 512, 128, 8) == Box(192, 192, 128, 128)


def test_union():
    assert union([Box(1, 2, 3, 4), Box(10, 0, 1, 1)]) == Box(1, 0, 10, 6)


def test_effective_area_of_sd15_at_512():
    assert effective_area(Box(0, 0, 40, 40), SD15) == [(5, 5), (2.5, 2.5), (1.25, 1.25), (0.625, 0.625)]


def test_effective_area_of_the_miniature():
    assert effective_area(Box(0, 0, 8, 16), Grid(4, levels=3)) == [(2, 4), (1, 2), (0.5, 1)]


def test_effective_area_warns_only_under_one_cell():
    def describe(width, height):
        return describe_effective_area(Box(0, 0, width, height), Box(0, 0, width, height), SD15)

    warning = describe(40, 400)
    assert "0.625×6.25" in warning
    assert "Warning" in warning
    assert "64×64 px" in warning
    assert "Warning" not in describe(64, 64)
    assert "Warning" in describe(63, 64)
    assert "from 128 px on" in describe(127, 128)
    assert describe(128, 128).endswith("2×2.")


@pytest.mark.parametrize("case", json.loads(GRADES.read_text("utf-8")))
def test_what_is_edited_and_its_grade_are_what_the_page_shows(case):
    settings = dict(case["settings"])
    grid = Grid(settings.pop("token"), levels=settings.pop("levels"))
    size = case["picture"]["width"], case["picture"]["height"]

    def edited():
        return plan_edit(
            [Box(**case["box"])], ["box"], None, size, grid=grid, context=0, **settings
        ).region.boxes[0]

    if case["edited"] is None:
        with pytest.raises(ValueError, match="lies outside the image"):
            edited()
    else:
        assert edited().to_dict() == case["edited"]
        assert effective_area(edited(), grid)[-1] == tuple(case["cells"])
        assert grade_effective_area(edited(), grid) == case["grade"]


def test_parse_elements_in_thousandths_of_the_image():
    elements = [
        {"type": "obj", "bbox": [125, 250, 500, 750], "desc": " a red car "},
        {"type": "text", "bbox": [500, 750, 125, 250], "desc": "a sign", "text": "STOP"},
        {"type": "obj", "bbox": [0, 0, 1000, 1000], "desc": ""},
    ]
    assert parse_boxes(elements, 512, 256) == [
        LabelledBox(Box(128, 32, 256, 96), "a red car"),
        LabelledBox(Box(128, 32, 256, 96), 'a sign, the words "STOP"'),
        LabelledBox(Box(0, 0, 512, 256), ""),
    ]


def test_parse_bounding_boxes_alone_in_a_list_and_in_a_frame():
    box = {"x": 1, "y": 2, "width": 3, "height": 4}
    for value in (box, [box], [[box]]):
        assert parse_boxes(value, 512, 512) == [LabelledBox(Box(1, 2, 3, 4))]


def test_an_element_thinner_than_a_pixel_has_one():
    assert parse_boxes({"bbox": [500, 500, 502, 503]}, 64, 64) == [LabelledBox(Box(32, 32, 1, 1))]


PIXELS = {"x": 1, "y": 2, "width": 3, "height": 4}


def test_a_detectors_boxes_of_several_pictures_know_their_picture():
    detected = {"x": 1.2, "y": 2.4, "width": 3.3, "height": 3.9, "score": 0.9}
    box = Box(1, 2, 3, 4)
    assert parse_boxes([[detected]], 512, 512, pictures=3) == [LabelledBox(box)]
    found = parse_boxes([[detected, detected], [], [PIXELS]], 512, 512, pictures=3)
    assert found == [LabelledBox(box, picture=place) for place in (0, 0, 2)]


def test_a_box_with_text_is_read_as_it_was_written():
    for item in (LabelledBox(Box(1, 2, 3, 4), "a dog", 7), LabelledBox(Box(1, 2, 3, 4))):
        assert parse_boxes([[item.to_dict()]], 512, 512) == [item]


def test_boxes_of_the_picker_have_texts_and_seeds():
    largest = 2**64 - 1
    drawn = [
        {**PIXELS, "text": " a cat ", "seed": 0},
        {**PIXELS, "seed": str(largest)},
        {**PIXELS, "seed": largest, "text": ""},
        {**PIXELS, "seed": "", "text": None},
        {**PIXELS, "seed": None},
    ]
    found = parse_boxes(drawn, 512, 512, "box")
    assert [(item.text, item.seed) for item in found] == [
        ("a cat", 0),
        ("", largest),
        ("", largest),
        ("", None),
        ("", None),
    ]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("boxes", "'boxes'; link Create Bounding Boxes"),
        (None, "None"),
        ([], r"empty: \[\]; draw at least one box"),
        ([[]], "empty"),
        ([[{}], [{}]], "boxes holds boxes for 2 pictures, but image is one picture; link the boxes of"),
        ([{"bbox": [0, 0, 500]}], r"boxes needs bbox.*\[0, 0, 500\]"),
        ([{"bbox": [0, 0, 500, math.nan]}], r"boxes needs bbox.*nan"),
        ([{"bbox": [0, 0, 500, 500]}, {"bbox": [0, 0, 0, 500]}], "box 2 has no area"),
        ([{"x": 1}, {}], "box 1 must be a bounding box"),
        ([PIXELS, {**PIXELS, "text": 7}], "box 2 must have a text made of words, got 7"),
        ({**PIXELS, "seed": -1}, "boxes has the seed -1; give a whole number from 0 to 18446744073709551615"),
        ({**PIXELS, "seed": 2**64}, "the seed 18446744073709551616"),
        ({**PIXELS, "seed": "18446744073709551616"}, "the seed 18446744073709551616"),
        ({**PIXELS, "seed": "9" * 5000}, "the seed '9+'"),
        ({**PIXELS, "seed": 1.5}, r"the seed 1\.5"),
        ({**PIXELS, "seed": True}, "the seed True"),
        ({**PIXELS, "seed": "²"}, "the seed '²'"),
    ],
)
def test_parse_boxes_names_the_faulty_one(value, said):
    with pytest.raises(ValueError, match=said):
        parse_boxes(value, 512, 512)


def test_a_box_of_several_pictures_is_named_with_its_picture():
    with pytest.raises(ValueError, match=r"^box 2 of picture 3 has no area"):
        parse_boxes([[PIXELS], [], [PIXELS, {**PIXELS, "width": 0}]], 512, 512, pictures=3)
    with pytest.raises(ValueError, match="boxes for 2 pictures, but image has 3; link"):
        parse_boxes([[PIXELS], [PIXELS]], 512, 512, pictures=3)
