"""Target sentences split into object and background."""

import re
from collections import Counter

import pytest
from finesse.core.layers.split_prompt import EditPrompt, split_edit_prompt

SENTENCES = {
    # the subject, then its place or time
    "a dog jumping in a forest": ("a dog jumping", "a forest"),
    "A blue car on snow.": ("A blue car", "snow"),
    "a giraffe lies on a beach": ("a giraffe lies", "a beach"),
    "a dancing person at night": ("a dancing person", "night"),
    "a house by the sea": ("a house", "the sea"),
    "a house surrounded by trees": ("a house", "trees"),
    "a man walking his dog down the street": ("a man walking his dog", "the street"),
    "a dog lying down on a rug": ("a dog lying down", "a rug"),
    "a spaceship between two planets in space": ("a spaceship", "two planets in space"),
    "a cow on the side of a road": ("a cow", "a road"),
    "a child running through a field of flowers at sunset": (
        "a child running",
        "a field of flowers at sunset",
    ),
    "two dogs playing in a dining room": ("two dogs playing", "a dining room"),
    "a dog next to a swimming pool in a garden": ("a dog", "a swimming pool in a garden"),
    "a fox under a parking sign": ("a fox", "a parking sign"),
    "there is a dog in the snow": ("a dog", "the snow"),
    # the place or time first
    "in a forest, a dog jumps": ("a dog jumps", "a forest"),
    "On the beach a giraffe lies": ("a giraffe lies", "the beach"),
    "in a dark, misty forest, a dog jumps over a log": ("a dog jumps over a log", "a dark, misty forest"),
    "on a beach a dog, a cat and a bird play": ("a dog, a cat and a bird play", "a beach"),
    "in the middle of a forest a dog jumps": ("a dog jumps", "a forest"),
    "In the park there's a dog": ("a dog", "the park"),
    "In winter, dogs play": ("dogs play", "winter"),
    "At night, a person dances in the street": ("a person dances", "the street at night"),
    # what looks like a place but is the subject's
    "a cat with a red hat sitting on the sofa in a living room": (
        "a cat with a red hat sitting",
        "the sofa in a living room",
    ),
    "hot dog on a stick": ("hot dog on a stick", ""),
    "a hot dog on a stick in a park": ("a hot dog on a stick", "a park"),
    "man in a suit in a city": ("man in a suit", "a city"),
    "a man in a suit running in a city": ("a man in a suit running", "a city"),
    "in a suit, a man walks on a street": ("in a suit, a man walks", "a street"),
    "woman on a horse": ("woman on a horse", ""),
    "a woman on a horse in a field": ("a woman on a horse", "a field"),
    "a woman in a long red dress dancing on a stage": ("a woman in a long red dress dancing", "a stage"),
    "a man in black in a bar": ("a man in black", "a bar"),
    "a bear standing on its hind legs in a river": ("a bear standing on its hind legs", "a river"),
    "a girl with flowers in her hair in a meadow": ("a girl with flowers in her hair", "a meadow"),
    "a bird flying in the air above a lake": ("a bird flying in the air", "a lake"),
    "a car on fire on a highway": ("a car on fire", "a highway"),
    "a cat by the fire": ("a cat", "the fire"),
    "a man looking at the camera in a bar": ("a man looking at the camera", "a bar"),
    "a dog covered in mud in a field": ("a dog covered in mud", "a field"),
    "a cat in the style of Monet in a garden": ("a cat in the style of Monet", "a garden"),
    "a garden by Monet": ("a garden by Monet", ""),
    "a street leading to a castle": ("a street leading to a castle", ""),
    # what holds the subject
    "a cake on a plate": ("a cake", "a plate"),
    "a cake on a plate on a table": ("a cake on a plate", "a table"),
    "a man in a boat on a lake": ("a man in a boat", "a lake"),
    # the subject goes on after the place
    "a man on a beach wearing a hat": ("a man wearing a hat", "a beach"),
    "a dog in a forest, wearing a hat": ("a dog wearing a hat", "a forest"),
    "a woman on a beach in a red dress": ("a woman in a red dress", "a beach"),
    "a girl in a park playing with a ball": ("a girl playing with a ball", "a park"),
    "a dog in a park with children playing": ("a dog", "a park with children playing"),
    "a dog in a street leading to a castle": ("a dog", "a street leading to a castle"),
    # without a preposition
    "a dog jumping, snowy forest, night": ("a dog jumping", "snowy forest, night"),
    "a dog jumping, forest background": ("a dog jumping", "forest background"),
    "a dog with mountains in the background": ("a dog", "mountains"),
    "a man in a suit, a city in the background": ("a man in a suit", "a city"),
    "a red car, masterpiece": ("a red car, masterpiece", ""),
    "a dog": ("a dog", ""),
    "in a forest": ("", "a forest"),
    # ComfyUI's syntax
    "(a dog:1.2) in (a forest:0.9)": ("(a dog:1.2)", "(a forest:0.9)"),
    "a (dog in a forest:1.2)": ("a (dog in a forest:1.2)", ""),
    "(a dog in a bar, a cat:1.2), embedding:x.pt on a roof": (
        "(a dog in a bar, a cat:1.2), embedding:x.pt",
        "a roof",
    ),
}


@pytest.mark.parametrize(("prompt", "expected"), SENTENCES.items())
def test_a_sentence_is_split(prompt, expected):
    assert split_edit_prompt(prompt) == EditPrompt(*expected)


@pytest.mark.parametrize("prompt", SENTENCES)
def test_no_word_is_added_or_said_twice(prompt):
    found = split_edit_prompt(prompt)
    left = Counter(words(prompt))
    left.subtract(words(f"{found.object} {found.background}"))
    assert set(left.values()) <= {0, 1}
    assert left.total() <= 4  # a preposition, in the background, there is


def words(text):
    return re.findall(r"[^\s,]+", text.lower().rstrip("."))


@pytest.mark.parametrize("prompt", [sentence for sentence, texts in SENTENCES.items() if all(texts)])
def test_an_object_text_has_no_background_left_in_it(prompt):
    alone = split_edit_prompt(split_edit_prompt(prompt).object)
    # after a place at the beginning all the rest is the object's; a plate alone is a place again
    kept = {"over a log", "on a plate", "in a boat"}
    assert alone.background == "" or any(words in prompt for words in kept)


def test_spaces_and_line_ends_do_not_count():
    assert split_edit_prompt("  a dog\n jumping   in\ta forest ") == EditPrompt("a dog jumping", "a forest")


@pytest.mark.parametrize("prompt", ["", " \n", ".,;", "(("])
def test_a_prompt_without_words_is_refused(prompt):
    with pytest.raises(ValueError, match=r"prompt is empty, got .*; write what the edited picture shows"):
        split_edit_prompt(prompt)


@pytest.mark.parametrize(
    "prompt", ["in", "a dog in", "in,", "in in in", ", a dog", "with", "the", "x" * 9999]
)
def test_odd_prompts_do_no_harm(prompt):
    found = split_edit_prompt(prompt)
    assert found.object or found.background
