"""Every example workflow in ComfyUI's page."""

from __future__ import annotations

import pytest
from finesse.miniature.comfy_server import HAS_FACTORS
from finesse.miniature.demo import STORIES
from finesse.miniature.prompts import ON_OBJECT, for_miniature
from finesse.miniature.workflows import examples, to_api

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


RUNNABLE = {name: found for name, found in examples().items() if HAS_FACTORS or name not in STORIES}


@pytest.mark.parametrize("name", RUNNABLE)
def test_what_the_page_serialises_runs(page, name, client):
    workflow = RUNNABLE[name]
    prompt, pictures = for_miniature(page.evaluate(OPEN, workflow), on_object=ON_OBJECT.get(name))
    for picture, png in pictures.items():
        client.upload(png, f"miniature_{picture}")
    for node in prompt.values():
        if node["class_type"] == "LoadImage":
            node["inputs"]["image"] = f"miniature_{node['inputs']['image']}"
        if "steps" in node["inputs"] and not ASKS_OF_MAPS & {
            other["class_type"] for other in prompt.values()
        }:
            node["inputs"]["steps"] = 1

    assert client.images(client.run(prompt))


def test_a_broken_example_is_complained_about(page):
    """Holds the other tests to account: this is what they would see."""
    page.evaluate(OPEN, {"version": 0.4, "nodes": [], "links": []})
    page.evaluate("app.graph.add(Object.assign(new LGraphNode('x'), {type: 'NoSuchNode'}))")

    assert page.evaluate(COMPLAINTS) == ["NoSuchNode"]
