"""Maps under edit: their values, strokes and letters."""

import numpy as np
import pytest
from finesse.core.maps.canvas import FONT, Canvas, closest, stroke_mask, text_mask
from finesse.core.maps.palettes import ADE20K, COCO_STUFF, Palette

TOY = Palette("toy", ("grass", "dog", "cat"), ((0, 128, 0), (255, 0, 0), (0, 0, 255)))


def drawn(mask):
    return ["".join("#" if pixel else "." for pixel in row) for row in mask]


def test_a_straight_stroke_is_as_wide_as_asked():
    assert drawn(stroke_mask([(1, 2), (4, 2)], 1, (5, 6))) == [
        "......",
        "......",
        ".####.",
        "......",
        "......",
    ]
    assert drawn(stroke_mask([(1, 2), (4, 2)], 2, (4, 6))) == ["......", "#####.", "#####.", "......"]
    for width in range(1, 9):
        assert (stroke_mask([(0, 20), (60, 20)], width, (41, 61)).sum(0)[10:50] == width).all()


def test_strokes_run_through_all_points_and_end_at_the_edge():
    assert drawn(stroke_mask([(0, 0), (3, 3), (3, -9)], 1, (5, 5))) == [
        "#..#.",
        ".#.#.",
        "..##.",
        "...#.",
        ".....",
    ]
    assert drawn(stroke_mask([(1, 1)], 3, (4, 4))) == ["###.", "###.", "###.", "...."]
    assert drawn(stroke_mask([(1, 1)], 2, (3, 3))) == ["##.", "##.", "..."]
    assert not stroke_mask([(-50, -50), (-20, 90)], 5, (5, 5)).any()
    assert not stroke_mask([(50, 90), (900, -9)], 5, (5, 5)).any()
    assert stroke_mask([(2, 2)], 100, (5, 5)).all()


def test_thin_strokes_have_no_gaps():
    for x, y in [(30, 7), (7, 30), (19, 20), (-0.5, 30), (30, 0.5)]:
        mask = stroke_mask([(0.0, 0.5), (x, y)], 1, (40, 40))
        assert (mask.any(0)[: int(x) + 1]).all()
        assert (mask.any(1)[1 : int(y) + 1]).all()


def test_letters_are_five_by_seven():
    assert drawn(text_mask("H!")) == [
        "#...#...#..",
        "#...#...#..",
        "#...#...#..",
        "#####...#..",
        "#...#...#..",
        "#...#......",
        "#...#...#..",
    ]
    assert np.array_equal(text_mask("small"), text_mask("SMALL"))
    assert text_mask("one\nlonger").shape == (16, 35)
    assert text_mask("\n").shape == (16, 1)


def test_every_character_has_a_glyph_of_its_own():
    assert set("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,:;!?'\"-+/()") <= FONT.keys()
    assert len(set(FONT.values())) == len(FONT)
    assert all(text_mask(character).shape == (7, 5) for character in FONT)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64])
def test_a_canvas_gives_its_picture_back(dtype):
    labels = np.random.default_rng(0).integers(0, 183, (9, 11))
    picture = COCO_STUFF.encode(labels)
    if dtype != np.uint8:
        picture = picture.astype(dtype) / 255
    for palette in (COCO_STUFF, None):
        canvas = Canvas(picture, palette)
        assert canvas.image.dtype == dtype
        assert np.array_equal(canvas.image, picture)
        assert np.array_equal(canvas.rgb, COCO_STUFF.encode(labels))
        assert not np.shares_memory(canvas.values, picture)
    assert np.array_equal(Canvas(picture, COCO_STUFF).values, labels)


def test_a_map_that_came_through_a_vae_takes_its_nearest_colours():
    rng = np.random.default_rng(1)
    picture = TOY.encode(rng.integers(0, 3, (8, 8))) / 255 + rng.uniform(-0.1, 0.1, (8, 8, 3))
    canvas = Canvas(picture, TOY)
    assert np.array_equal(canvas.image, TOY.encode(canvas.values) / 255)


def test_colours_and_labels_become_values():
    labels, floats, whole = (
        Canvas(np.zeros((1, 1, 3)), TOY),
        Canvas(np.zeros((1, 1, 3))),
        np.zeros((1, 1, 3), np.uint8),
    )
    assert labels.value("cat") == labels.value([0, 0, 255]) == 2
    assert floats.value([0, 51, 255]).tolist() == [0, 0.2, 1]
    assert Canvas(whole).value([0, 51, 255]).tolist() == [0, 51, 255]
    with pytest.raises(ValueError, match=r"label 'act' is not in the palette toy; did you mean 'cat'\?"):
        labels.value("act")
    with pytest.raises(
        ValueError, match=r"\[0, 0, 254\] is not in the palette toy; the nearest is \[0, 0, 255\], 'cat'"
    ):
        labels.value([0, 0, 254])
    with pytest.raises(ValueError, match="label 'cat' needs a palette"):
        floats.value("cat")


def test_labels_of_one_colour_are_one():
    canvas = Canvas(ADE20K.encode(np.array([[48, 0]])), ADE20K)
    assert canvas.value("skyscraper") == canvas.value("road") == 6
    assert canvas.painted("skyscraper").tolist() == [[True, False]]


def hole_filled(*rows):
    """Rows of labels g, d and c after the pixels of x are deleted."""
    labels = np.array([["gdcx".index(key) for key in row] for row in rows])
    hole = labels == 3
    canvas = Canvas(TOY.encode(np.where(hole, 0, labels)), TOY)
    canvas.exchange(hole, [])
    assert np.array_equal(canvas.values[~hole], labels[~hole])
    return ["".join("gdc"[label] for label in row) for row in canvas.values]


def test_crumbs_do_not_spread_over_a_hole():
    assert hole_filled(
        "gggggggg",
        "gdxxxxdg",
        "gxxxxxxg",
        "gxxxxxxc",
        "gggggggg",
    ) == ["gggggggg", "gdggggdg", "gggggggg", "gggggggc", "gggggggg"]


def test_a_crumb_behind_a_crumb_does_not_spread():
    ground = ["gggggggg"] * 5
    assert hole_filled("xxxxdcgg", *["xxxxgggg"] * 4) == ["ggggdcgg", *ground[1:]]


def test_a_neighbour_of_a_tenth_of_the_hole_spreads():
    assert hole_filled("xxxxxd", "xxxxxg") == ["dddddd", "gggggg"]  # a hole of 10, neighbours of 1
    assert hole_filled("xxxxxd", "xxxxxg", "xggggg") == ["gggggd", *["gggggg"] * 2]


def test_only_in_a_map_of_crumbs_do_crumbs_spread():
    assert hole_filled("dxxxxxxxxxxxc") == ["dddddddcccccc"]


def test_without_a_palette_the_nearest_pixel_fills_a_hole():
    picture = np.zeros((6, 8, 3), np.uint8)
    picture[0, 0] = 9
    hole = np.zeros((6, 8), bool)
    hole[1:5, :4] = True
    canvas = Canvas(picture)
    canvas.exchange(hole, [])
    assert (canvas.values[1, 0] == 9).all()


def test_advice_is_kept_short():
    assert closest("tabel", COCO_STUFF.labels) == "did you mean 'table' or 'towel' or 'metal'?"
    assert closest("zzz", ["x", "y"]) == "use one of x, y"
    assert closest("qqq", COCO_STUFF.labels).endswith(
        "stop sign, parking meter, bench, bird, cat, dog, horse, …"
    )


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((2, 4, 4, 3)), r"image: got float64 of shape \(2, 4, 4, 3\); give one RGB picture"),
        (np.zeros((4, 4, 4)), r"shape \(4, 4, 4\)"),
        (np.zeros((4, 0, 3)), r"shape \(4, 0, 3\)"),
        (np.zeros((4, 4, 3), int), "got int64"),
        (np.full((4, 4, 3), np.nan), "image holds values that are not finite"),
    ],
)
def test_other_pictures_are_refused(picture, message):
    with pytest.raises(ValueError, match=message):
        Canvas(picture)
