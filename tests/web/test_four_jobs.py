"""The four common jobs by a newcomer's mouse, on the miniature: each act has its effect on what is saved."""

from __future__ import annotations

import numpy as np
from finesse.tests.web.map_editing import keep, open_editor, wait_for_badge
from finesse.tests.web.newcomer import arrow, drag, look_at, open_example, run, saved, slot, start
from finesse.tests.web.pages import READY, in_classic, in_nodes_2
from scipy import ndimage

SIDE = 64  # of the miniature's pictures
UNLINK_CLIP = """() => {
    const node = app.graph.nodes.find(node => node.type === 'FinesseInpaintSmallBox')
    node.disconnectInput(node.findInputSlot('clip'))
}"""


def on(locator, x, y):
    """Where the page shows a pixel of a picture that a locator frames."""
    frame = locator.bounding_box()
    return frame["x"] + (x + 0.5) * frame["width"] / SIDE, frame["y"] + (y + 0.5) * frame["height"] / SIDE


def differ(one, other):
    """Where two pictures do, by more than saving rounds: (H, W) bool."""
    return (np.abs(one.astype(int) - other) > 1).any(-1)


@in_classic
def test_edit_small_objects(page, client, pixels):
    open_example(page, "draw_small_object")
    look_at(page, "FinesseMiniatureLoader", 0.9, 100, 110)
    page.evaluate(UNLINK_CLIP)
    page.get_by_role("button", name="Remove the box (Delete)").click()
    picture = page.locator(".finesse-frame")
    drag(page, on(picture, 4, 32), on(picture, 24, 52))
    drag(page, on(picture, 36, 32), on(picture, 60, 60))
    page.locator(".finesse-text").click()
    page.keyboard.type("a blue car")
    page.keyboard.press("Tab")
    page.keyboard.type("12")
    page.get_by_text("Link clip: it encodes the text").wait_for()
    drag(page, slot(page, "FinesseMiniatureLoader", "CLIP", True), slot(page, "Inpaint Small Box", "clip"))
    page.get_by_text("The seed needs Noise per Box").wait_for()

    assert run(page) is None
    prompt = page.evaluate("async () => (await app.graphToPrompt()).output")
    (node,) = (node for node in prompt.values() if node["class_type"] == "FinesseInpaintSmallBox")
    first, second = node["inputs"]["box"]["__value__"]
    assert np.allclose([first[side] for side in ("x", "y", "width", "height")], [4, 32, 20, 20], atol=1)
    assert np.allclose([second[side] for side in ("x", "y", "width", "height")], [36, 32, 24, 28], atol=1)
    assert (second["text"], second["seed"]) == ("a blue car", 12)
    original = pixels(client.get("/view?filename=draw_small_object_example.png&type=input"))[..., :3]
    (edited,) = saved(page, client, pixels, "Save Image")
    changed = differ(edited, original)
    assert changed[34:50, 6:22].mean() > 0.2
    assert changed[34:58, 38:58].mean() > 0.2
    assert not changed[:24].any()


@in_nodes_2
def test_a_prompt_to_a_picture_of_the_map_that_was_picked(page, client, pixels):
    open_example(page, "prompt_to_picture_by_recall")
    look_at(page, "Select Seed by Recall")
    assert run(page) is None
    cells = page.locator(".finesse-seeds-cell:visible")
    cells.nth(9).wait_for()
    (best,), (picture,) = (saved(page, client, pixels, name) for name in ("The best map", "The picture"))

    cells.nth(4).click()
    page.get_by_text("is pinned. Run the workflow to use it.").wait_for()
    thumbnail = cells.nth(4).locator("canvas").element_handle()
    read = f"canvas => [...canvas.getContext('2d').getImageData(0, 0, {SIDE}, {SIDE}).data]"
    page.wait_for_function(f"canvas => ({read})(canvas)[3]", arg=thumbnail)
    shown = np.reshape(thumbnail.evaluate(read), (SIDE, SIDE, 4))[..., :3]
    assert run(page) is None
    (picked,), (other,) = (saved(page, client, pixels, name) for name in ("The best map", "The picture"))
    assert not differ(picked, shown).any()
    assert differ(picked, best).mean() > 0.1
    assert differ(other, picture).mean() > 0.1
    assert is_in_view(page, cells.nth(4))

    page.get_by_role("button", name="Take the best map (A)").click()
    assert run(page) is None
    assert not differ(saved(page, client, pixels, "The picture")[0], picture).any()

    page.wait_for_timeout(1000)  # the page saves its draft
    page.reload()
    page.wait_for_function(READY)
    cells.nth(9).wait_for()
    assert page.get_by_text("Auto takes the best map.").is_visible()


def is_in_view(page, cell):
    """Whether a cell is where its grid is scrolled to."""
    inside, outside = cell.bounding_box(), page.locator(".finesse-seeds-list:visible").bounding_box()
    return outside["y"] - 5 <= inside["y"] <= outside["y"] + outside["height"] / 2


@in_classic
def test_edit_a_map_and_draw_its_picture(page, client, pixels):
    open_example(page, "edit_map_and_regenerate")
    look_at(page, "Edit Map", 0.9, 500, 110)
    frame = open_editor(page)
    base, colours = map_of(page, client, pixels)
    sheep = largest_object(base, colours["sheep"])
    rows, columns = np.nonzero(ndimage.binary_erosion(sheep, iterations=2))
    stage = frame.locator(".stage")
    drag(page, on(stage, columns[0], rows[0]), on(stage, columns[0] + 3, rows[0] - 5))
    page.keyboard.press("Escape")
    frame.get_by_role("button", name="Brush (B)").click()
    frame.get_by_text("train", exact=True).first.click()
    drag(page, on(stage, 4, 61), on(stage, 40, 61))
    drag(page, on(stage, 4, 2), on(stage, 40, 2))
    page.keyboard.press("Control+z")
    keep(frame)
    wait_for_badge(page, "1 map drawn")
    assert run(page) is None
    (edited,) = saved(page, client, pixels, "The map, edited")
    moved = np.zeros_like(sheep)
    moved[:-5, 3:] = sheep[5:, :-3]
    moved[58:] = False
    assert not differ(edited, np.broadcast_to(colours["sheep"], edited.shape))[moved].any()
    assert not differ(edited[61, 6:38], np.array(colours["train"])).any()
    assert not (differ(edited, base) & ~moved)[:4].any()
    assert (differ(edited, base) & sheep).any()

    look_at(page, "Sample the map")
    page.mouse.click(*arrow(page, "Sample the map", "seed"))
    assert "the map has changed since drawing was made" in run(page)
    wait_for_badge(page, "the map has changed")
    look_at(page, "Edit Map", 0.9, 500, 110)
    frame = open_editor(page, lambda: reapply(page))
    keep(frame)
    wait_for_badge(page, "1 map drawn")
    assert run(page) is None
    (again,) = saved(page, client, pixels, "The map, edited")
    assert not differ(again[61, 6:38], np.array(colours["train"])).any()
    assert differ(again, edited).mean() > 0.05


def reapply(page):
    page.locator(".finesse-map-edit").click()
    page.frame_locator("iframe.finesse-map-window").get_by_role("button", name="Re-apply").click()


def map_of(page, client, pixels):
    """The map that Edit Map told of, uint8 (H, W, 3), and the colours of its labels."""
    told = page.evaluate("Object.values(app.nodeOutputs).find(each => each.finesse_map).finesse_map[0]")
    place = "&".join(f"{key}={told['maps'][0][key]}" for key in ("filename", "subfolder", "type"))
    palette = told["palette"]
    colours = dict(zip(palette["labels"], palette["colours"], strict=True))
    return pixels(client.get(f"/view?{place}"))[..., :3], colours


def largest_object(map_, colour):
    """The largest connected part in one colour: (H, W) bool."""
    objects, count = ndimage.label((map_ == colour).all(-1), np.ones((3, 3)))
    return max((objects == number for number in range(1, count + 1)), key=np.sum)


@in_nodes_2
def test_edit_a_photo_in_layers(page, client, pixels):
    open_example(page, "change_action_and_background")
    set_steps(page, "Reference Background", 4)
    set_steps(page, "Optimise Layers", 4)
    set_steps(page, "BasicScheduler", 6)
    set_steps(page, "Fine-Tune Layers", 5000)
    start(page)
    page.wait_for_function("app.graph.nodes.find(node => node.title === 'Fine-Tune Layers').progress > 0")
    page.get_by_role("button", name="Cancel current run").click()
    assert page.evaluate("window.ended") == "interrupted"

    set_steps(page, "Fine-Tune Layers", 4)
    assert run(page) is None
    (photo,), (background,) = (
        saved(page, client, pixels, name) for name in ("The photo", "The new background")
    )
    edits = saved(page, client, pixels, "The edit, two seeds")
    assert len(edits) == 2
    assert differ(background, photo).mean() > 0.5
    assert all(differ(edit, photo).mean() > 0.5 for edit in edits)
    assert differ(*edits).mean() > 0.1


def set_steps(page, name, steps):
    """Type a node's number of steps."""
    look_at(page, name)
    node = page.evaluate("name => app.graph.nodes.find(node => node.title === name).id", name)
    page.locator(f'[data-node-id="{node}"]').get_by_label("steps", exact=True).click()
    page.keyboard.press("Control+a")
    page.keyboard.type(str(steps))
    page.keyboard.press("Enter")
    page.wait_for_function(
        """([node, steps]) => app.graph.getNodeById(node).widgets
            .find(widget => widget.name === 'steps').value === steps""",
        arg=[node, steps],
    )
