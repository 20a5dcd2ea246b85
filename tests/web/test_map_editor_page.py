"""The map editor's page alone, with a real mouse and keyboard: what is drawn, undone and given back."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest
from finesse.core.maps.objects import fill_holes_by_nearest
from finesse.core.maps.palettes import COCO_STUFF
from finesse.demo.prompts import png
from finesse.tests.web.map_editor_desk import SIDE, applied, example, hash_of, label, middle, segmentation


def test_a_dragged_object_moves_and_its_hole_takes_the_nearest_label(desk):
    before = example().labels
    car = before == label("car")
    x, y = middle(car)
    editor = desk(segmentation())
    editor.drag((x, y), (x - 70, y + 10))

    expected = fill_holes_by_nearest(before, car)
    expected[np.roll(car, (10, -70), (0, 1))] = label("car")
    assert np.array_equal(editor.labels, expected)
    maps = editor.keep()
    assert maps["0"]["base"] == hash_of(segmentation())
    assert (maps["0"]["width"], maps["0"]["height"]) == (SIDE, SIDE)


def test_undo_then_another_edit_then_redo(desk):
    editor = desk(segmentation())
    x, y = middle(example().labels == label("car"))
    editor.click(x, y)
    editor.press("Delete")
    assert label("car") not in editor.labels
    editor.press("Control+z")
    assert np.array_equal(editor.shown, segmentation())
    editor.press("Control+Shift+z")
    assert label("car") not in editor.labels

    editor.press("Control+z", "b")
    editor.drag((20, 20), (60, 20))
    painted = editor.shown
    editor.press("Control+y")  # nothing to redo after another edit
    assert np.array_equal(editor.shown, painted)
    editor.press("Control+z")
    assert np.array_equal(editor.shown, segmentation())
    editor.press("Control+y")
    assert np.array_equal(editor.shown, painted)
    editor.keep()


def test_the_brush_paints_the_label_that_was_searched_and_chosen(desk):
    editor = desk(segmentation())
    editor.page.get_by_label("Search the labels").fill("traf")
    assert editor.page.locator(".label-row").all_inner_texts()[0].strip().startswith("traffic light")
    editor.press("Enter", "b")
    editor.drag((30, 30), (90, 30))

    painted = editor.labels == label("traffic light")
    assert painted[30, 30:91].all()
    assert (painted == (editor.shown != segmentation()).any(-1)).all()
    editor.page.keyboard.down("Shift")  # straight on from there
    editor.click(90, 80)
    editor.page.keyboard.up("Shift")
    assert (editor.labels == label("traffic light"))[30:81, 90].all()
    editor.press("e")
    editor.drag((30, 30), (60, 30))
    assert np.array_equal(editor.shown[30, 30:56], segmentation()[30, 30:56])
    editor.keep()


def test_picking_filling_and_recolouring(desk):
    editor = desk(segmentation())
    before = example().labels
    editor.press("i")
    editor.click(*middle(before == label("car")))
    editor.press("g")
    editor.click(5, 5)
    assert editor.labels[5, 5] == label("car")
    editor.press("v")
    editor.click(*middle(before == label("elephant")))
    editor.press("Enter")
    assert label("elephant") not in editor.labels
    editor.keep()


def test_shift_adds_alt_takes_away_and_a_double_click_takes_all_of_a_label(desk):
    labels = np.full((64, 64), label("grass"))
    labels[8:16, 8:16] = labels[40:50, 40:50] = label("dog")
    labels[8:16, 40:50] = label("cat")
    editor = desk(COCO_STUFF.encode(labels))
    editor.click(10, 10)
    editor.page.keyboard.down("Shift")
    editor.click(44, 10)
    editor.page.keyboard.up("Shift")
    editor.page.keyboard.down("Alt")
    editor.click(10, 10)
    editor.page.keyboard.up("Alt")
    editor.press("Delete")
    assert np.array_equal(np.unique(editor.labels), np.unique([label("grass"), label("dog")]))
    editor.page.mouse.dblclick(*editor.at(44, 44))
    editor.press("Delete")
    assert (editor.labels == label("grass")).all()
    editor.keep()


def test_lasso_duplicate_flip_and_keys_that_nudge(desk):
    labels = np.full((64, 64), label("grass"))
    labels[20:30, 20:24] = label("dog")
    labels[28:30, 20:34] = label("dog")
    editor = desk(COCO_STUFF.encode(labels))
    editor.press("l")
    editor.drag((16, 16), (40, 16), (40, 36), (16, 36), (16, 16))
    editor.press("v", "Escape")
    editor.click(22, 22)
    editor.press("h")
    dog = labels == label("dog")
    flipped = np.zeros_like(dog)
    flipped[20:30, 20:34] = dog[20:30, 33:19:-1]
    assert np.array_equal(editor.labels == label("dog"), flipped)
    editor.press("Shift+ArrowDown", "ArrowLeft")
    assert np.array_equal(editor.labels == label("dog"), np.roll(flipped, (10, -1), (0, 1)))
    editor.press("Control+d")
    assert (editor.labels == label("dog")).sum() > dog.sum()
    editor.keep()


def test_handles_scale_and_turn(desk):
    labels = np.full((64, 64), label("grass"))
    labels[20:30, 20:40] = label("dog")
    editor = desk(COCO_STUFF.encode(labels))
    editor.click(30, 25)
    editor.drag((39.5, 29.5), (49.5, 34.5))
    expected = np.full_like(labels, label("grass"))
    expected[20:35, 20:50] = label("dog")
    assert np.array_equal(editor.labels, expected)

    x, y = editor.at(34.5, 19.5)
    editor.page.mouse.move(x, y - 26)
    editor.page.mouse.down()
    editor.page.keyboard.down("Shift")
    editor.page.mouse.move(*editor.at(58, 27), steps=4)
    editor.page.mouse.up()
    editor.page.keyboard.up("Shift")
    rows, columns = np.nonzero(editor.labels == label("dog"))
    assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (30, 15)
    editor.keep()


def test_an_object_stays_behind_another_label_and_comes_back_in_front(desk):
    labels = np.full((64, 64), label("grass"))
    labels[20:40, 10:20] = label("dog")
    labels[10:50, 40:46] = label("tree")
    editor = desk(COCO_STUFF.encode(labels))
    editor.drag((14, 30), (42, 30))
    assert editor.labels[30, 42] == label("dog")
    tree = editor.page.locator(".chip", has_text="tree")
    tree.click()
    assert (editor.labels == label("tree")).sum() == (labels == label("tree")).sum()
    assert editor.labels[30, 38] == label("dog")
    tree.click()
    assert editor.labels[30, 42] == label("dog")
    editor.keep()


def test_the_recall_chip_follows_what_is_on_the_map(desk):
    names = ["car", "elephant", "kite", "cat"]
    wanted = [{"name": name, "labels": [label(name)]} for name in names]
    editor = desk(segmentation(), wanted=wanted)
    editor.recall("recall 75 % · missing: cat")
    editor.click(*middle(example().labels == label("car")))
    editor.press("Delete")
    editor.recall("recall 50 % · missing: car, cat")
    editor.press("Control+z")
    editor.recall("recall 75 % · missing: cat")
    editor.page.locator(".label-row", has_text=re.compile("^cat")).locator(".label").click()
    editor.press("b")
    editor.drag((20, 20), (120, 20), (20, 30))
    editor.recall("recall 100 %")
    editor.keep()


def test_an_object_is_pasted_from_another_map_of_the_batch(desk):
    editor = desk(segmentation(), segmentation(0))
    cow = example(0).labels == label("cow")
    editor.press("Control+Shift+V")
    source = editor.page.locator(".source-stage")
    source.wait_for()
    box, (x, y) = source.bounding_box(), middle(cow)
    place = {"x": (x + 0.5) * box["width"] / SIDE, "y": (y + 0.5) * box["height"] / SIDE}
    source.click(position=place)
    editor.page.locator("dialog").wait_for(state="detached")

    expected = example().labels.copy()
    expected[cow] = label("cow")
    assert np.array_equal(editor.labels, expected)
    editor.keep()


def test_each_map_of_a_batch_keeps_its_own_drawing(desk):
    editor = desk(segmentation(), segmentation(0), segmentation(1))
    editor.press("b")
    editor.drag((20, 20), (60, 20))
    first = editor.shown
    editor.press("PageDown")
    editor.page.wait_for_function("document.querySelector('.batch select').value === '1'")
    assert np.array_equal(editor.shown, segmentation(0))
    editor.drag((30, 90), (60, 90))
    maps = editor.keep()

    assert np.array_equal(applied(segmentation(), maps["0"]), first)
    assert maps["1"]["base"] == hash_of(segmentation(0))
    assert maps["2"] is None


def stale_patch(old):
    """A drawing of an earlier map: a square of road at 10, 20."""
    square = np.zeros((12, 16, 4), np.uint8)
    square[...] = (*COCO_STUFF.colours[label("road")], 255)
    patch = {"x": 10, "y": 20, "png": base64.b64encode(png(square)).decode()}
    return {0: {"patch": patch, "stale": old}}


@pytest.mark.parametrize(("answer", "drawn"), [("Re-apply", True), ("Drop", False)])
def test_a_drawing_of_a_map_that_changed_is_asked_about(desk, answer, drawn):
    editor = desk(segmentation(), patches=stale_patch(True))
    editor.page.get_by_text("The map has changed since you drew.").wait_for()
    assert editor.page.locator(".pair canvas").count() == 2
    editor.page.get_by_role("button", name=answer).click()
    editor.ready()
    assert (editor.labels[20:32, 10:26] == label("road")).all() == drawn
    maps = editor.keep()
    assert (maps["0"] is not None) == drawn


def test_a_drawing_of_this_map_goes_on_and_closing_asks_before_it_loses_something(desk):
    editor = desk(segmentation(), patches=stale_patch(False)).ready()
    assert (editor.labels[20:32, 10:26] == label("road")).all()
    editor.press("b")
    editor.drag((100, 100), (120, 100))
    editor.page.get_by_role("button", name="Cancel").click()
    editor.page.get_by_role("button", name="Continue editing").click()
    editor.press("Control+z")
    assert editor.close("Cancel") is None  # all is as it was opened, so nothing is asked


@pytest.mark.parametrize("key", ["Delete", "h", "ArrowLeft"])
def test_the_whole_map_stays_and_the_editor_says_why(desk, key):
    editor = desk(segmentation())
    editor.press("Control+a", key)

    assert "nothing is left to fill the hole from" in editor.page.locator(".toast").inner_text()
    assert np.array_equal(editor.shown, segmentation())


def test_the_keys_are_those_of_the_map(desk):
    def keys(editor):
        editor.press("?")
        return editor.page.get_by_role("dialog").inner_text()

    shown = keys(desk(segmentation()))
    assert "Recolour" in shown
    assert "Swap black and white" not in shown
    assert "Swap black and white" in keys(desk(np.zeros((64, 64, 3), np.uint8), palette=None))
