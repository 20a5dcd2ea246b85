"""Where a drawing goes with its workflow: reloaded, cloned, in a subgraph, another tab, on another server."""

from __future__ import annotations

import json

import numpy as np
import pytest
from finesse.core.maps.edits import apply_edits
from finesse.core.maps.palettes import COCO_STUFF
from finesse.demo.server import ComfyServer
from finesse.tests.web.map_editing import (
    ALL_SAVED,
    DELETE,
    OPEN_FILE,
    SESSION,
    SIDE,
    badges,
    build,
    drawings,
    edit,
    keep,
    laid_on,
    make_graph,
    open_editor,
    result,
    scene,
    wait_for_badge,
)
from finesse.tests.web.pages import READY, in_nodes_2


def test_reload_keeps_the_drawing(page, client, pixels):
    make_graph(page, client)
    edit(page, "Delete")
    before = drawings(page)
    page.wait_for_timeout(1000)  # the page saves its draft
    page.reload()
    page.wait_for_function(READY)
    wait_for_badge(page, "1 map drawn")
    assert drawings(page) == before
    assert np.array_equal(result(page, client, pixels), apply_edits(scene(), DELETE, COCO_STUFF))


def test_a_clone_has_a_drawing_of_its_own(page, client):
    make_graph(page, client)
    edit(page, "Delete")
    page.evaluate("""() => {
        const clone = app.graph.nodes.find(node => node.type === 'FinesseEditMap').clone()
        clone.pos = [420, 700]
        app.graph.add(clone)
    }""")
    page.wait_for_function("document.querySelectorAll('.finesse-map-badge').length === 2")
    first, second = drawings(page)
    assert first == second
    page.evaluate("""() => {
        const [, clone] = app.graph.nodes.filter(node => node.type === 'FinesseEditMap')
        clone.widgets.find(widget => widget.name === 'drawing').value = {}
    }""")
    assert drawings(page) == [first, {}]
    assert sorted(badges(page)) == ["1 map drawn", "no drawing"]


@pytest.mark.own_page_too
def test_inside_a_subgraph(page, client, pixels):
    make_graph(page, client)
    page.evaluate("""() => {
        const node = app.graph.nodes.find(node => node.type === 'FinesseEditMap')
        const { node: outer } = app.graph.convertToSubgraph(new Set([node]))
        app.canvas.openSubgraph(outer.subgraph, outer)
    }""")
    page.wait_for_selector(".finesse-map-edit")
    edit(page, "Delete")
    wait_for_badge(page, "1 map drawn")
    page.evaluate("app.canvas.setGraph(app.rootGraph)")
    assert np.array_equal(result(page, client, pixels), apply_edits(scene(), DELETE, COCO_STUFF))
    session = page.evaluate(SESSION)
    (saved,) = page.evaluate(ALL_SAVED)
    assert saved.partition("filename=")[2].partition("&")[0] in session["overlay"]
    assert {source["name"] for source in session["sources"]} == {"Load Image", "Save Image"}


def test_a_large_drawing_is_uploaded_and_said(page, client, pixels):
    noise = np.random.default_rng(0).integers(0, 256, (700, 700, 3), np.uint8)
    make_graph(page, client, noise, palette="none")
    frame = open_editor(page)
    frame.locator("body").press("m")
    stage = frame.locator("canvas").first.bounding_box()
    x, y = stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2
    page.mouse.move(x - 200, y - 200)
    page.mouse.down()
    page.mouse.move(x + 200, y + 200)
    page.mouse.up()
    page.keyboard.press("h")
    keep(frame)
    page.get_by_text("The workflow alone no longer contains it").first.wait_for()
    patch = drawings(page)[0]["maps"]["0"]
    assert "png" not in patch
    folder, name = patch["file"].split("/")
    assert folder == "finesse"
    picture = pixels(client.get(f"/view?filename={name}&subfolder={folder}&type=input"))
    assert np.array_equal(result(page, client, pixels), laid_on(noise, patch, picture))


@in_nodes_2
def test_two_tabs_do_not_disturb_each_other(page, client, server):
    make_graph(page, client)
    with page.context.expect_page() as opened:
        page.evaluate("address => { window.open(address, '_blank', 'noopener') }", server.address)
    other = opened.value
    other.wait_for_function(READY)
    build(other, "LoadImage", {"image": "drawn_on.png"}, {})
    page.bring_to_front()
    edit(page, "Delete")
    other.bring_to_front()
    assert badges(other) == ["no drawing"]
    edit(other, "ArrowRight")
    assert drawings(other) != drawings(page)
    other.close()


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Another ComfyUI, whose input folder is empty."""
    with ComfyServer(tmp_path_factory.mktemp("elsewhere")) as running:
        assert not any(path.is_file() for path in (running.folder / "input").rglob("*"))
        yield running


@in_nodes_2
def test_a_saved_picture_opens_elsewhere(page, client, pixels, browser, elsewhere):
    """A map that nodes make needs no file: another server gives the same pixels."""
    grass, sky, dog = (COCO_STUFF.colours[COCO_STUFF.index(name)] for name in ("grass", "sky-other", "dog"))
    edits = [
        {"op": "stroke", "points": [[0, 10], [95, 10]], "width": 20, "colour": list(sky)},
        {"op": "stroke", "points": [[44, 48], [52, 48]], "width": 12, "colour": list(dog)},
    ]
    size = {"width": SIDE, "height": SIDE, "color": int.from_bytes(bytes(grass), "big")}
    build(page, "EmptyImage", size, {"edits": json.dumps(edits)})
    edit(page, "Delete")
    here = result(page, client, pixels)
    picture = client.get(page.evaluate(ALL_SAVED)[0])

    opened = browser.new_page()
    opened.goto(elsewhere.address)
    opened.wait_for_function(READY)
    opened.evaluate(OPEN_FILE, list(picture))
    opened.wait_for_selector(".finesse-map-edit")
    connection = elsewhere.client()
    there = result(opened, connection, pixels)
    connection.close()
    opened.close()
    expected = apply_edits(np.full((SIDE, SIDE, 3), grass, np.uint8), edits, COCO_STUFF)
    assert np.array_equal(here, apply_edits(expected, DELETE, COCO_STUFF))
    assert np.array_equal(there, here)
