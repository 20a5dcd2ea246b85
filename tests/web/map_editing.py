"""Maps edited by hand in ComfyUI's page, as the tests do it: with a small graph, mouse and keys."""

from __future__ import annotations

import numpy as np
from finesse.core.maps.palettes import COCO_STUFF
from finesse.demo.prompts import png
from finesse.tests.nodes.maps.drawings import drawn
from finesse.tests.web.graphs import BUILD, HISTORY, RUN

SIDE = 96
DELETE = [{"op": "delete", "select": {"label": "dog"}}]
NUDGE = [{"op": "move", "select": {"label": "dog"}, "dx": 1}]
FRAME = "iframe.finesse-map-window"

OPEN_FILE = """async bytes => {
    await app.handleFile(new File([new Uint8Array(bytes)], 'saved.png', {type: 'image/png'}))
}"""
ALL_SAVED = """() => {
    const save = app.rootGraph.nodes.find(node => node.type === 'SaveImage')
    return app.nodeOutputs[save.id].images.map(image => '/view?' + new URLSearchParams(image))
}"""
NODES = "[...app.rootGraph.nodes, ...[...app.rootGraph.subgraphs.values()].flatMap(graph => graph.nodes)]"
VALUES = f"""() => {NODES}.filter(node => node.type === 'FinesseEditMap')
    .map(node => node.widgets.find(widget => widget.name === 'drawing').value)"""
SESSION = f"""async () => {{
    const {{ sessionOf }} = await import('/extensions/ComfyUI-Finesse/map_editor/session.js')
    const {{ toldBy }} = await import('/extensions/ComfyUI-Finesse/map_editor/run.js')
    const node = {NODES}.find(node => node.type === 'FinesseEditMap')
    return (await sessionOf(node, toldBy(node), {{}})).session
}}"""
UNDO_STEPS = f"() => {HISTORY}.undoQueue.length"


def scene(side=SIDE):
    """A dog that is not symmetric in the middle, on grass below the sky."""
    labels = np.full((side, side), COCO_STUFF.index("grass"))
    labels[: side // 3] = COCO_STUFF.index("sky-other")
    labels[38:58, 40:56] = COCO_STUFF.index("dog")
    labels[38:44, 40:44] = COCO_STUFF.index("grass")
    return COCO_STUFF.encode(labels)


def laid_on(base, patch, picture):
    """A map with a patch's picture, RGBA, on it, which changes nearly all that it covers."""
    assert (picture[..., 3] == 255).mean() > 0.9
    return drawn(base, picture, patch["x"], patch["y"])


def make_graph(page, client, picture=None, **values):
    """Load Image, Edit Map with these values, and Save Image on a map, in the page."""
    client.upload(png(scene() if picture is None else picture), "drawn_on.png")
    build(page, "LoadImage", {"image": "drawn_on.png"}, values)


def build(page, source, source_values, edit_values):
    nodes = [
        [source, [50, 100], source_values],
        ["FinesseEditMap", [420, 100], edit_values],
        ["SaveImage", [900, 100], {"filename_prefix": "edited_map"}],
    ]
    page.evaluate(BUILD, nodes)
    page.wait_for_selector(".finesse-map-edit")


def open_editor(page, press=None):
    """The editor's frame, open and showing its map."""
    if press is None:
        page.locator(".finesse-map-edit").first.click()
    else:
        press()
    frame = page.wait_for_selector(FRAME).content_frame()
    frame.get_by_role("button", name="Keep").wait_for()
    return frame


def draw(frame, *keys):
    """Select the object in the middle of the map with the mouse, then press keys."""
    frame.locator("body").press("v")
    stage = frame.locator("canvas").first.bounding_box()
    frame.page.mouse.click(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] / 2)
    for key in keys:
        frame.page.keyboard.press(key)


def keep(frame):
    page = frame.page
    frame.get_by_role("button", name="Keep").click()
    page.wait_for_selector(FRAME, state="detached")


def edit(page, *keys):
    frame = open_editor(page)
    draw(frame, *keys)
    keep(frame)


def badges(page):
    return page.locator(".finesse-map-badge").all_inner_texts()


def wait_for_badge(page, text):
    page.locator(".finesse-map-badge", has_text=text).wait_for()


def result(page, client, pixels):
    """The picture that a run saves, the first of a batch."""
    assert page.evaluate(RUN) is None  # a text would say why it failed
    page.wait_for_timeout(50)
    return pixels(client.get(page.evaluate(ALL_SAVED)[0]))


def drawings(page):
    return page.evaluate(VALUES)
