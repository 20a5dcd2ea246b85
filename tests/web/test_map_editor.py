"""Maps edited by hand in ComfyUI's page: opened from the node, changed by mouse and keys, kept, run."""

from __future__ import annotations

import numpy as np
import pytest
from finesse.core.maps.drawing import map_hash
from finesse.core.maps.edits import apply_edits
from finesse.core.maps.palettes import COCO_STUFF
from finesse.demo.prompts import png
from finesse.tests.web.graphs import HISTORY, RUN
from finesse.tests.web.map_editing import (
    ALL_SAVED,
    DELETE,
    FRAME,
    NUDGE,
    SIDE,
    UNDO_STEPS,
    badges,
    draw,
    drawings,
    edit,
    keep,
    make_graph,
    open_editor,
    result,
    scene,
    wait_for_badge,
)


@pytest.mark.own_page_too
def test_what_is_drawn_is_what_the_node_gives(page, client, pixels):
    make_graph(page, client)
    edit(page, "Delete")
    assert badges(page) == ["1 map drawn"]
    (drawing,) = drawings(page)
    patch = drawing["maps"]["0"]
    assert patch["base"] == map_hash(scene())
    assert {name: patch[name] for name in ("x", "y", "width", "height")} == {
        "x": 40,
        "y": 38,
        "width": SIDE,
        "height": SIDE,
    }
    assert np.array_equal(result(page, client, pixels), apply_edits(scene(), DELETE, COCO_STUFF))


def test_closing_without_keeping_changes_nothing(page, client):
    make_graph(page, client)
    before = page.evaluate(UNDO_STEPS)
    frame = open_editor(page)
    frame.get_by_role("button", name="Cancel").click()
    page.wait_for_selector(FRAME, state="detached")
    assert drawings(page) == [{}]
    assert page.evaluate(UNDO_STEPS) - before <= 1  # the node grows by its report
    assert frame.is_detached()


@pytest.mark.own_page_too
def test_undo_edit_redo(page, client, pixels):
    make_graph(page, client)
    edit(page, "Delete")
    steps = page.evaluate(UNDO_STEPS)
    first = drawings(page)
    page.mouse.click(1000, 700)
    page.keyboard.press("Control+z")
    wait_for_badge(page, "no drawing")
    assert drawings(page) == [{}]
    assert page.evaluate(UNDO_STEPS) == steps - 1
    page.keyboard.press("Control+y")
    wait_for_badge(page, "1 map drawn")
    assert drawings(page) == first
    page.keyboard.press("Control+z")
    wait_for_badge(page, "no drawing")

    edit(page, "ArrowRight")
    second = drawings(page)
    assert second != first
    assert np.array_equal(result(page, client, pixels), apply_edits(scene(), NUDGE, COCO_STUFF))
    page.locator(".finesse-map-clear").click()
    wait_for_badge(page, "no drawing")
    page.keyboard.press("Control+z")
    wait_for_badge(page, "1 map drawn")
    assert drawings(page) == second


def test_undo_in_the_editor_leaves_the_graph_alone(page, client):
    make_graph(page, client)
    page.evaluate("() => { const [node] = app.graph.nodes; node.pos = [10, 10] }")
    page.evaluate(f"{HISTORY}.captureCanvasState()")
    node = page.evaluate_handle("app.graph.nodes.find(node => node.type === 'FinesseEditMap')")
    frame = open_editor(page)
    draw(frame, "Delete", "Control+z", "Control+z", "Control+z")
    page.wait_for_timeout(100)
    assert page.evaluate("node => app.graph.nodes.includes(node)", node)
    keep(frame)
    assert drawings(page) == [{}]


def test_an_edit_goes_on_where_it_was_left(page, client, pixels):
    make_graph(page, client)
    edit(page, "ArrowRight")
    edit(page, "ArrowRight")
    expected = apply_edits(scene(), NUDGE + NUDGE, COCO_STUFF)
    assert np.array_equal(result(page, client, pixels), expected)


def test_a_changed_map_is_told_and_the_drawing_applied_anew(page, client, pixels):
    make_graph(page, client)
    edit(page, "Delete")
    other = scene()
    other[80:, :20] = COCO_STUFF.colours[COCO_STUFF.index("tree")]
    client.upload(png(other), "another.png")
    page.evaluate("""() => {
        const load = app.graph.nodes.find(node => node.type === 'LoadImage')
        load.widgets.find(widget => widget.name === 'image').value = 'another.png'
    }""")
    assert "the map has changed since drawing was made" in page.evaluate(RUN)
    wait_for_badge(page, "the map has changed")

    page.locator(".finesse-map-edit").click()
    frame = page.wait_for_selector(FRAME).content_frame()
    frame.get_by_role("button", name="Re-apply").click()
    frame.get_by_role("button", name="Keep").wait_for()
    keep(frame)
    wait_for_badge(page, "1 map drawn")
    assert np.array_equal(result(page, client, pixels), apply_edits(other, DELETE, COCO_STUFF))


def test_a_change_before_the_node_is_seen_on_opening(page, client):
    make_graph(page, client, objects="dog")
    keep(open_editor(page))
    page.evaluate("""() => {
        const node = app.graph.nodes.find(node => node.type === 'FinesseEditMap')
        node.widgets.find(widget => widget.name === 'objects').value = 'dog, zebra'
    }""")
    frame = open_editor(page)
    frame.get_by_text("zebra").first.wait_for()
    keep(frame)


@pytest.mark.parametrize("entry", ["menu", "command"])
def test_other_ways_to_open(page, client, entry):
    make_graph(page, client)
    call = {
        "menu": """() => {
            const node = app.graph.nodes.find(node => node.type === 'FinesseEditMap')
            app.collectNodeMenuItems(node).find(item => item?.content === 'Edit map').callback()
        }""",
        "command": "() => { app.extensionManager.command.execute('Finesse.EditMap') }",
    }[entry]
    keep(open_editor(page, lambda: page.evaluate(call)))


def test_waiting_for_a_run_can_be_ended(page, client):
    make_graph(page, client)
    page.evaluate("""() => {
        window.held = app.api.queuePrompt
        app.api.queuePrompt = async function (...args) {
            await new Promise(resolve => { window.release = resolve })
            return window.held.apply(this, args)
        }
    }""")
    button = page.locator(".finesse-map-edit")
    button.click()
    page.locator(".finesse-map-edit", has_text="Preparing the map").wait_for()
    button.click()
    page.evaluate("() => { app.api.queuePrompt = window.held; window.release() }")
    page.locator(".finesse-map-edit", has_text="Edit map").wait_for()
    assert page.locator(FRAME).count() == 0


def test_each_map_of_a_batch_is_drawn_on(page, client, pixels):
    make_graph(page, client)
    page.evaluate("""() => {
        const [load, edit] = ['LoadImage', 'FinesseEditMap'].map(type => app.graph.findNodesByType(type)[0])
        const repeat = LiteGraph.createNode('RepeatImageBatch')
        repeat.widgets.find(widget => widget.name === 'amount').value = 3
        app.graph.add(repeat)
        load.connect(0, repeat, 0)
        repeat.connect(0, edit, 'map')
    }""")
    frame = open_editor(page)
    draw(frame, "Delete")
    frame.get_by_label("Map", exact=True).select_option("2")
    draw(frame, "ArrowRight")
    keep(frame)
    assert badges(page) == ["2 maps drawn"]
    assert list(drawings(page)[0]["maps"]) == ["0", "2"]
    result(page, client, pixels)
    first, second, third = (pixels(client.get(address)) for address in page.evaluate(ALL_SAVED))
    assert np.array_equal(first, apply_edits(scene(), DELETE, COCO_STUFF))
    assert np.array_equal(second, scene())
    assert np.array_equal(third, apply_edits(scene(), NUDGE, COCO_STUFF))


def test_a_node_that_cannot_run_says_why(page, client):
    make_graph(page, client)
    page.evaluate("app.graph.findNodesByType('FinesseEditMap')[0].disconnectInput(0)")
    page.locator(".finesse-map-edit").click()
    page.get_by_text("Required input is missing: map").first.wait_for()
    page.evaluate("app.graph.findNodesByType('FinesseEditMap')[0].mode = 4")
    page.locator(".finesse-map-edit").click()
    page.get_by_text("The node is bypassed or muted").first.wait_for()
    assert page.locator(FRAME).count() == 0
