"""What edits of maps select, and what is said about edits that are wrong."""

import numpy as np
import pytest
from finesse.core.maps.edits import apply_edits
from finesse.core.maps.palettes import Palette

TOY = Palette("toy", ("grass", "dog", "cat", "sky"), ((0, 128, 0), (255, 0, 0), (0, 0, 255), (90, 90, 90)))
OTHER = Palette("other", ("cat",), ((1, 2, 3),))


def painted(*rows):
    return TOY.encode(np.array([[".dcs".index(key) for key in row] for row in rows]))


DOGS = painted("ssssss", "dds..d", "d.....", "......")
CATS = painted("cc.", ".c.", "ddd")
LINES = np.zeros((5, 7, 3), np.float32)
CAT = {"label": "cat"}
DOG = {"label": "dog"}


def test_selections():
    def picked(select):
        result = apply_edits(DOGS, [{"op": "recolour", "select": select, "to": "cat"}], TOY)
        return ["".join(".dcs"[label] for label in row) for row in TOY.decode(result)]

    both = ["ssssss", "ccs..c", "c.....", "......"]
    big = ["ssssss", "ccs..d", "c.....", "......"]
    assert picked({"label": "dog"}) == both
    assert picked({"colour": [255, 0, 0]}) == picked({"colour": "#FF0000"}) == both
    assert picked(DOG | {"index": 0}) == picked({"colour": "#ff0000", "index": 0}) == big
    assert picked({"point": [1, 1]}) == picked({"point": [0.9, 2.4]}) == big
    assert picked(DOG | {"index": 1}) == picked({"point": [5, 1]}) == ["ssssss", "dds..c", "d.....", "......"]
    box = {"x": -1, "y": 1, "width": 3, "height": 2}
    assert picked({"box": box}) == ["ssssss", "ccs..d", "cc....", "......"]


WRONG = [
    ('[{"op": "move",}]', r"edits is not JSON: .* at line 1, column 1\d; correct it"),
    ('[\n{"op": "move"\n', r"edits is not JSON: .* at line 3, column 1"),
    ("[" * 100_000, r"edits (cannot be read as|is not) JSON"),
    ('{"op": "move"}', r"edits must be a list of edits, got \{'op': 'move'\}; put it into \[ \]"),
    ("7", "edits must be a list of edits, got 7"),
    ([3], r'edits\[0\] must be like \{"op": "move", …\}, got 3'),
    ([{}], r"edits\[0\] must be like"),
    ([{"op": ["move"]}], r"edits\[0\] must be like"),
    (
        [{"op": "mvoe"}],
        r"edits\[0\]: op 'mvoe' is unknown; use one of move, scale, rotate, flip, duplicate, delete",
    ),
    (
        [{"op": "move", "select": DOG, "dX": 3}],
        r"edits\[0\] \(move\): field 'dX' is unknown; use one of op, select, dx, dy, fill",
    ),
    (
        [{"op": "flip", "select": DOG, "Direction": 3}],
        "field 'Direction' is unknown; did you mean 'direction'",
    ),
    (
        [{"op": "move", "select": DOG, "dx": "3"}],
        r"edits\[0\] \(move\): dx must be a number from .*; got '3'",
    ),
    ([{"op": "move", "select": DOG, "dx": True}], "dx must be a number .*; got True"),
    ([{"op": "move", "select": DOG, "dx": float("nan")}], "dx must be a number .*; got nan"),
    (
        [{"op": "move", "select": DOG, "dx": 10**400}],
        "dx must be a number from -1000000 to 1000000; got 1000",
    ),
    (
        [{"op": "move", "dx": 3}],
        r'\(move\): select must be a selection like \{"label": "dog"\}; it is missing',
    ),
    ([{"op": "move", "select": "dog"}], "select must be a selection like .*; got 'dog'"),
    ([{"op": "delete", "select": {}}], "select: give exactly one of label, colour, point, box; got {}"),
    (
        [{"op": "delete", "select": DOG | {"point": [0, 0]}}],
        "select: give exactly one of label, colour, point, box",
    ),
    (
        [{"op": "delete", "select": {"label": "dgo"}}],
        r"select: label 'dgo' is not in .* toy; did you mean 'dog'\?",
    ),
    ([{"op": "delete", "select": {"label": 5}}], "select: label must be a text .*; got 5"),
    (
        [{"op": "move", "select": DOG, "dx": 1}, {"op": "delete", "select": CAT}],
        r"edits\[1\] \(delete\): select: finds nothing: the map shows no 'cat', only grass, sky, dog",
    ),
    (
        [{"op": "delete", "select": DOG | {"index": 2}}],
        "select: index must be a whole number from 0 to 1; got 2",
    ),
    ([{"op": "delete", "select": DOG | {"index": 0.5}}], "index must be a whole number from 0 to 1; got 0.5"),
    ([{"op": "delete", "select": DOG | {"together": "yes"}}], "together must be false or true; got 'yes'"),
    (
        [{"op": "delete", "select": DOG | {"tolerance": 2}}],
        "select: field 'tolerance' is unknown; use one of source",
    ),
    ([{"op": "delete", "select": {"point": [0, 0], "tolerance": 2}}], "tolerance must be left out where"),
    (
        [{"op": "delete", "select": {"colour": "red"}}],
        r"select: colour must be a colour, \[r, g, b\].*; got \'red\'",
    ),
    ([{"op": "delete", "select": {"colour": [255, 0]}}], r"colour must be a colour.*; got \[255, 0\]"),
    ([{"op": "delete", "select": {"colour": [1, 0.5, 0]}}], r"colour must be a colour"),
    ([{"op": "delete", "select": {"colour": [254, 0, 0]}}], r"the nearest is \[255, 0, 0\], 'dog'"),
    ([{"op": "delete", "select": {"point": [6, 0]}}], r"point \[6, 0\] lies outside the map of 6×4 px"),
    ([{"op": "delete", "select": {"point": 6}}], r"select: point must be \[x, y\] in pixels.*; got 6"),
    (
        [{"op": "delete", "select": {"box": {"x": 9, "y": 0, "width": 2, "height": 2}}}],
        r"select: box lies outside the image: 2×2 px at \(9, 0\), image 6×4 px",
    ),
    ([{"op": "delete", "select": {"box": [0, 0, 2, 2]}}], "select: box must be a bounding box with x, y"),
    (
        [{"op": "delete", "select": {"box": {"x": 10**400, "y": 0, "width": 2, "height": 2}}}],
        "box must be within",
    ),
    (
        [{"op": "delete", "select": {"box": {"x": 0, "y": 0, "width": 6, "height": 4}}}],
        "select is the whole map, which leaves nothing to fill it from; give fill",
    ),
    (
        [{"op": "delete", "select": DOG, "fill": "gras"}],
        r"fill: label 'gras' is not in .* toy; did you mean 'grass'\?",
    ),
    (
        [{"op": "recolour", "select": DOG}],
        r"to must be a label or a colour, \[r, g, b\] in 0 to 255 .*; it is missing",
    ),
    ([{"op": "scale", "select": DOG, "factor": 0}], "factor must be a number from 0.001 to 1000; got 0"),
    ([{"op": "scale", "select": DOG, "factor": 2, "fx": 1}], "give exactly one of factor, fx, fy"),
    ([{"op": "rotate", "select": DOG}], "degrees must be a number .*; it is missing"),
    (
        [{"op": "flip", "select": DOG, "direction": "left"}],
        'direction must be "horizontal" or "vertical"; got',
    ),
    ([{"op": "paste", "select": CAT}], "select: there is no other map to select in; give sources"),
    ([{"op": "order", "select": DOG, "to": "top"}], 'to must be "front" or "back"; got \'top\''),
    ([{"op": "order", "select": DOG, "to": "back"}], "of must be a selection .*; it is missing"),
    ([{"op": "depth", "select": DOG, "set": 1}], "depth needs a map without palette; .* op order"),
    ([{"op": "stroke", "points": [], "colour": "dog"}], r"points must be a list of \[x, y\] in pixels"),
    ([{"op": "stroke", "points": [[1, 2], [3]], "colour": "dog"}], "points must be a list"),
    (
        [{"op": "stroke", "points": [[1, 2]], "colour": "dog", "width": 0}],
        "width must be a whole number from 1",
    ),
    (
        [{"op": "text", "text": "a → b", "colour": "dog"}],
        "text must be a text of the characters  ABC.*, without →; got",
    ),
    ([{"op": "text", "text": "", "colour": "dog"}], "text must be a text of 1 to 1000 characters"),
]


@pytest.mark.parametrize(("edits", "message"), WRONG)
def test_wrong_edits_are_explained(edits, message):
    with pytest.raises(ValueError, match=message):
        apply_edits(DOGS, edits, TOY)


def test_wrong_sources_are_explained():
    paste = [{"op": "paste", "select": {"label": "cat", "source": 1}}]
    with pytest.raises(ValueError, match="source must be a whole number from 0 to 0; got 1"):
        apply_edits(DOGS, paste, TOY, [CATS])
    with pytest.raises(ValueError, match="the source has other but the map has toy; convert one of them"):
        apply_edits(DOGS, [{"op": "paste", "select": CAT}], TOY, [(CATS, OTHER)])
    with pytest.raises(ValueError, match=r"sources\[0\]: got float64 of shape \(1, 2, 2, 3\)"):
        apply_edits(DOGS, [], TOY, [np.zeros((1, 2, 2, 3))])
    with pytest.raises(ValueError, match="select: the source is 3×3 px but the map is 6×4 px"):
        apply_edits(DOGS, [{"op": "delete", "select": CAT | {"source": 0}}], TOY, [CATS])


def test_what_needs_a_palette_says_so():
    with pytest.raises(ValueError, match="select: label 'dog' needs a palette"):
        apply_edits(LINES, [{"op": "delete", "select": DOG}])
    with pytest.raises(ValueError, match="order needs a map with a palette; on a depth map use the op depth"):
        apply_edits(LINES, [{"op": "order", "select": {"point": [0, 0]}, "to": "front"}])
    with pytest.raises(ValueError, match=r"no pixel has the colour \[1, 2, 3\]; raise the tolerance"):
        apply_edits(LINES, [{"op": "delete", "select": {"colour": [1, 2, 3]}}])
    with pytest.raises(ValueError, match="set must be a number from 0 to 1; got 128"):
        apply_edits(LINES, [{"op": "depth", "select": {"point": [0, 0]}, "set": 128}])
    with pytest.raises(ValueError, match="give exactly one of set, add"):
        apply_edits(LINES, [{"op": "depth", "select": {"point": [0, 0]}}])
