"""The four common jobs in the page's App mode, which shows a form instead of the graph."""

from __future__ import annotations

import numpy as np
import pytest
from finesse.core.files import read_json
from finesse.demo.page_workflows import FOLDER, PANEL
from finesse.demo.workflows import examples
from finesse.tests.web.newcomer import drag, run, saved
from finesse.tests.web.pages import OWN, in_nodes_2

JOBS = ("draw_", "replace_", "remove_", "edit_with_")  # in a box
APPS = [
    name
    for name, workflow in examples().items()
    if "linearData" in workflow["extra"] and name.startswith(JOBS)
]
OTHERS = {  # what of ours the other jobs show
    "prompt_to_picture_by_recall": ".finesse-seeds-list",
    "edit_map_and_regenerate": ".finesse-map-edit",
    "change_action_and_background": None,
}
TOGGLE = "app.extensionManager.command.execute('Comfy.ToggleLinear')"
OPEN = "workflow => app.loadGraphData(workflow)"
FRAME = ".finesse-frame:visible"
RESULT = "[data-testid^=linear-] img[src*=draw_small_object_0]:visible"
FEW_STEPS = """() => {
    const node = app.rootGraph.nodes.find(node => node.type === 'KSampler')
    node.widgets.find(widget => widget.name === 'steps').value = 2
}"""


@pytest.fixture
def app_mode(page):
    """Opens a workflow in App mode, and leaves it after the test."""

    page.set_default_timeout(30_000)

    def show(workflow):
        page.evaluate(OPEN, workflow)
        page.evaluate(TOGGLE)
        page.get_by_text("Number of runs").wait_for()
        welcome = page.get_by_role("button", name="Skip")
        page.wait_for_timeout(500)
        if welcome.count():
            welcome.click()

    yield show
    page.evaluate(TOGGLE)
    page.get_by_text("Number of runs").wait_for(state="detached")


def form(page):
    """What the form asks for: the labels of its fields."""
    fields = page.get_by_test_id("linear-widgets").inner_text().split("\n")
    return [field for field in fields if field in ("image", "box", "text", "prompt", "seed", "noise_seed")]


@in_nodes_2
@pytest.mark.parametrize("name", APPS)
def test_the_form_asks_for_picture_box_prompt_and_seed(app_mode, page, name):
    app_mode(examples()[name])
    page.locator(FRAME).wait_for()
    image, box, *rest = form(page)
    assert (image, box) == ("image", "box")
    assert rest in (["text", "seed"], ["prompt", "seed"], ["text", "noise_seed"])


@in_nodes_2
@pytest.mark.parametrize("name", OTHERS)
def test_the_form_of_other_jobs_has_our_widgets(app_mode, page, name):
    workflow = examples()[name]
    app_mode(workflow)
    for _, label, *_ in workflow["extra"]["linearData"]["inputs"]:
        assert page.get_by_text(label, exact=True).locator("visible=true").count(), label
    if OTHERS[name]:
        page.locator(f"{OTHERS[name]}:visible").first.wait_for()


def test_the_common_jobs_are_there():
    assert {"draw_small_object", "replace_small_object", "remove_small_object"} <= set(APPS)
    assert [name for name in APPS if name.startswith("edit_with")]


@pytest.mark.parametrize("opened", ["nodes-2.0", "nodes-2.0" + OWN], indirect=True)
def test_a_box_is_drawn_and_filled_without_the_graph(app_mode, page, opened, client, pixels):
    app_mode(read_json(opened.server.folder / PANEL / FOLDER / "draw_small_object.json"))
    page.locator(FRAME).wait_for()
    page.evaluate(FEW_STEPS)
    page.get_by_role("button", name="Remove the box (Delete)").click()
    frame = page.locator(FRAME).bounding_box()
    corner, far = (
        (frame["x"] + part * frame["width"], frame["y"] + part * frame["height"]) for part in (0.25, 0.5)
    )
    drag(page, corner, far)
    page.get_by_test_id("linear-widgets").locator("textarea").fill("a blue bus")

    assert run(page) is None
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    assert "a blue bus" in [node["inputs"].get("text") for node in prompt.values()]
    original = pixels(client.get("/view?filename=draw_small_object_example.png&type=input"))[..., :3]
    (edited,) = saved(page, client, pixels, "SaveImage")
    rows, columns = np.nonzero((np.abs(edited.astype(int) - original) > 1).any(-1))
    assert (rows.min(), rows.max() + 1) == pytest.approx((16, 32), abs=4)
    assert (columns.min(), columns.max() + 1) == pytest.approx((16, 32), abs=4)
    page.locator(RESULT).first.wait_for()
