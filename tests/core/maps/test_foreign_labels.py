"""Labels of segmentation models, as labels of a palette."""

from __future__ import annotations

import pytest
from finesse.core.maps.conversion import counterparts
from finesse.core.maps.custom_palette import custom_palette
from finesse.core.maps.foreign_labels import counterparts_of
from finesse.core.maps.palettes import ADE20K, CELEBAMASK, COCO_STUFF, PALETTES

OWN = custom_palette({"Dog": "#ff0000", "grass": "#00ff00", "motor vehicle": "#0000ff"})


@pytest.mark.parametrize("source", PALETTES.values(), ids=lambda palette: palette.name)
@pytest.mark.parametrize("target", PALETTES.values(), ids=lambda palette: palette.name)
def test_the_names_of_a_palette_go_by_its_table(source, target):
    table = counterparts(source, target)
    assert {name: to for name, to in counterparts_of(source.labels, target).items() if table[name]} == {
        name: to for name, to in table.items() if to
    }


def test_spelling_does_not_count():
    for change in (str.upper, lambda name: f" {name} ", lambda name: f"{name}, thing, whatever"):
        names = [change(name) for name in ADE20K.labels]
        assert list(counterparts_of(names, ADE20K).values()) == list(ADE20K.labels)
    names = [name.replace(" ", "_") for name in ADE20K.labels]
    assert list(counterparts_of(names, ADE20K).values()) == list(ADE20K.labels)


def test_cocos_panoptic_names_lose_their_ending():
    names = ["person", "dog", "tree-merged", "wall-other-merged", "sky-other-merged", "floor-wood"]
    expected = ["person", "dog", "tree", "wall-other", "sky-other", "floor-wood"]
    assert list(counterparts_of(names, COCO_STUFF).values()) == expected
    assert list(counterparts_of(names, ADE20K).values()) == [
        "person",
        "animal",
        "tree",
        "wall",
        "sky",
        "floor",
    ]


def test_other_names_are_found_by_what_words_mean():
    to = counterparts_of(["road", "rider", "traffic light", "automobile", "terrain"], COCO_STUFF)
    assert to == {
        "road": "road",
        "rider": "person",
        "traffic light": "traffic light",
        "automobile": "car",
        "terrain": None,
    }


def test_a_palette_of_ones_own():
    assert counterparts_of(["dog", "Grass", "motor_vehicle", "sky"], OWN) == {
        "dog": "Dog",
        "Grass": "grass",
        "motor_vehicle": "motor vehicle",
        "sky": None,
    }


def test_names_without_meaning_have_no_counterpart():
    assert set(counterparts_of(["LABEL_0", "LABEL_1", ""], CELEBAMASK).values()) == {None}
