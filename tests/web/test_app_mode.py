"""The page's app mode shows what a user sets in an example, our own widgets included."""

from __future__ import annotations

import pytest
from finesse.demo.workflows import examples
from finesse.tests.web.pages import in_nodes_2

OWN_WIDGETS = {  # what of ours is shown in each of the four common jobs
    "draw_small_object": ".finesse-frame",
    "prompt_to_picture_by_recall": ".finesse-seeds-list",
    "edit_map_and_regenerate": ".finesse-map-edit",
    "change_action_and_background": None,
}
TOGGLE = "() => app.extensionManager.command.execute('Comfy.ToggleLinear')"
SHOWN = """([inputs, outputs]) => ({
    widgets: inputs.every(([id, name]) =>
        app.graph.getNodeById(id)?.widgets?.some(widget => widget.name === name)),
    results: outputs.every(id => app.graph.getNodeById(id)?.type === 'SaveImage'),
})"""


@pytest.fixture
def app_mode(page):
    """Opens a workflow in app mode."""

    def open_workflow(workflow):
        page.evaluate("async workflow => { await app.loadGraphData(workflow) }", workflow)
        page.evaluate(TOGGLE)
        page.get_by_text("Number of runs").wait_for()

    yield open_workflow
    page.evaluate(TOGGLE)


@in_nodes_2
@pytest.mark.parametrize("name", OWN_WIDGETS)
def test_an_example_is_an_app(page, app_mode, name):
    workflow = examples()[name]
    told = workflow["extra"]["linearData"]
    app_mode(workflow)
    given = [told["inputs"], told["outputs"]]
    assert page.evaluate(SHOWN, given) == {"widgets": True, "results": True}
    for _, label in told["inputs"]:
        assert page.get_by_text(label, exact=True).locator("visible=true").count(), label
    if OWN_WIDGETS[name]:
        page.locator(f"{OWN_WIDGETS[name]}:visible").first.wait_for()
