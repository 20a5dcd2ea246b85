"""The scale of *Inpaint Small Box* in ComfyUI's page: what the box picker shows, and what is saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from finesse.core.files import read_json
from finesse.demo.workflows import to_api
from finesse.tests.web.box_picking import FRAME, NODE, RELOAD, settle

OLD = Path(__file__).parent / "old_workflows"  # examples as they were saved before there was a scale
OPEN = "async workflow => { await app.loadGraphData(workflow); return (await app.graphToPrompt()).output }"

FRAME_OF_WINDOW = f"{FRAME} .finesse-window"
INPUTS = """async () => Object.values((await app.graphToPrompt()).output)
    .find(node => node.class_type === 'FinesseInpaintSmallBox').inputs"""
SET = (
    f"([name, value]) => {{ const widget = {NODE}.widgets.find(each => each.name === name);"
    + """
    widget.value = value
    widget.callback?.(value)
    app.canvas.setDirty(true, true)
}"""
)
NEW = """async () => {
    app.rootGraph.clear()
    app.rootGraph.add(LiteGraph.createNode('FinesseInpaintSmallBox'))
}"""


def put(page, **values):
    for name, value in values.items():
        page.evaluate(SET, [name.replace("__", "."), value])


def shown(page):
    """Grade of the first box, what the panel says of it, and the label of the window's frame."""
    settle(page)
    grade = page.locator(f"{FRAME} .finesse-box").first.get_attribute("class").split("finesse-")[-1]
    label = page.locator(f"{FRAME} .finesse-window-label")
    return grade, page.locator(".finesse-area").inner_text(), label.text_content() if label.count() else None


@pytest.mark.own_page_too
def test_a_workflow_of_before_opens_unscaled(picker):
    assert picker.evaluate(INPUTS)["scale"] == "none"
    assert picker.locator(FRAME_OF_WINDOW).count() == 0


@pytest.mark.own_page_too
@pytest.mark.parametrize("name", [path.stem for path in sorted(OLD.glob("*.json"))])
def test_an_old_workflow_is_still_the_same_prompt(page, name, object_info):
    old = read_json(OLD / f"{name}.json")
    expected = to_api(old, object_info)
    for node in expected.values():
        if node["class_type"] == "FinesseInpaintSmallBox":
            node["inputs"]["scale"] = "none"
    assert page.evaluate(OPEN, old) == expected


@pytest.mark.own_page_too
def test_the_window_and_the_grade_follow_the_scale(picker):
    put(picker, box={"x": 200, "y": 208, "width": 24, "height": 24})
    assert shown(picker) == ("red", "0.38 × 0.38 cells at the lowest level", None)
    put(picker, scale="auto")
    picker.wait_for_selector(FRAME_OF_WINDOW, state="attached")
    assert shown(picker) == ("amber", "1.5 × 1.5 cells at the lowest level", "512 × 512 px, 4×")
    put(picker, scale__limit=8.0)
    picker.wait_for_function(f"document.querySelector('{FRAME} .finesse-green')")
    assert shown(picker)[0] == "green"
    put(picker, scale="side", context=96)
    put(picker, scale__side=384)
    picker.wait_for_function(f"document.querySelector('{FRAME}')?.textContent.includes('384')")
    assert shown(picker)[2] == "384 × 384 px, 4×"


@pytest.mark.own_page_too
def test_a_scale_is_saved_and_opened(picker):
    put(picker, scale="megapixels")
    put(picker, scale__megapixels=0.25)
    picker.evaluate(RELOAD)
    inputs = picker.evaluate(INPUTS)
    assert (inputs["scale"], inputs["scale.megapixels"]) == ("megapixels", 0.25)


def test_a_new_node_scales_by_itself(picker):
    picker.evaluate(NEW)
    inputs = picker.evaluate(INPUTS)
    assert (inputs["scale"], inputs["scale.limit"], inputs["scale.model_side"]) == ("auto", 4, 0)
