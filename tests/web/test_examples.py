"""Every example in ComfyUI's page: it opens, and makes the prompt that tests/server/test_demo.py runs."""

from __future__ import annotations

import pytest
from finesse.core.files import read_json
from finesse.demo.family_graphs import other_examples
from finesse.demo.page_workflows import FOLDER, PANEL
from finesse.demo.workflows import examples, to_api
from finesse.tests.web.pages import in_nodes_2

OPEN = "async workflow => { await app.loadGraphData(workflow); return (await app.graphToPrompt()).output }"
# Toasts, dialogs, and the marks on nodes that miss a type, a model or a picture.
COMPLAINTS = """() => [
    ...[...document.querySelectorAll('[role=dialog], [role=alert], .p-toast-message')]
        .map(element => element.innerText.trim()).filter(Boolean),
    ...app.graph.nodes.filter(node => node.has_errors || !LiteGraph.registered_node_types[node.type])
        .map(node => node.type),
]"""


def check(page, workflow, object_info):
    prompt = page.evaluate(OPEN, workflow)
    page.wait_for_timeout(300)
    assert page.evaluate(COMPLAINTS) == []
    assert prompt == to_api(workflow, object_info)


@pytest.mark.parametrize("name", examples())
def test_an_example_opens_without_complaints_and_is_the_prompt_of_a_program(page, name, object_info):
    check(page, examples()[name], object_info)


@in_nodes_2
@pytest.mark.parametrize("name", other_examples())
def test_so_it_is_on_the_miniature(page, name, server, object_info):
    check(page, read_json(server.folder / PANEL / FOLDER / f"{name}.json"), object_info)


def test_what_goes_wrong_is_seen(page):
    """Holds the other tests to account: this is what they would see."""
    page.evaluate("() => { app.graph.add(Object.assign(new LGraphNode('x'), {type: 'NoSuchNode'})) }")
    assert page.evaluate(COMPLAINTS) == ["NoSuchNode"]

    page.evaluate("() => { app.extensionManager.toast.add({severity: 'error', summary: 'Spilt milk'}) }")
    page.get_by_text("Spilt milk").first.wait_for()
    assert any("Spilt milk" in said for said in page.evaluate(COMPLAINTS))
