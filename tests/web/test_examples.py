"""Every example workflow in ComfyUI's page."""

from __future__ import annotations

import pytest
from finesse.core.files import read_json
from finesse.demo.page_workflows import FOLDER, PANEL
from finesse.demo.workflows import examples, to_api

OPEN = "async workflow => { await app.loadGraphData(workflow); return (await app.graphToPrompt()).output }"
# Toasts, dialogs, and the marks on nodes that miss a type, a model or a picture.
COMPLAINTS = """() => [
    ...[...document.querySelectorAll('[role=dialog], [role=alert], .p-toast-message')].map(e => e.innerText),
    ...app.graph.nodes.filter(node => node.has_errors || !LiteGraph.registered_node_types[node.type])
        .map(node => node.type),
]"""


ASKS_OF_MAPS = {"FinesseEditMap", "FinesseMapToMasks"}  # nodes that look for objects in a map


@pytest.fixture(params=examples())
def example(request):
    return request.param, examples()[request.param]


def test_an_example_opens_without_complaints(page, example):
    page.evaluate(OPEN, example[1])
    page.wait_for_timeout(300)

    assert page.evaluate(COMPLAINTS) == []


def test_the_page_serialises_an_example_as_to_api_does(page, example, object_info):
    assert page.evaluate(OPEN, example[1]) == to_api(example[1], object_info)


@pytest.mark.parametrize("name", examples())
def test_an_example_runs_on_the_miniature(page, name, server, client, object_info):
    workflow = read_json(server.folder / PANEL / FOLDER / f"{name}.json")
    prompt = page.evaluate(OPEN, workflow)
    page.wait_for_timeout(300)
    assert page.evaluate(COMPLAINTS) == []
    assert prompt == to_api(workflow, object_info)

    asks_of_maps = ASKS_OF_MAPS & {node["class_type"] for node in prompt.values()}
    for node in prompt.values():
        if "steps" in node["inputs"] and not asks_of_maps:
            node["inputs"]["steps"] = 2  # of one, core's Plot Loss Graph divides by zero
    assert client.images(client.run(prompt))


def test_a_broken_example_is_complained_about(page):
    """Holds the other tests to account: this is what they would see."""
    page.evaluate(OPEN, {"version": 0.4, "nodes": [], "links": []})
    page.evaluate("app.graph.add(Object.assign(new LGraphNode('x'), {type: 'NoSuchNode'}))")

    assert page.evaluate(COMPLAINTS) == ["NoSuchNode"]
