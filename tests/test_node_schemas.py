"""Every node is described in full, and its saved interface does not change by accident.

`pytest --write-schemas` writes tests/node_schemas.json anew, after a change that was meant.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from finesse.demo.workflows import examples

ROOT = Path(__file__).resolve().parent.parent
SNAPSHOT = ROOT / "tests" / "node_schemas.json"
TEXTS = ("tooltip",)  # may be bettered at any time
FILES = (".safetensors", ".pth", ".png", "none found")  # what is on the disk is no part of an interface


@pytest.fixture(scope="module")
def nodes(object_info):
    """The pack's node types, as the server describes them."""
    return {name: info for name, info in object_info.items() if "ComfyUI-Finesse" in info["python_module"]}


def without_files(value):
    return [item for item in value if not str(item).endswith(FILES)] if isinstance(value, list) else value


def interface(info):
    """What saved workflows and API prompts depend on, in the order they depend on it."""
    inputs = {
        group: [
            [name, spec[0], {key: without_files(value) for key, value in spec[1].items() if key not in TEXTS}]
            for name, spec in ((name, info["input"][group][name]) for name in names)
            if group != "hidden"
        ]
        for group, names in info["input_order"].items()
    }
    outputs = [list(pair) for pair in zip(info["output"], info["output_name"], strict=True)]
    return {"inputs": inputs, "outputs": outputs}


def test_the_pack_has_nodes(nodes):
    assert nodes


def test_every_node_is_described(nodes):
    for name, info in nodes.items():
        assert name.startswith("Finesse"), name
        assert info["category"].startswith("Finesse/"), name
        assert info["description"], name
        assert info["search_aliases"], name


def test_every_input_and_output_has_a_tooltip(nodes):
    for name, info in nodes.items():
        for group in ("required", "optional"):
            for input_name, spec in info["input"].get(group, {}).items():
                assert spec[1].get("tooltip"), f"{name}: {input_name}"
        assert len(info["output_tooltips"]) == len(info["output"]), name
        assert all(info["output_tooltips"]), name


def test_every_node_has_a_help_page(nodes):
    for name in nodes:
        page = ROOT / "web" / "docs" / f"{name}.md"
        assert page.exists(), page
        assert page.read_text("utf-8").strip(), page


def test_every_help_page_has_a_node(nodes):
    assert {path.stem for path in (ROOT / "web" / "docs").glob("*.md")} <= set(nodes)


def test_every_node_stands_in_an_example_workflow(nodes):
    used = {node["type"] for workflow in examples().values() for node in workflow["nodes"]}
    assert set(nodes) <= used


def test_no_interface_changed(nodes, pytestconfig):
    found = {name: interface(info) for name, info in sorted(nodes.items())}
    if pytestconfig.getoption("--write-schemas"):
        SNAPSHOT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    assert found == json.loads(SNAPSHOT.read_text("utf-8"))
