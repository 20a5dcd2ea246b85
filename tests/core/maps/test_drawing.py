"""Drawings on maps: what is read of them, what is refused, and that they are laid on bit for bit."""

from __future__ import annotations

import base64
import hashlib
import io

import numpy as np
import pytest
from finesse.core.maps.drawing import map_hash, parse_drawing
from finesse.core.maps.palettes import COCO_STUFF
from PIL import Image

BASE = "ab" * 32
PICTURE = np.full((2, 3, 4), 255, np.uint8)
MAP = np.zeros((12, 16, 3), np.float32)


def png(picture, mode="RGBA"):
    stream = io.BytesIO()
    Image.fromarray(picture).convert(mode).save(stream, "PNG")
    return stream.getvalue()


def patch(**values):
    given = {"base": BASE, "width": 16, "height": 12, "x": 4, "y": 5} | values
    return given if "file" in given else {"png": base64.b64encode(png(PICTURE)).decode()} | given


def drawing(**values):
    return {"version": 1, "maps": {"0": patch(**values)}}


def parsed(**values):
    return parse_drawing(drawing(**values))[0]


def test_no_drawing_is_an_empty_object():
    assert parse_drawing({}) == {}
    assert parse_drawing({"version": 1, "maps": {}}) == {}


def test_patches_go_by_their_place_in_the_batch():
    found = parse_drawing({"version": 1, "maps": {"0": patch(x=1), "12": patch(file="finesse/a.png")}})
    assert list(found) == [0, 12]
    assert (found[0].x, found[0].png, found[0].file) == (1, png(PICTURE), None)
    assert (found[12].png, found[12].file) == (None, "finesse/a.png")


def test_a_hash_is_of_the_bytes_in_rows():
    pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
    assert map_hash(pixels) == hashlib.sha256(bytes(range(105))).hexdigest()
    assert map_hash(pixels[:, ::-1]) == hashlib.sha256(pixels[:, ::-1].tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], r"drawing must be a JSON object, \{\} for none, got \[\]"),
        ("{}", "drawing must be a JSON object"),
        ({"maps": {}}, "drawing has version None, but this node reads version 1; update"),
        ({"version": 2, "maps": {}}, "drawing has version 2"),
        ({"version": 1}, "drawing: maps must be an object .*, got None"),
        ({"version": 1, "maps": [1]}, "drawing: maps must be an object"),
        ({"version": 1, "maps": {}, "map": 1}, "drawing: field 'map' is unknown; did you mean 'maps'"),
        *(
            ({"version": 1, "maps": {key: patch()}}, "drawing: the key .* of maps must be a map's index")
            for key in ("first", "-1", "01", "1.0", "", "٣", "9999999")
        ),
        ({"version": 1, "maps": {"0": None}}, r"drawing: maps\['0'\]: must be an object, got None"),
        (drawing(colour=1), r"maps\['0'\]: field 'colour' is unknown"),
        (drawing(base=BASE.upper()), "base must be the SHA-256"),
        (drawing(base=BASE[:-1]), "base must be the SHA-256"),
        (drawing(base=7), "base must be the SHA-256 .*; got 7"),
        (drawing(width=0), "width must be a whole number from 1"),
        (drawing(height="12"), "height must be a whole number"),
        (drawing(x=-1), "x must be a whole number from 0"),
        (drawing(y=1.5), "y must be a whole number"),
        (drawing(y=True), "y must be a whole number"),
        (drawing(png="§"), "png is no base64"),
        (drawing(png="abc"), "png is no base64"),
        (drawing(png=""), "png must be a PNG in base64"),
        (drawing(png=None), "png must be a PNG in base64"),
        (drawing(file=3), "file must be a file in ComfyUI's input folder"),
        (drawing(file="a.png", png="aaaa"), "give exactly one of png, file"),
    ],
)
def test_a_bad_drawing_is_named(value, said):
    with pytest.raises(ValueError, match=said):
        parse_drawing(value)


def test_a_missing_picture_is_named():
    values = {name: value for name, value in patch().items() if name != "png"}
    with pytest.raises(ValueError, match="give exactly one of png, file"):
        parse_drawing({"version": 1, "maps": {"0": values}})


def test_the_base_must_be_the_one_drawn_on():
    parsed().check_base(MAP.shape, BASE)
    parsed(base="").check_base(MAP.shape, "cd" * 32)
    with pytest.raises(
        ValueError, match=r"has changed since .*was abababab…, now it is cdcdcdcd….*re-apply or"
    ):
        parsed().check_base(MAP.shape, "cd" * 32)
    for base in (BASE, ""):
        with pytest.raises(ValueError, match="made on a map of 16×12 px, but this one is 12×16 px"):
            parsed(base=base).check_base((16, 12, 3), BASE)


def tall(rows):
    return np.full((rows, 3, 4), 255, np.uint8)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "its picture is no PNG"),
        (b"GIF89a" + b"\0" * 40, "its picture is no PNG, it begins with b'GIF89a"),
        (png(PICTURE)[:20], "its picture is no PNG"),
        (png(PICTURE, "RGB"), "bit depth 8 and colour type 2; give RGBA"),
        (png(PICTURE, "L"), "colour type 0"),
        (png(PICTURE, "P"), "colour type 3"),
        (png(PICTURE)[:24] + b"\x10" + png(PICTURE)[25:], "bit depth 16"),
        (png(tall(8)), r"picture of 3×8 px at \(4, 5\) reaches past the map of 16×12 px"),
        (
            png(PICTURE)[:16] + b"\x7f\xff\xff\xff" * 2 + png(PICTURE)[24:],
            "picture of 2147483647×2147483647 px",
        ),
        (png(PICTURE)[:16] + b"\0" * 8 + png(PICTURE)[24:], "picture of 0×0 px"),
        (
            png(PICTURE) + b"\0" * 70_000,
            r"its picture has 70\d\d\d bytes, but a PNG of this map has at most 66496",
        ),
    ],
)
def test_a_picture_that_cannot_be_is_refused_unread(data, said):
    parsed().check_png(png(tall(7)))
    with pytest.raises(ValueError, match=said):
        parsed().check_png(data)


def test_it_is_laid_on_bit_for_bit():
    rng = np.random.default_rng(0)
    image = rng.random((12, 16, 3), np.float32)
    picture = rng.integers(0, 256, (4, 5, 4), np.uint8)
    picture[..., 3] = np.where(rng.random((4, 5)) < 0.5, 255, 0)
    before = image.copy()
    result = parsed().laid_on(image, picture)

    assert np.array_equal(image, before)
    drawn = np.zeros((12, 16), bool)
    drawn[5:9, 4:9] = picture[..., 3] == 255
    assert np.array_equal(result[~drawn], image[~drawn])
    assert np.array_equal(result[drawn] * np.float32(255), picture[picture[..., 3] == 255][:, :3])
    assert result.dtype == np.float32


def test_every_value_of_a_channel_survives_what_saves_pictures():
    """Core's *Save Image* cuts 255 times the value down to a whole number."""
    picture = np.full((16, 16, 4), 255, np.uint8)
    picture[..., :3] = np.arange(256).reshape(16, 16, 1)
    result = parsed(width=16, height=16, x=0, y=0).laid_on(np.zeros((16, 16, 3), np.float32), picture)
    assert np.array_equal((255.0 * result).astype(np.uint8), picture[..., :3])


def test_half_transparent_pixels_are_refused():
    picture = PICTURE.copy()
    picture[1, 2, 3] = 128
    with pytest.raises(ValueError, match="alpha 128; make each alpha 0 or 255"):
        parsed().laid_on(MAP, picture)


def test_with_a_palette_only_its_colours_may_be_drawn():
    picture = PICTURE.copy()
    picture[..., :3] = COCO_STUFF.colours[COCO_STUFF.index("dog")]
    picture[1, 2] = (1, 2, 3, 0)  # hidden
    assert np.array_equal(parsed().laid_on(MAP, picture, COCO_STUFF), parsed().laid_on(MAP, picture))
    picture[1, 2, 3] = 255
    with pytest.raises(
        ValueError, match=r"drawn at \(6, 6\) is \[1, 2, 3\], which is no colour of the palette coco"
    ):
        parsed().laid_on(MAP, picture, COCO_STUFF)


def test_a_picture_may_keep_everything():
    picture = np.zeros((2, 3, 4), np.uint8)
    assert np.array_equal(parsed().laid_on(MAP, picture, COCO_STUFF), MAP)
