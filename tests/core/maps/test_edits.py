"""Edits of condition maps."""

import json

import numpy as np
import pytest
from finesse.core.maps.edits import apply_edits, parse_edits
from finesse.core.maps.palettes import Palette

KEYS = ".dcs"
TOY = Palette("toy", ("grass", "dog", "cat", "sky"), ((0, 128, 0), (255, 0, 0), (0, 0, 255), (90, 90, 90)))


def painted(*rows):
    return TOY.encode(np.array([[KEYS.index(key) for key in row] for row in rows]))


def edited(picture, *edits, sources=()):
    """The edited map as rows of keys; its colours must be the palette's."""
    result = apply_edits(picture, list(edits), TOY, sources)
    labels = TOY.decode(result)
    assert np.array_equal(TOY.encode(labels), result)
    return ["".join(KEYS[label] for label in row) for row in labels]


def rows_of(picture):
    return edited(picture)


DOGS = painted(
    "ssssss",
    "dds..d",
    "d.....",
    "......",
)
DOG = {"label": "dog"}
BIG, SMALL = DOG | {"index": 0}, DOG | {"index": 1}


def test_move():
    assert edited(DOGS, {"op": "move", "select": BIG, "dx": 2, "dy": 1}) == [
        "ssssss",
        "sss..d",
        "..dd..",
        "..d...",
    ]
    assert edited(DOGS, {"op": "move", "select": SMALL, "dx": 1}) == ["ssssss", "dds..s", "d.....", "......"]
    assert edited(DOGS, {"op": "move", "select": DOG, "dy": 9, "fill": "cat"}) == [
        "ssssss",
        "ccs..c",
        "c.....",
        "......",
    ]


def test_the_nearest_label_fills_ties_in_scan_order():
    # pixels on all four sides are equally near: the one above comes first
    assert edited(painted("sss", ".d.", "..."), {"op": "delete", "select": DOG}) == ["sss", ".s.", "..."]
    assert edited(painted("...", "sd.", "sss"), {"op": "delete", "select": DOG}) == ["...", "s..", "sss"]


def test_scale():
    cross = painted(".......", ".......", "...d...", "..ddd..", "...d...", ".......", ".......")
    assert edited(cross, {"op": "scale", "select": DOG, "factor": 2}) == [
        ".......",
        "...dd..",
        "...dd..",
        ".dddddd",
        ".dddddd",
        "...dd..",
        "...dd..",
    ]
    assert edited(cross, {"op": "scale", "select": DOG, "fx": 7 / 3, "fy": 1}) == [
        ".......",
        ".......",
        "..ddd..",
        "ddddddd",
        "..ddd..",
        ".......",
        ".......",
    ]
    assert edited(cross, {"op": "scale", "select": DOG, "factor": 1 / 3}) == [
        ".......",
        ".......",
        ".......",
        "...d...",
        ".......",
        ".......",
        ".......",
    ]
    whole = {"box": {"x": 0, "y": 0, "width": 6, "height": 4}}
    assert edited(DOGS, {"op": "scale", "select": whole, "factor": 3}) == [
        "sss...",
        "sss...",
        "......",
        "......",
    ]


def test_rotate():
    picture = painted("......", ".ddd..", ".d....", "......")
    assert edited(picture, {"op": "rotate", "select": DOG, "degrees": 180}) == [
        "......",
        "...d..",
        ".ddd..",
        "......",
    ]
    assert edited(picture, {"op": "rotate", "select": DOG, "degrees": 90}) == [
        "......",
        ".dd...",
        "..d...",
        "..d...",
    ]
    assert edited(picture, {"op": "rotate", "select": DOG, "degrees": -90}) == [
        "......",
        ".d....",
        ".d....",
        ".dd...",
    ]
    disc = np.hypot(*(np.mgrid[:41, :41] - 20)) < 15
    disc = TOY.encode(disc.astype(int))
    turned = apply_edits(disc, [{"op": "rotate", "select": DOG, "degrees": 33}], TOY)
    assert (turned != disc).any(-1).sum() < 60


def test_flip():
    picture = painted("......", ".ddd..", ".d....", "....dd", "....d.")
    horizontal = {"op": "flip", "select": DOG, "direction": "horizontal"}
    assert edited(picture, horizontal) == ["......", ".ddd..", "...d..", "....dd", ".....d"]
    vertical = {"op": "flip", "select": {"point": [1, 1]}, "direction": "vertical"}
    assert edited(painted("ssssss", ".ddd..", ".d....", "......"), vertical) == [
        "ssssss",
        ".dss..",
        ".ddd..",
        "......",
    ]


def test_objects_change_each_for_itself_or_together():
    picture = painted("d....d.", "......d")
    flip = {"op": "flip", "select": DOG, "direction": "horizontal"}
    assert edited(picture, flip) == ["d.....d", ".....d."]
    flip["select"] = {"label": "dog", "together": True}
    assert edited(picture, flip) == [".d....d", "d......"]


def test_duplicate():
    twice = {"op": "duplicate", "select": BIG, "dx": 2, "dy": 1}
    assert edited(DOGS, twice) == ["ssssss", "dds..d", "d.dd..", "..d..."]
    assert edited(DOGS, {"op": "duplicate", "select": BIG, "dx": 900}) == rows_of(DOGS)


def test_delete():
    assert edited(DOGS, {"op": "delete", "select": DOG}) == ["ssssss", "sss..s", "......", "......"]
    assert edited(DOGS, {"op": "delete", "select": BIG, "fill": "#0000ff"}) == [
        "ssssss",
        "ccs..d",
        "c.....",
        "......",
    ]


def test_recolour():
    assert edited(DOGS, {"op": "recolour", "select": {"label": "sky"}, "to": [0, 128, 0]})[:2] == [
        "......",
        "dd...d",
    ]


CATS = painted(
    "cc.",
    ".c.",
    "ddd",
)


def test_paste():
    paste = {"op": "paste", "select": {"label": "cat"}}
    assert edited(DOGS, paste, sources=[CATS]) == ["ccssss", "dcs..d", "d.....", "......"]
    paste |= {"x": 4, "y": 2}
    assert edited(DOGS, paste, sources=[CATS]) == ["ssssss", "dds..d", "d...cc", ".....c"]
    paste |= {"x": 3, "y": -2, "factor": 2}
    assert edited(DOGS, paste, sources=[CATS]) == ["sssssc", "dds..c", "d.....", "......"]
    paste = {"op": "paste", "select": {"source": 1, "label": "cat"}, "x": 2, "y": 3, "fx": 2, "fy": 0.5}
    assert edited(DOGS, paste, sources=[DOGS, CATS]) == ["ssssss", "dds..d", "d.....", "....cc"]
    floats = CATS.astype(np.float32) / 255
    assert edited(DOGS, paste, sources=[DOGS, floats]) == edited(DOGS, paste, sources=[DOGS, CATS])


def test_what_was_covered_can_come_back():
    picture = painted("......", ".dd...", ".dd...", "....cc", "....cc")
    put_over = {"op": "move", "select": {"label": "cat"}, "dx": -2, "dy": -1}
    covered = ["......", ".dd...", ".dcc..", "..cc..", "......"]
    revealed = ["......", ".dd...", ".ddc..", "..cc..", "......"]
    assert edited(picture, put_over) == covered
    assert edited(picture, put_over, {"op": "order", "select": DOG, "to": "front"}) == revealed
    back = {"op": "order", "select": {"label": "cat"}, "to": "back", "of": DOG}
    assert edited(picture, put_over, back) == revealed
    front = {"op": "order", "select": {"label": "cat"}, "to": "front", "of": DOG}
    assert edited(picture, put_over, back, front) == covered
    assert edited(picture, put_over, back, front, back) == revealed
    assert edited(picture, front) == rows_of(picture)  # a flat map does not tell what is behind


def test_what_has_moved_away_does_not_come_back():
    picture = painted(".......", ".dd....", ".dd....", "....cc.", "....cc.")
    put_over = {"op": "move", "select": {"label": "cat"}, "dx": -2, "dy": -1}
    away = {"op": "move", "select": DOG, "dx": -1, "dy": 0}
    front = {"op": "order", "select": DOG, "to": "front"}
    assert edited(picture, put_over, away, front) == edited(picture, put_over, away)


def test_strokes_and_texts_on_a_map_of_labels():
    stroke = {"op": "stroke", "points": [[0, 0], [2, 2], [9, 2]], "colour": "cat"}
    assert edited(DOGS, stroke) == ["csssss", "dcs..d", "d.cccc", "......"]
    text = {"op": "text", "text": "t", "x": 1, "y": 1, "colour": [0, 0, 255]}
    assert edited(DOGS, text) == ["ssssss", "dccccc", "d..c..", "...c.."]
    assert edited(DOGS, text | {"scale": 2, "x": -5}) == ["ssssss", "cccccd", "ccccc.", "c....."]


SKETCH = np.zeros((5, 7, 3), np.float32)
SKETCH[1:4, 1] = 1
SKETCH[3, 4:6] = 0.5


def lines(picture):
    return ["".join({0: ".", 1: "#"}.get(float(pixel), "+") for pixel in row[:, 0]) for row in picture]


def test_sketches_need_no_palette():
    def result(**edit):
        return lines(apply_edits(SKETCH, [edit]))

    assert result(op="move", select={"point": [1, 2]}, dx=2) == [
        ".......",
        "...#...",
        "...#...",
        "...#++.",
        ".......",
    ]
    line = {"colour": "#ffffff"}
    assert result(op="delete", select=line) == [".......", ".......", ".......", "....++.", "......."]
    grey = {"colour": [120, 120, 120], "tolerance": 10}
    assert result(op="recolour", select=grey, to="#ffffff")[3] == ".#..##."
    assert result(op="stroke", points=[[6, 0], [6, 4]], colour="#ffffff")[0] == "......#"
    assert result(op="rotate", select=line, degrees=90) == [
        ".......",
        ".......",
        "###....",
        "....++.",
        ".......",
    ]
    letters = apply_edits(np.zeros((9, 20, 3), np.uint8), [{"op": "text", "text": "hi", "colour": [9, 9, 9]}])
    assert letters.max() == 9
    assert letters.dtype == np.uint8


def test_the_shades_under_a_point():
    ramp = np.repeat(np.arange(0, 250, 10, dtype=np.uint8)[None, :, None], 3, 2).repeat(4, 0)
    edit = {"op": "recolour", "select": {"point": [10, 2], "tolerance": 25}, "to": [255, 255, 255]}
    assert np.flatnonzero((apply_edits(ramp, [edit]) == 255).all((0, 2))).tolist() == [8, 9, 10, 11, 12]


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_depth(dtype):
    far = np.full((2, 3, 3), 51, np.uint8)
    if dtype == np.float32:
        far = far.astype(dtype) / 255
    dog = {"source": 0, "label": "dog"}  # the dog in the segmentation map tells where to change the depth map
    source = (painted("..d", "..d"), TOY)

    def depths(**how):
        result = apply_edits(far, [{"op": "depth", "select": dog, **how}], sources=[source])
        assert result.dtype == dtype
        assert (result == result[..., :1]).all()
        return (result[..., 0] / (255 if dtype == np.uint8 else 1)).astype(float).round(2).tolist()

    assert depths(set=0.8) == [[0.2, 0.2, 0.8]] * 2
    assert depths(add=0.4) == [[0.2, 0.2, 0.6]] * 2
    assert depths(add=-0.5) == [[0.2, 0.2, 0]] * 2
    assert depths(add=1) == [[0.2, 0.2, 1]] * 2


def test_edits_follow_each_other():
    steps = [
        {"op": "move", "select": SMALL, "dx": -2, "dy": 2},
        {"op": "recolour", "select": {"point": [3, 3]}, "to": "cat"},
        {"op": "duplicate", "select": {"label": "cat"}, "dx": 1},
        {"op": "delete", "select": BIG},
    ]
    picture = DOGS
    for step in steps:
        picture = apply_edits(picture, [step], TOY)
    assert edited(DOGS, *steps) == rows_of(picture) == ["ssssss", "sss..s", "......", "...cc."]


def test_json_or_list_or_nothing():
    edits = [{"op": "delete", "select": DOG}]
    assert np.array_equal(apply_edits(DOGS, json.dumps(edits), TOY), apply_edits(DOGS, edits, TOY))
    for nothing in ("", " \n", "[]", []):
        assert np.array_equal(apply_edits(DOGS, nothing, TOY), DOGS)
        assert parse_edits(nothing) == []
