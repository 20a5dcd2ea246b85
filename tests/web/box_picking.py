"""A box picker in ComfyUI's page, and the mouse on it."""

from __future__ import annotations

FRAME, STAGE = ".finesse-frame", ".finesse-stage"
BOX = {"x": 192, "y": 192, "width": 128, "height": 128}  # the default
PICTURE = 512  # pixels of example.png's side

WORKFLOW = {
    "version": 0.4,
    "last_node_id": 2,
    "last_link_id": 1,
    "nodes": [
        {
            "id": 1,
            "type": "LoadImage",
            "pos": [0, 0],
            "size": [280, 320],
            "outputs": [
                {"name": "IMAGE", "type": "IMAGE", "links": [1]},
                {"name": "MASK", "type": "MASK", "links": []},
            ],
            "widgets_values": ["example.png", "image"],
        },
        {
            "id": 2,
            "type": "FinesseInpaintSmallBox",
            "pos": [340, 0],
            "size": [340, 640],
            "inputs": [{"name": "image", "type": "IMAGE", "link": 1}],
            "widgets_values": [BOX, True, 0, True, 0],
        },
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
}
OPEN = """async ([workflow, scale, offset]) => {
    await app.loadGraphData(workflow)
    await new Promise(done => setTimeout(done, 100))  // after the page's own view of the graph
    app.canvas.ds.scale = scale
    app.canvas.ds.offset = offset
    app.canvas.setDirty(true, true)
}"""
NODE = "app.canvas.graph.nodes.find(node => node.type === 'FinesseInpaintSmallBox')"
RELOAD = """async () => {
    const saved = JSON.parse(JSON.stringify(app.rootGraph.serialize()))
    app.rootGraph.clear()
    await app.loadGraphData(saved)
}"""
SHOWN = f"document.querySelector('{FRAME} img')?.src.includes('example.png')"
PROMPT = """async () => Object.values((await app.graphToPrompt()).output)
    .filter(node => node.class_type === 'FinesseInpaintSmallBox').map(node => node.inputs.box)"""


def show(page, scale=1, offset=(-240, 120)):
    page.evaluate(OPEN, [WORKFLOW, scale, offset])
    page.wait_for_function(SHOWN)
    settle(page)


def boxes(page):
    """What the prompt holds of each picker."""
    return page.evaluate(PROMPT)


def box(page):
    (only,) = boxes(page)
    return only


def rectangle(page):
    """The picture on the screen: left, top, and its pixels under one of the screen."""
    found = page.locator(FRAME).bounding_box()
    return found["x"], found["y"], PICTURE / found["width"]


def at(page, x, y):
    """Where a pixel of the picture is on the screen."""
    left, top, scale = rectangle(page)
    return left + x / scale, top + y / scale


def drag(page, start, end):
    page.mouse.move(*at(page, *start))
    page.mouse.down()
    page.mouse.move(*at(page, *end), steps=3)
    page.mouse.up()


def near(found, expected):
    """Equal but for what a pixel of the screen covers, at zoom 1 about two of the picture."""
    return found.keys() == expected.keys() and all(abs(found[key] - expected[key]) < 4 for key in expected)


def settle(page):
    """Wait until the picture stays where it is."""
    before = None
    while (now := page.locator(FRAME).bounding_box()) != before:
        before = now
        page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
