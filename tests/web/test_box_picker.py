"""The box picker of *Inpaint Small Box* in ComfyUI's page."""

from __future__ import annotations

import json
import uuid

import pytest
from finesse.demo.page_workflows import FOLDER, PANEL
from finesse.tests.web.box_picking import (
    BOX,
    FRAME,
    NODE,
    RELOAD,
    SHOWN,
    STAGE,
    at,
    box,
    boxes,
    drag,
    near,
    rectangle,
    settle,
    show,
)
from finesse.tests.web.graphs import HISTORY

# Opens the workflow as it was saved when box had a socket; gives what the prompt has of box.
LINK_AS_OF_OLD = """async () => {
    const old = JSON.parse(JSON.stringify(app.rootGraph.serialize()))
    const node = old.nodes.find(node => node.type === 'FinesseInpaintSmallBox')
    const source = LiteGraph.createNode('PrimitiveBoundingBox').serialize()
    const slot = node.inputs.push({
        name: 'box', type: 'FINESSE_BOXES,BOUNDING_BOX', widget: {name: 'box'}, link: 9,
    }) - 1
    old.nodes.push({...source, id: 3, pos: [0, 420]})
    old.links.push([9, 3, 0, node.id, slot, 'BOUNDING_BOX'])
    await app.loadGraphData(old)
    return (await app.graphToPrompt()).output[node.id].inputs.box
}"""


@pytest.mark.own_page_too
def test_the_mouse_draws_moves_and_resizes(picker):
    drag(picker, (250, 250), (200, 210))
    assert near(box(picker), {**BOX, "x": 142, "y": 152})
    drag(picker, (142 + 128, 152 + 128), (400, 300))
    assert near(box(picker), {"x": 142, "y": 152, "width": 258, "height": 148})
    drag(picker, (20, 30), (100, 90))
    first, second = box(picker)["__value__"]
    assert near(second, {"x": 20, "y": 30, "width": 80, "height": 60})
    assert near(first, {"x": 142, "y": 152, "width": 258, "height": 148})


@pytest.mark.parametrize("zoom", [0.3, 0.5, 1.7, 3])
def test_pixels_are_exact_at_every_zoom(picker, zoom):
    show(picker, zoom, (150 / zoom - 340, 150 / zoom - 190))
    left, top, scale = rectangle(picker)
    (x0, y0), (x1, y1) = (map(round, at(picker, *point)) for point in ((20, 30), (170, 120)))
    picker.mouse.move(x0, y0)
    picker.mouse.down()
    picker.mouse.move(x1, y1, steps=2)
    picker.mouse.up()

    drawn = box(picker)["__value__"][1]
    sides = [round((value - edge) * scale) for value, edge in ((x0, left), (y0, top), (x1, left), (y1, top))]
    assert drawn == {
        "x": sides[0],
        "y": sides[1],
        "width": sides[2] - sides[0],
        "height": sides[3] - sides[1],
    }


@pytest.mark.own_page_too
def test_undo_then_edit_then_redo(picker):
    drag(picker, (250, 250), (200, 210))
    moved = box(picker)
    picker.keyboard.press("Control+z")
    picker.wait_for_function(f"() => {NODE}?.widgets[0].value.x === 192")
    picker.wait_for_function(SHOWN)
    assert box(picker) == BOX

    picker.keyboard.press("Control+y")
    picker.wait_for_function(f"() => {NODE}?.widgets[0].value.x !== 192")
    assert box(picker) == moved

    picker.keyboard.press("Control+z")
    picker.wait_for_function(f"() => {NODE}?.widgets[0].value.x === 192")
    picker.wait_for_function(SHOWN)
    settle(picker)
    drag(picker, (250, 250), (250, 300))
    assert near(box(picker), {**BOX, "y": 242})
    assert picker.locator(FRAME).count() == 1


def test_keys_after_undo_go_to_the_picker(picker):
    picker.locator(STAGE).focus()
    picker.keyboard.press("ArrowRight")
    assert box(picker) == {**BOX, "x": 193}
    picker.keyboard.press("Control+z")
    picker.wait_for_function(f"() => {NODE}?.widgets[0].value.x === 192")
    picker.wait_for_function(f"document.activeElement === document.querySelector('{STAGE}')")
    picker.keyboard.press("Shift+ArrowDown")
    assert box(picker) == {**BOX, "y": 200}


def test_keys_move_resize_duplicate_and_remove(picker):
    picker.locator(STAGE).focus()
    for key in ("ArrowLeft", "Shift+ArrowUp", "Alt+ArrowRight", "Control+d", "Delete", "Delete", "Delete"):
        picker.keyboard.press(key)
        if key == "Control+d":
            first = {"x": 191, "y": 184, "width": 129, "height": 128}
            assert box(picker)["__value__"] == [first, {**first, "x": 199, "y": 192}]
    assert box(picker) == {"__value__": []}
    assert picker.evaluate(f"() => !!{NODE}")  # the page would have deleted the node


def test_fields_hold_pixels_text_and_seed(picker):
    for name, value in (("x", "7"), ("y", "9"), ("width", "33"), ("height", "35")):
        picker.get_by_title(f"{name} in pixels").fill(value)
    picker.locator(".finesse-text").fill("a red car")
    picker.locator(".finesse-seed").fill("18446744073709551615")
    expected = {
        "x": 7,
        "y": 9,
        "width": 33,
        "height": 35,
        "text": "a red car",
        "seed": "18446744073709551615",
    }
    assert box(picker) == expected

    picker.locator(".finesse-seed").fill("12a")
    assert picker.locator(".finesse-seed").get_attribute("aria-invalid") == "true"
    assert "seed" not in box(picker)
    picker.locator(".finesse-seed").fill("12")
    picker.locator(".finesse-text").fill("")
    assert box(picker) == {"x": 7, "y": 9, "width": 33, "height": 35, "seed": 12}


def test_the_grade_follows_the_box(picker):
    area = picker.locator(".finesse-area")
    for width, grade in (("128", "green"), ("120", "amber"), ("63", "amber"), ("56", "red")):
        picker.get_by_title("x in pixels").fill("0")  # on the grid
        picker.get_by_title("width in pixels").fill(width)
        assert f"finesse-{grade}" in area.get_attribute("class"), width
    picker.evaluate(f"() => {{ {NODE}.widgets.find(widget => widget.name === 'grow').value = 64 }}")
    picker.wait_for_function("document.querySelector('.finesse-area.finesse-amber')")


@pytest.mark.own_page_too
def test_saved_and_reloaded_it_is_the_same(picker):
    value = [{**BOX, "text": "a cat", "seed": "18446744073709551615"}, {**BOX, "x": 3, "seed": 5}]
    picker.evaluate(f"value => {{ {NODE}.widgets[0].value = value }}", value)
    before = picker.evaluate("async () => (await app.graphToPrompt()).output")
    picker.evaluate(RELOAD)
    picker.wait_for_function(SHOWN)

    assert box(picker) == {"__value__": value}
    assert picker.evaluate("async () => (await app.graphToPrompt()).output") == before


def test_a_clone_has_a_box_of_its_own(picker):
    picker.evaluate(f"""() => {{
        const clone = {NODE}.clone()
        clone.pos = [800, 0]
        app.canvas.graph.add(clone)
    }}""")
    picker.wait_for_function(f"document.querySelectorAll('{STAGE}').length === 2")
    picker.locator(STAGE).first.focus()
    picker.keyboard.press("ArrowLeft")
    assert sorted(found["x"] for found in boxes(picker)) == [191, 192]


@pytest.mark.own_page_too
def test_inside_a_subgraph(picker):
    picker.evaluate(f"""() => {{
        const {{ subgraph }} = app.canvas.graph.convertToSubgraph(new Set([{NODE}]))
        app.canvas.openSubgraph(subgraph, app.rootGraph.nodes.find(node => node.subgraph === subgraph))
        app.canvas.ds.scale = 1
        app.canvas.ds.offset = [-240, 120]
    }}""")
    picker.wait_for_function(SHOWN)
    settle(picker)
    drag(picker, (250, 250), (200, 210))
    assert near(box(picker), {**BOX, "x": 142, "y": 152})
    moved = box(picker)
    picker.keyboard.press("Control+z")
    picker.wait_for_function(f"() => {NODE}?.widgets[0].value.x === 192")
    settle(picker)
    drag(picker, (250, 250), (200, 210))
    assert box(picker) == moved
    picker.evaluate("app.canvas.setGraph(app.rootGraph)")


def test_it_lives_through_a_switch_of_renderer(picker):
    setting = "app.extensionManager.setting"
    now = picker.evaluate(f"{setting}.get('Comfy.VueNodes.Enabled')")
    for value in (not now, now):
        picker.evaluate(f"value => {setting}.set('Comfy.VueNodes.Enabled', value)", value)
        picker.wait_for_function(f"{SHOWN} && !!document.querySelector('.lg-node') === {json.dumps(value)}")
        settle(picker)
        picker.locator(STAGE).focus()
        picker.keyboard.press("ArrowLeft")
    assert box(picker) == {**BOX, "x": 190}


@pytest.mark.own_page_too
def test_a_workflow_of_the_old_form_opens(picker):
    picker.evaluate("""async () => {
        const old = JSON.parse(JSON.stringify(app.rootGraph.serialize()))
        const node = old.nodes.find(node => node.type === 'FinesseInpaintSmallBox')
        node.inputs.push({name: 'box', type: 'BOUNDING_BOX', widget: {name: 'box'}, link: null})
        node.widgets_values = [{x: 32, y: 40, width: 64, height: 72}, 32, 40, 64, 72, false, 3, false, 256]
        await app.loadGraphData(old)
    }""")
    values = picker.evaluate(
        f"() => Object.fromEntries({NODE}.widgets.map(({{name, value}}) => [name, value]))"
    )
    assert values == {
        "box": {"x": 32, "y": 40, "width": 64, "height": 72},
        "snap": False,
        "grow": 3,
        "noise_mask": False,
        "context": 256,
        "scale": "none",
    }
    assert picker.evaluate(f"() => {NODE}.inputs.every(input => input.name !== 'box')")


def test_wheel_and_middle_button_go_to_the_canvas(picker):
    left, top, _ = rectangle(picker)
    picker.mouse.move(left + 50, top + 50)
    picker.mouse.wheel(0, -100)
    picker.wait_for_function("app.canvas.ds.scale > 1")
    before = picker.evaluate("[...app.canvas.ds.offset]")
    picker.mouse.down(button="middle")
    picker.mouse.move(left + 90, top + 80, steps=3)
    picker.mouse.up(button="middle")
    after = picker.evaluate("[...app.canvas.ds.offset]")
    assert after[0] > before[0] + 20
    assert after[1] > before[1] + 10
    assert box(picker) == BOX


def test_a_finger_draws(picker):
    touch = picker.context.new_cdp_session(picker)
    for kind, points in (
        ("touchStart", [(20, 30)]),
        ("touchMove", [(60, 70)]),
        ("touchMove", [(100, 90)]),
        ("touchEnd", []),
    ):
        screen = [dict(zip("xy", at(picker, *point), strict=True)) for point in points]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": screen})
    settle(picker)
    assert near(box(picker)["__value__"][1], {"x": 20, "y": 30, "width": 80, "height": 60})
    picker.evaluate(f"() => {HISTORY}.undo()")
    picker.wait_for_function(f"() => !Array.isArray({NODE}?.widgets[0].value)")
    assert box(picker) == BOX


def test_a_link_to_boxes_takes_the_place_of_what_is_drawn(picker):
    assert picker.locator(".finesse-unused").count() == 0
    picker.evaluate(f"""() => {{
        const source = LiteGraph.createNode('PrimitiveBoundingBox')
        app.canvas.graph.add(source)
        const node = {NODE}
        source.connect(0, node, node.findInputSlot('boxes'))
    }}""")
    picker.get_by_text("Not used: boxes is linked").wait_for()
    assert picker.locator(".finesse-unused").count() == 1


@pytest.mark.own_page_too
def test_box_itself_takes_no_link_but_that_of_an_old_workflow_decides(picker):
    assert picker.evaluate(f"() => {NODE}.findInputSlot('box')") == -1
    assert picker.evaluate(LINK_AS_OF_OLD) == ["3", 0]
    picker.get_by_text("Not used: box is linked").wait_for()
    picker.evaluate(RELOAD)
    picker.get_by_text("Not used: box is linked").wait_for()
    assert box(picker) == ["3", 0]
    assert picker.locator(STAGE).bounding_box()["height"] > 100  # nothing blank is in its place


def test_a_run_gives_picture_token_and_levels(picker, server, client):
    workflow = json.loads((server.folder / PANEL / FOLDER / "draw_small_object.json").read_text("utf-8"))
    workflow["id"] = str(uuid.uuid4())  # no run before this one is its own
    picker.evaluate(
        """async workflow => {
            await app.loadGraphData(workflow)
            const [box, sampler] = ['FinesseInpaintSmallBox', 'KSampler']
                .map(type => app.graph.nodes.find(node => node.type === type))
            sampler.widgets.find(widget => widget.name === 'steps').value = 1
            app.canvas.ds.scale = 1
            app.canvas.ds.offset = [100 - box.pos[0], 150 - box.pos[1]]
            const invert = LiteGraph.createNode('ImageInvert')
            app.graph.add(invert)
            box.getInputNode(0).connect(0, invert, 0)
            invert.connect(0, box, 0)
        }""",
        workflow,
    )
    picker.locator(".finesse-hint").wait_for()
    picker.evaluate("app.queuePrompt(0, 1)")
    picker.wait_for_function(f"document.querySelector('{FRAME} img')?.naturalWidth === 64")
    assert "finesse" in picker.locator(f"{FRAME} img").get_attribute("src")
    run = picker.evaluate(f"() => app.nodeOutputs[{NODE}.id].finesse_box[0]")
    assert {key: run[key] for key in ("width", "height", "token", "levels")} == {
        "width": 64,
        "height": 64,
        "token": 4,
        "levels": 3,
    }
