"""Maps repainted in another palette."""

from itertools import product

import numpy as np
import pytest
from finesse.core.maps.conversion import ADE20K_TO_COCO_STUFF, COCO_STUFF_TO_ADE20K, convert, counterparts
from finesse.core.maps.custom_palette import custom_palette
from finesse.core.maps.palettes import ADE20K, CELEBAMASK, COCO_STUFF, COCO_STUFF_FGDM, PALETTES

# ADE20K has no name for these; the others of COCO-Stuff's 183 labels must have a counterpart.
ONLY_IN_COCO_STUFF = """unlabeled, fire hydrant, fork, knife, spoon, remote, cell phone, toaster, blender,
    scissors, hair drier, toothbrush, hair brush, metal, plastic, solid-other, wood"""
ONLY_IN_ADE20K = """painting, conveyer belt, washer, barrel, basket, animal, dishwasher, sculpture, ashcan,
    fan, shower, radiator"""

TABLES = [
    (COCO_STUFF_TO_ADE20K, COCO_STUFF, ADE20K, ONLY_IN_COCO_STUFF),
    (ADE20K_TO_COCO_STUFF, ADE20K, COCO_STUFF, ONLY_IN_ADE20K),
]


def painted(palette, rows):
    return palette.encode(np.array([[palette.index(label) for label in row] for row in rows]))


def named(image, palette):
    return [[palette.labels[i] for i in row] for row in palette.decode(image)]


@pytest.mark.parametrize(("table", "source", "target", "without"), TABLES)
def test_every_label_has_a_counterpart_or_is_known_to_lack_one(table, source, target, without):
    without = {label.strip() for label in without.split(",")}
    assert set(table) == set(source.labels) - without
    assert set(table.values()) <= set(target.labels)
    assert counterparts(source, target) == {label: table.get(label) for label in source.labels}


@pytest.mark.parametrize(("table", "source", "target", "without"), TABLES)
def test_a_label_of_the_same_name_is_the_counterpart(table, source, target, without):
    others = {
        label: table[label] for label in set(source.labels) & set(target.labels) if table[label] != label
    }
    stuff = {"door": "door-stuff", "mirror": "mirror-stuff", "desk": "desk-stuff"}
    assert others == ({"skyscraper": "building"} if source is COCO_STUFF else stuff)


@pytest.mark.parametrize(
    ("label", "expected"),
    {
        "zebra": "animal",
        "couch": "sofa",
        "tv": "television receiver",
        "pizza": "food",
        "wall-brick": "wall",
    }.items(),
)
def test_a_map_is_repainted(label, expected):
    conversion = convert(painted(COCO_STUFF, [[label, "person"], ["person", label]]), COCO_STUFF, ADE20K)
    assert conversion.painted.dtype == np.uint8
    assert named(conversion.painted, ADE20K) == [[expected, "person"], ["person", expected]]
    assert conversion.counterparts == {"person": "person", label: expected}
    assert conversion.areas == {"person": 0.5, label: 0.5}
    assert conversion.renamed == {label: expected}
    assert conversion.lost == []


def test_what_ade20k_lacks_is_filled_with_the_nearest_label():
    rows = [["table", "fork", "unlabeled", "unlabeled", "unlabeled", "plate"]]
    conversion = convert(painted(COCO_STUFF, rows), COCO_STUFF, ADE20K)
    assert named(conversion.painted, ADE20K) == [["table"] * 3 + ["plate"] * 3]
    assert conversion.lost == ["unlabeled", "fork"]
    assert conversion.describe().splitlines() == [
        "unlabeled (50.0%) has no counterpart: filled with the nearest label",
        "fork (16.7%) has no counterpart: filled with the nearest label",
    ]


def test_what_coco_stuff_lacks_becomes_unlabeled():
    conversion = convert(painted(ADE20K, [["animal", "grass", "van", "shower"]]), ADE20K, COCO_STUFF)
    assert named(conversion.painted, COCO_STUFF) == [["unlabeled", "grass", "car", "unlabeled"]]
    assert conversion.lost == ["animal", "shower"] or conversion.lost == ["shower", "animal"]
    assert conversion.describe().splitlines()[0] == "van (25.0%) became car"
    assert "shower (25.0%) has no counterpart: became unlabeled" in conversion.describe()


def test_skyscrapers_do_not_become_roads():
    image = painted(COCO_STUFF, [["skyscraper", "road"]])
    assert named(convert(image, COCO_STUFF, ADE20K).painted, ADE20K) == [["building", "road"]]


def test_coco_stuff_changes_its_colours_only():
    image = painted(COCO_STUFF_FGDM, [list(COCO_STUFF.labels)])
    conversion = convert(image, COCO_STUFF_FGDM, COCO_STUFF)
    assert named(conversion.painted, COCO_STUFF) == [list(COCO_STUFF.labels)]
    assert conversion.describe() == "every label has a counterpart of the same name"
    assert counterparts(COCO_STUFF_FGDM, ADE20K) == counterparts(COCO_STUFF, ADE20K)


def test_custom_palettes_go_by_the_names():
    mine = custom_palette({"Traffic_Light": "#ff0000", "sky": "#0000ff", "unlabeled": "#111111"})
    image = painted(mine, [["Traffic_Light", "sky", "unlabeled"]])
    conversion = convert(image, mine, ADE20K)
    assert named(conversion.painted, ADE20K) == [["traffic light", "sky", "sky"]]
    back = convert(conversion.painted, ADE20K, mine)
    assert named(back.painted, mine) == [["Traffic_Light", "sky", "sky"]]


def test_labels_for_nothing_stand_for_each_other():
    assert counterparts(CELEBAMASK, COCO_STUFF)["background"] == "unlabeled"
    assert counterparts(COCO_STUFF, CELEBAMASK)["unlabeled"] == "background"
    assert counterparts(CELEBAMASK, ADE20K)["background"] is None


PAIRS = set(product(PALETTES, PALETTES)) - {("celebamask", "ade20k")}  # which have no label in common


@pytest.mark.parametrize(("source", "target"), sorted(PAIRS))
def test_a_noisy_map_takes_the_targets_colours(source, target):
    source, target = PALETTES[source], PALETTES[target]
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    conversion = convert(noise, source, target)
    assert {tuple(pixel) for pixel in conversion.painted.reshape(-1, 3)} <= set(target.colours)
    assert sum(conversion.areas.values()) == pytest.approx(1)


@pytest.mark.parametrize(
    "image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)], ids=str
)
def test_another_shape_or_type_is_refused(image):
    with pytest.raises(ValueError, match=r"map: got .* of shape .*; give one painted map, uint8 RGB"):
        convert(image, COCO_STUFF, ADE20K)


def test_a_map_without_any_counterpart_is_refused():
    face = painted(CELEBAMASK, [["skin", "nose"]])
    with pytest.raises(
        ValueError, match=r"none of its labels \(skin, nose\) has a counterpart .* ade20k; choose"
    ):
        convert(face, CELEBAMASK, ADE20K)
