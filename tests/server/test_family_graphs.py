"""The files of the families' example workflows: what demo/family_graphs.py makes for a real ComfyUI."""

from __future__ import annotations

import json

import pytest
from finesse.demo.family_graphs import README, graphs
from finesse.demo.family_notes import table_of
from finesse.demo.workflows import EXAMPLES, examples, to_api

REPOSITORY = "https://huggingface.co/"
GRAPHS = graphs()


@pytest.mark.parametrize("name", GRAPHS)
def test_a_file_is_what_the_script_makes(name, object_info):
    made = json.loads(json.dumps(GRAPHS[name].workflow(object_info)))
    assert examples()[name] == made, "run: python -m finesse.demo.family_graphs"
    assert (EXAMPLES / f"{name}.jpg").is_file()


@pytest.mark.parametrize("name", GRAPHS)
def test_a_file_and_its_prompt_are_one_graph(name, object_info):
    found = to_api(examples()[name], object_info)
    bare = {key: {part: node[part] for part in ("class_type", "inputs")} for key, node in found.items()}
    assert bare == GRAPHS[name].prompt()


@pytest.mark.parametrize("name", GRAPHS)
def test_every_file_of_a_model_has_a_name_a_folder_and_an_address(name):
    chosen = set()
    for node in examples()[name]["nodes"]:
        files = node["properties"].get("models", [])
        chosen |= {value for value in node.get("widgets_values", []) if str(value).endswith(".safetensors")}
        for file in files:
            assert file["name"] in node["widgets_values"]
            assert file["url"].startswith(REPOSITORY)
            assert file["url"].endswith(f"/{file['name']}")
            assert file["directory"]
    assert chosen == {file.name for file in GRAPHS[name].models}


def test_readme_tells_which_workflow_is_for_which_model():
    assert table_of(GRAPHS.values()) in README.read_text("utf-8"), "run: python -m finesse.demo.family_graphs"
