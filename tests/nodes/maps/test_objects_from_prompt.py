"""*Objects from Prompt* in this process, on ComfyUI's own modules, and the choice of a palette."""

from __future__ import annotations

import json

import pytest
from finesse.core.maps.palettes import PALETTES
from finesse.core.maps.prompt_objects import labels_from, objects_in
from finesse.tests.nodes.maps.running import COLOURS, CUSTOM, run

PROMPT = "Two dogs, a (man:1.2) and a cat on a meadow, without a car"


@pytest.fixture(scope="module")
def objects_of(comfy):
    from finesse.nodes.maps.objects_from_prompt import ObjectsFromPrompt

    return lambda prompt="", **inputs: run(ObjectsFromPrompt, prompt=prompt, **inputs)


def test_the_list_is_that_of_the_prompt_and_is_shown(objects_of):
    found = objects_of(PROMPT)
    assert found.objects == "dog, person, cat, grass"
    assert found.count == 4
    assert found.ui.as_dict()["text"] == (found.objects,)


@pytest.mark.parametrize("palette", PALETTES)
def test_the_palette_decides_and_the_list_can_be_read_back(objects_of, palette):
    prompt = f"{PROMPT}, a face with glasses and brown hair beside a wall"
    found = objects_of(prompt, palette=palette)
    assert found.objects.split(", ") == objects_in(prompt, PALETTES[palette])
    assert objects_of(objects=found.objects, palette=palette).objects == found.objects
    assert len(labels_from(found.objects, PALETTES[palette])) == found.count


def test_a_list_of_ones_own_takes_the_place_of_the_prompts(objects_of):
    found = objects_of(PROMPT, objects=" zebras;\n2 people, zebra ")
    assert (found.objects, found.count) == ("zebra, person", 2)


def test_the_palette_may_be_the_users_own(objects_of):
    assert objects_of("a puppy on the lawn with a zebra", **CUSTOM).objects == "dog, grass"


@pytest.mark.parametrize("prompt", ["", "a feeling of calm, masterpiece", "x" * 5000])
@pytest.mark.parametrize("objects", ["", "  ", ", ;"])
def test_a_prompt_without_objects_is_an_error(objects_of, prompt, objects):
    with pytest.raises(ValueError, match="prompt names no object that the palette ade20k knows") as error:
        objects_of(prompt, objects=objects, palette="ade20k")
    assert repr(prompt[:20])[1:-1] in str(error.value)
    assert len(str(error.value)) < 300


def test_an_unknown_name_is_refused_with_a_hint(objects_of):
    with pytest.raises(ValueError, match=r"objects: .* coco-stuff has no 'zebar' \(did you mean zebra "):
        objects_of(PROMPT, objects="dog, zebar")


@pytest.mark.parametrize(
    ("palette", "custom", "message"),
    [
        ("custom", " \n", r'custom_palette is empty, but palette is custom; write .*\{"dog": "#ff0000"'),
        ("custom", "{dog: red}", r"custom_palette: '\{dog: red\}' is not JSON"),
        ("custom", '{"dog": "red"}', "custom_palette: the colour of 'dog' is 'red'; give '#rrggbb'"),
        ("custom", "[]", r"custom_palette: got \[\]; give an object"),
        ("coco", "", "palette is 'coco'; choose one of coco-stuff, .*, celebamask or custom"),
    ],
)
def test_a_wrong_palette_is_named(objects_of, palette, custom, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        objects_of(PROMPT, palette=palette, custom_palette=custom)


def test_a_custom_palette_is_read_only_when_chosen(objects_of):
    for custom in ("no JSON", json.dumps(COLOURS)):
        assert objects_of("a zebra", custom_palette=custom).objects == "zebra"
