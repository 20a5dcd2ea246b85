"""The nodes speak English, Chinese, Japanese and French: all of it, and what they say now."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from finesse.demo import locales

WRITE = "run: python -m finesse.demo.locales"
PAGE_SYNTAX = set("{}@|")  # the page's translator would read them, but for tooltips
KEPT = re.compile(
    r"""
    [\[{].*[\]}]                 # JSON
    | [\w.]*\w/\w[\w/]*          # folders
    | (?:\w+\.)*\w*\.[a-z]\w+    # files, endings, modules
    | \d+(?:\.\d+)?              # numbers
    | \b[A-Z]+[a-z]*[A-Z]\w*     # proper names such as UNet, COCO, LayerDiffusion
    """,
    re.VERBOSE,
)
CORE_NODES = ("KSampler", "SamplerCustomAdvanced", "VAE Decode", "CFG Guider")  # have names in each language
UNITS = {"GB"}
SCHEMAS = json.loads((Path(__file__).parent / "node_schemas.json").read_text("utf-8"))

languages = pytest.mark.parametrize("language", locales.LANGUAGES)


def catalogue(language):
    return locales.read(locales.FOLDER / f"{language}.json")


def nodes(language):
    return locales.read(locales.FOLDER / language / "nodeDefs.json")


def without_bracket(name):
    return re.split(r"\s*[(（]", name)[0]


def test_english_is_what_the_nodes_say(object_info):
    assert locales.read_english() == locales.english(object_info), f"{WRITE} --read-nodes"


@languages
def test_all_is_translated(language):
    assert locales.missing(language) == [], f"to be translated in locales/{language}.json"


@languages
def test_nothing_is_left_over(language):
    assert locales.left_over(language) == [], f"no longer said: remove it from locales/{language}.json"


@languages
def test_the_page_is_given_what_was_translated(language):
    found = {path.name: locales.read(path) for path in (locales.FOLDER / language).iterdir()}
    assert found == locales.files(language), f"{WRITE} {language}"


def test_no_other_language_is_begun():
    folders = {path.name for path in locales.FOLDER.iterdir() if path.is_dir()}
    assert folders == {"en", *locales.LANGUAGES}


@pytest.mark.parametrize("language", ["en", *locales.LANGUAGES])
def test_the_page_can_read_it(language):
    for path in (locales.FOLDER / language).iterdir():
        for text in locales.texts(without_tooltips(locales.read(path))):
            assert not PAGE_SYNTAX & set(text), f"{path}: {text!r} holds {' '.join(PAGE_SYNTAX)}"


def without_tooltips(tree):
    return {
        key: without_tooltips(value) if isinstance(value, dict) else value
        for key, value in tree.items()
        if key != "tooltip"
    }


@languages
def test_nodes_are_called_by_their_names(language):
    words = catalogue(language)
    names = [node["display_name"] for node in nodes("en").values()]
    for text, translation in words.items():
        for name in names:
            if without_bracket(name) in text:
                assert without_bracket(words[name]) in translation, (text, translation, words[name])


@languages
def test_inputs_and_outputs_are_called_by_their_names(language):
    words = catalogue(language)
    for node in nodes("en").values():
        slots = {slot.get("name") for kind in ("inputs", "outputs") for slot in node.get(kind, {}).values()}
        for text in locales.texts(node):
            for name in slots & set(re.findall(r"\w+_\w+", text)) - {text}:
                assert words[name] in words[text], (text, words[text], words[name])


@languages
def test_names_and_numbers_stay(language):
    for text, translation in catalogue(language).items():
        english = re.sub("|".join(CORE_NODES), "", text)
        for token in set(KEPT.findall(english)) - UNITS:
            assert token in translation, (token, text, translation)


@languages
def test_values_stay(language):
    """The page shows the values of a drop-down as they are."""
    words = catalogue(language)
    for node, schema in SCHEMAS.items():
        for name, kind, options in (spec for group in schema["inputs"].values() for spec in group):
            text = nodes("en")[node]["inputs"][name]["tooltip"]
            for value in options.get("options", []) if kind == "COMBO" else []:
                if re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text):
                    assert value in words[text], (value, text, words[text])


@languages
def test_no_two_inputs_of_a_node_look_alike(language):
    for node in nodes(language).values():
        for kind in ("inputs", "outputs"):
            shown = [slot["name"] for slot in node.get(kind, {}).values() if "name" in slot]
            assert len(set(shown)) == len(shown), json.dumps(node, ensure_ascii=False)


@languages
def test_texts_are_clean(language):
    for text, translation in catalogue(language).items():
        assert translation == translation.strip(), translation
        assert "  " not in translation, translation
        assert text.count("\n") == translation.count("\n"), translation
