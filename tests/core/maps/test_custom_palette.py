"""Palettes read from a user's JSON."""

import json

import numpy as np
import pytest
from finesse.core.maps.custom_palette import custom_palette


@pytest.mark.parametrize("as_text", [True, False])
def test_labels_keep_their_order_and_colours(as_text):
    value = {"zebra": "#0A0bff", " grass ": [0, 128, 0], "Hündin": [255, 255, 255]}
    palette = custom_palette(json.dumps(value) if as_text else value)
    assert palette.name == "custom"
    assert palette.labels == ("zebra", "grass", "Hündin")
    assert palette.colours == ((10, 11, 255), (0, 128, 0), (255, 255, 255))
    assert palette.decode(np.array([[10, 11, 254]], np.uint8)) == [0]


def test_as_many_labels_as_a_byte_numbers():
    palette = custom_palette({f"label {i}": [i, 0, 0] for i in range(256)}, name="mine")
    assert (palette.name, palette.index("label 255")) == ("mine", 255)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{'dog': '#ff0000'}", r"is not JSON \(.*\); write \{\"dog\""),
        ("", "'' is not JSON"),
        ('["dog"]', r"got \['dog'\]; give an object of labels such as"),
        ([1, 2], r"got \[1, 2\]; give an object"),
        (None, "got None; give an object"),
        ({3: [1, 2, 3]}, r"got \{3: \[1, 2, 3\]\}; give an object"),
        ("{}", "got 0 labels; give 1 to 256"),
        ({f"{i}": [i % 256, i // 256, 0] for i in range(257)}, "got 257 labels"),
        ({" ": [1, 2, 3]}, "' ' is no label; give a name"),
        ({"a, b": [1, 2, 3]}, "'a, b' is no label; give a name without commas"),
        ({"a; b": [1, 2, 3]}, "'a; b' is no label; give a name without commas, semicolons"),
        ({"a\nb": [1, 2, 3]}, "is no label"),
        ("[" * 100_000, r"is not JSON \(.*recursion"),
        ({"dog": "red"}, "the colour of 'dog' is 'red'; give '#rrggbb'"),
        ({"dog": "#12345"}, "'#12345'; give"),
        ({"dog": "#1 2 3 "}, "'#1 2 3 '; give"),
        ({"dog": [0, 0, 256]}, r"\[0, 0, 256\]; give"),
        ({"dog": [0, 0, -1]}, "-1"),
        ({"dog": [0, 0]}, r"\[0, 0\]; give"),
        ({"dog": [0, 0, 0.5]}, "0.5"),
        ({"dog": [True, 0, 0]}, "True"),
        ({"dog": "#" + "0" * 200}, r"'#0+\.\.\.; give"),
        ('{"dog": [1, 2, 3], "dog": [4, 5, 6]}', "the label 'dog' is given twice; give each label once"),
        ({"dog": [1, 2, 3], "Dog ": [4, 5, 6]}, "the label 'dog' is given twice"),
        (
            {"dog": [1, 2, 3], "cat": "#010203"},
            r"'dog' and 'cat' have the same colour \[1, 2, 3\]; change one",
        ),
    ],
)
def test_faults_are_named(value, said):
    with pytest.raises(ValueError, match=f"palette: .*{said}"):
        custom_palette(value)
