"""A layered edit in ComfyUI's page: what the node shows while it learns, and its Cancel button."""

from __future__ import annotations

import time

from finesse.core.files import read_json
from finesse.demo.page_workflows import FOLDER, PANEL
from finesse.tests.prompts import picture, text_to_image
from finesse.tests.web.pages import in_nodes_2

STEPS = 10_000  # more than are done before the button is pressed
START = """async workflow => {
    await app.loadGraphData(workflow)
    for (const node of app.graph.nodes) {
        const steps = node.widgets?.find(widget => widget.name === 'steps')
        if (steps) steps.value = node.type === 'FinesseFineTuneLayers' ? STEPS : 2
    }
    window.learning = 0
    app.api.addEventListener('progress_state', ({ detail }) => {
        const states = Object.values(detail.nodes).filter(state => state.max === STEPS)
        if (states.length) window.learning = states[0].value
    })
    await app.queuePrompt(0)
}""".replace("STEPS", str(STEPS))


@in_nodes_2
def test_cancel_stops_the_learning_and_leaves_the_model_as_it_was(page, server, client, pixels):
    stock = text_to_image(seed=17)
    before = pixels(picture(client, stock))
    workflow = read_json(server.folder / PANEL / FOLDER / "change_action_and_background.json")
    page.evaluate(START, workflow)
    page.wait_for_function("window.learning > 1")
    shown = page.evaluate("() => app.graph.nodes.find(n => n.type === 'FinesseFineTuneLayers').progress")
    assert 0 < shown < 1

    page.get_by_role("button", name="Cancel current run").click()
    deadline = time.monotonic() + 30
    while client.get_json("/queue")["queue_running"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    assert (pixels(picture(client, stock)) == before).all()
