"""Makes the pack's locales/, from which ComfyUI's page reads the nodes' texts in other languages.

locales/<language>.json is what translators write: each English text and its translation. The files in
locales/<language>/ are made from it by this script, and those in locales/en/ from the nodes themselves and
from locales/en.json, which holds what the code in web/ gives to the page's menus, in the page's layout:

    python -m finesse.demo.locales --languages fr    write locales/fr/, print what the translation lacks
    python -m finesse.demo.locales --read-nodes      first ask a ComfyUI for the nodes and write locales/en/
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..training.loop.config import option, parse, script, words
from .server import PACK, ComfyServer

FOLDER = PACK / "locales"
LANGUAGES = ("zh", "ja", "fr")

Tree = dict[str, Any]  # nested; its leaves are texts
Catalogue = dict[str, str]  # English -> translation


@dataclass
class Arguments:
    """Which files to write."""

    languages: str = option("", f"of {', '.join(LANGUAGES)}; empty for all")
    read_nodes: bool = option(False, "ask a ComfyUI for the nodes' English")


def english(object_info: Tree) -> dict[str, Tree]:
    """Collect the pack's texts as the files of locales/en: name -> content.

    Args:
        object_info: all nodes, as a server describes them.
    """
    nodes = {name: info for name, info in object_info.items() if _is_ours(info)}
    categories = {part: part for info in nodes.values() for part in info["category"].split("/")[1:]}
    menus = read(FOLDER / "en.json")
    return {
        "commands.json": menus["commands"],
        "main.json": {"nodeCategories": categories, "contextMenu": menus["contextMenu"]},
        "nodeDefs.json": {name: _node_texts(info) for name, info in nodes.items()},
    }


def texts(tree: Tree) -> Iterator[str]:
    """All texts of a tree, in its order."""
    for value in tree.values():
        if isinstance(value, dict):
            yield from texts(value)
        else:
            yield value


def translated(tree: Tree, catalogue: Catalogue) -> Tree:
    """The tree with its texts translated, without those that the catalogue lacks."""
    pairs = {
        key: translated(value, catalogue) if isinstance(value, dict) else catalogue.get(value)
        for key, value in tree.items()
    }
    return {key: value for key, value in pairs.items() if value}


def files(language: str) -> dict[str, Tree]:
    """Make the content of locales/<language>/ from its catalogue and locales/en: name -> content."""
    catalogue = read(FOLDER / f"{language}.json")
    return {name: translated(tree, catalogue) for name, tree in read_english().items()}


def missing(language: str) -> list[str]:
    """The English texts that a language's catalogue lacks."""
    catalogue = read(FOLDER / f"{language}.json")
    return [text for text in _said_in_english() if not catalogue.get(text)]


def left_over(language: str) -> list[str]:
    """The texts of a language's catalogue that English no longer has."""
    said = _said_in_english()
    return [text for text in read(FOLDER / f"{language}.json") if text not in said]


def read_english() -> dict[str, Tree]:
    """The files of locales/en: name -> content."""
    return {path.name: read(path) for path in sorted((FOLDER / "en").glob("*.json"))}


def read(path: Path) -> Tree:
    """A JSON file's content; nothing where it is not there."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def write(language: str, content: dict[str, Tree]) -> None:
    """Write the files of locales/<language>/."""
    for name, tree in content.items():
        path = FOLDER / language / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(tree, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _said_in_english() -> dict[str, None]:
    """All English texts, each once, in their order."""
    return dict.fromkeys(text for tree in read_english().values() for text in texts(tree))


def _is_ours(info: Tree) -> bool:
    return "ComfyUI-Finesse" in info["python_module"]


def _node_texts(info: Tree) -> Tree:
    inputs: Tree = {}
    for group in ("required", "optional"):
        for name, (kind, options) in info["input"].get(group, {}).items():
            inputs[name] = {"name": name, "tooltip": options["tooltip"]}
            if kind == "COMFY_AUTOGROW_V3":
                inputs |= _grown_inputs(name, options["template"])
    outputs = {
        str(index): {"name": name, "tooltip": tooltip}
        for index, (name, tooltip) in enumerate(
            zip(info["output_name"], info["output_tooltips"], strict=True)
        )
    }
    said = {"display_name": info["display_name"], "description": info["description"], "inputs": inputs}
    return said | ({"outputs": outputs} if outputs else {})


def _grown_inputs(name: str, template: Tree) -> Tree:
    """Texts of the inputs that the page makes from a growing one; it writes their dots as underscores."""
    ((_, options),) = template["input"]["required"].values()
    grown = template.get("names") or [f"{template['prefix']}{index}" for index in range(template["max"])]
    return {f"{name}_{each}": {"tooltip": options["tooltip"]} for each in grown}


def main() -> None:
    """Write locales/ and print what is to be translated."""
    (arguments,) = parse([Arguments], {})
    languages = words(arguments.languages) or LANGUAGES
    if unknown := set(languages) - set(LANGUAGES):
        raise ValueError(f"languages: {', '.join(unknown)} is none of {', '.join(LANGUAGES)}.")
    if arguments.read_nodes:
        with ComfyServer() as server:
            write("en", english(server.client().object_info()))
    for language in languages:
        write(language, files(language))
        print(f"{language}.json lacks", file=sys.stderr)
        print(json.dumps(dict.fromkeys(missing(language), ""), indent=2, ensure_ascii=False))
        for text in left_over(language):
            print(f"{language}.json: English no longer says {text!r}")


if __name__ == "__main__":
    script(main)
