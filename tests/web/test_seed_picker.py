"""The seed picker of *Select Seed by Recall* in ComfyUI's page."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from finesse.core.maps.palettes import COCO_STUFF
from finesse.tests.nodes.maps.ranked_maps import FIVE, pixels_of
from finesse.tests.nodes.maps.running import COLOURS
from finesse.tests.web.graphs import BUILD, RUN
from PIL import Image

CUSTOM = {"palette": "custom", "objects": "dog, cat", "custom_palette": json.dumps(COLOURS)}
CELL = ".finesse-seeds-cell:visible"
NODE = "app.canvas.graph.nodes.find(node => node.type === 'FinesseSelectSeedByRecall')"
WIDGET = f"{NODE}.widgets.find(widget => widget.name === 'pinned_seed')"
SHOWN = """() => {
    const preview = app.graph.nodes.find(node => node.type === 'PreviewImage')
    return app.nodeOutputs[preview.id].images[0]
}"""


def frames(maps):
    """The bytes of a PNG of several maps, a batch for *Load Image*."""
    first, *others = map(Image.fromarray, maps)
    file = io.BytesIO()
    first.save(file, "PNG", save_all=True, append_images=others)
    return file.getvalue()


@pytest.fixture
def build(page, client):
    """Opens a graph that ranks maps: uint8 (N, H, W, 3) and the node's other inputs."""
    page.set_default_timeout(30_000)

    def make(maps, **inputs):
        file = client.upload(frames(maps), "ranked_maps.png")
        nodes = [
            ["LoadImage", [20, 60], {"image": file}],
            ["FinesseSelectSeedByRecall", [380, 60], inputs],
            ["PreviewImage", [860, 60], {}],
        ]
        page.evaluate(BUILD, nodes)
        return page

    return make


@pytest.fixture
def picker(build):
    """The page with a picker that shows five maps."""
    page = build(pixels_of(FIVE), **CUSTOM)
    assert page.evaluate(RUN) is None
    page.locator(CELL).nth(4).wait_for()
    return page


def pinned(page):
    """What the prompt holds."""
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    (node,) = (node for node in prompt.values() if node["class_type"] == "FinesseSelectSeedByRecall")
    return node["inputs"]["pinned_seed"]


def wait_for_pin(page, pin):
    page.wait_for_function(f"pin => {NODE} && {WIDGET}.value === pin", arg=pin)
    page.wait_for_function(f"() => document.querySelector('{CELL.removesuffix(':visible')}')")


def texts(page):
    return page.locator(CELL).all_inner_texts()


def test_the_grid_shows_each_map_the_best_first(picker):
    facts = [text.split("\n") for text in texts(picker)]
    assert facts == [
        ["100%", "index 3", "all found"],
        ["100%", "index 1", "all found"],
        ["50%", "index 4", "no cat"],
        ["50%", "index 0", "no cat"],
        ["0%", "index 2", "no dog, cat"],
    ]
    assert picker.get_by_text("5 maps · best 100%").is_visible()
    assert picker.locator(f"{CELL}[aria-selected=true]").all_inner_texts() == texts(picker)[:1]


def test_thumbnails_are_the_maps_own_pixels(picker):
    read = """canvas => {
        const { width, height } = canvas
        return [...canvas.getContext('2d').getImageData(0, 0, width, height).data]
    }"""
    for place, index in enumerate([3, 1, 4, 0, 2]):
        map_ = pixels_of(FIVE)[index]
        canvas = picker.locator(f"{CELL} canvas").nth(place)
        picker.wait_for_function("canvas => canvas.getContext('2d').getImageData(0, 0, 1, 1).data[3]",
                                 arg=canvas.element_handle())  # fmt: skip
        shown = np.array(canvas.evaluate(read)).reshape(*map_.shape[:2], 4)
        assert np.array_equal(shown[..., :3], map_)


@pytest.mark.own_page_too
def test_a_click_pins_and_the_next_run_takes_that_map(picker, client, pixels):
    assert pinned(picker) == "auto"
    picker.locator(CELL).nth(4).click()
    assert pinned(picker) == "2"
    assert picker.get_by_text("Index 2 is pinned. Run the workflow to use it.").is_visible()

    assert picker.evaluate(RUN) is None
    picker.get_by_text("Index 2 is pinned.", exact=True).wait_for()
    image = picker.evaluate(SHOWN)
    shown = pixels(client.get(f"/view?filename={image['filename']}&type=temp&subfolder={image['subfolder']}"))
    assert np.abs(shown[..., :3].astype(int) - pixels_of(FIVE)[2]).max() <= 1
    assert picker.locator(f"{CELL}[aria-selected=true] svg").count() == 1

    picker.get_by_role("button", name="Take the best map (A)").locator("visible=true").click()
    assert pinned(picker) == "auto"


@pytest.mark.own_page_too
def test_undo_then_pin_then_undo_and_redo(picker):
    picker.locator(CELL).nth(1).click()
    picker.keyboard.press("Control+z")
    wait_for_pin(picker, "auto")
    assert len(texts(picker)) == 5
    picker.locator(CELL).nth(2).click()
    assert pinned(picker) == "4"
    picker.keyboard.press("Control+z")
    wait_for_pin(picker, "auto")
    picker.keyboard.press("Control+y")
    wait_for_pin(picker, "4")
    assert pinned(picker) == "4"
    assert picker.locator(f"{CELL} svg").count() == 1


def test_keys_walk_pin_and_go_back_to_auto(picker):
    picker.locator(".finesse-seeds-list:visible").focus()
    for key in ("Home", "ArrowRight", "ArrowRight"):
        picker.keyboard.press(key)
    assert picker.get_by_text("3. index 4 · 50% · found dog · missing cat").is_visible()
    assert pinned(picker) == "auto"
    picker.keyboard.press("Enter")
    assert pinned(picker) == "4"
    picker.keyboard.press("a")
    assert pinned(picker) == "auto"


def test_a_pin_and_its_grid_outlive_saving_and_opening(picker):
    picker.locator(CELL).nth(1).click()
    picker.evaluate("""async () => {
        const [saved, outputs] = [JSON.parse(JSON.stringify(app.rootGraph.serialize())), app.nodeOutputs]
        await app.loadGraphData(saved)
        app.nodeOutputs = outputs
    }""")
    wait_for_pin(picker, "1")
    assert pinned(picker) == "1"
    assert picker.locator(CELL).count() == 5


def test_a_clone_keeps_the_pin_and_has_its_own(picker):
    picker.locator(CELL).nth(1).click()
    values = picker.evaluate(f"""() => {{
        const clone = {NODE}.clone()
        app.graph.add(clone)
        const before = clone.widgets.at(-1).value
        clone.widgets.at(-1).value = '4'
        return [before, {WIDGET}.value, clone.widgets.at(-1).value]
    }}""")
    assert values == ["1", "1", "4"]


@pytest.mark.own_page_too
def test_it_works_inside_a_subgraph(picker):
    picker.locator(CELL).nth(1).click()
    picker.evaluate(f"""() => {{
        const {{ node }} = app.graph.convertToSubgraph(new Set([{NODE}]))
        app.canvas.openSubgraph(node.subgraph, node)
    }}""")
    assert pinned(picker) == "1"
    assert picker.evaluate(RUN) is None
    picker.locator(CELL).nth(4).wait_for()
    picker.locator(CELL).nth(2).click()
    assert pinned(picker) == "4"
    picker.evaluate("app.canvas.setGraph(app.rootGraph)")


def test_a_link_decides_instead(picker):
    picker.evaluate(f"""() => {{
        const text = LiteGraph.createNode('PrimitiveString')
        app.graph.add(text)
        text.widgets[0].value = '2'
        text.connect(0, {NODE}, {NODE}.inputs.findIndex(input => input.name === 'pinned_seed'))
    }}""")
    picker.get_by_text("The link to pinned_seed chooses the map.").wait_for()
    assert picker.evaluate(RUN) is None
    image = picker.evaluate("() => Object.values(app.nodeOutputs).find(each => each.finesse_candidates)")
    assert image["finesse_candidates"][0]["pinned"] == "2"


def test_a_pin_of_other_maps_is_refused_by_name(picker):
    picker.evaluate(f"{WIDGET}.value = '18446744073709551615'")
    assert pinned(picker) == "18446744073709551615"
    assert picker.get_by_text("Index 18446744073709551615 is none of these maps").is_visible()
    assert "pinned_seed is '18446744073709551615', which is no index" in picker.evaluate(RUN)
    picker.keyboard.press("Escape")


def test_500_maps_scroll_inside_the_node(build):
    labels = np.arange(500)[:, None, None] % 3 + np.zeros((1, 16, 16), int)
    page = build(np.asarray(COCO_STUFF.encode(labels), np.uint8), objects=COCO_STUFF.labels[0])
    assert page.evaluate(RUN) is None
    page.get_by_text("500 maps · best 100%").wait_for()
    first = page.locator(CELL).first
    first.click()
    zoom = page.evaluate("app.canvas.ds.scale")
    page.mouse.wheel(0, 900)
    page.wait_for_function("document.querySelector('.finesse-seeds-list').scrollTop > 0")
    assert page.evaluate("app.canvas.ds.scale") == zoom

    page.keyboard.press("End")
    assert page.get_by_text("500. index").is_visible()
    page.keyboard.press("Enter")
    assert int(pinned(page)) % 3 != 0
