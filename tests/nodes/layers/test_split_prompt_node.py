"""*Split Edit Prompt* in this process, on ComfyUI's own modules."""

import pytest
from finesse.tests.nodes.maps.running import run

PROMPT = "a dog jumping in a forest"


@pytest.fixture(scope="module")
def split(comfy):
    from finesse.nodes.layers.split_prompt import SplitEditPrompt

    return lambda prompt="", **inputs: run(SplitEditPrompt, prompt=prompt, **inputs)


def test_both_texts_are_given_and_shown(split):
    found = split(PROMPT)
    assert (found.object, found.background) == ("a dog jumping", "a forest")
    assert found.ui.as_dict()["text"] == ("object: a dog jumping\nbackground: a forest",)


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({"object": " a puppy "}, ("a puppy", "a forest")),
        ({"background": "snow"}, ("a dog jumping", "snow")),
        ({"object": "a puppy", "background": "snow"}, ("a puppy", "snow")),
        ({"object": " ", "background": "\n"}, ("a dog jumping", "a forest")),
    ],
)
def test_a_text_of_ones_own_takes_the_place_of_the_found_one(split, own, expected):
    found = split(PROMPT, **own)
    assert (found.object, found.background) == expected
    assert found.ui.as_dict()["text"] == (f"object: {expected[0]}\nbackground: {expected[1]}",)


def test_a_missing_background_is_told_and_can_be_written(split):
    found = split("a dog")
    assert (found.object, found.background) == ("a dog", "")
    assert "background: none found; write it into background" in found.ui.as_dict()["text"][0]
    assert split("a dog", background="a beach").background == "a beach"


def test_a_sentence_without_a_subject_is_refused_until_one_is_written(split):
    with pytest.raises(
        ValueError, match=r"prompt names only a background, got 'in a forest'; .* into object"
    ):
        split("in a forest")
    found = split("in a forest", object="a dog")
    assert (found.object, found.background) == ("a dog", "a forest")
    with pytest.raises(ValueError, match=r"got 'in aaa.*\.\.\.'"):
        split("in " + "a" * 1000)


def test_an_empty_prompt_is_refused(split):
    with pytest.raises(ValueError, match="prompt is empty, got ' '"):
        split(" ", object="a dog")
