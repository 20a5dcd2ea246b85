"""What has a place on a conditioning lies in the window where it lay in the picture.

Measured by ComfyUI's own code: what its samplers make of the conditioning of the whole picture, cut to the
window, is what they make of the moved one.
"""

from __future__ import annotations

import copy

import pytest
import torch
from finesse.core.small_objects.boxes import Box
from finesse.core.small_objects.region import Region
from finesse.tests.nodes.stand_ins import BOX, cond

CELL = 8
PICTURE = (208, 160)  # width, height
WINDOW = Box(48, 32, 96, 64)


@pytest.fixture
def into_window(comfy):
    from finesse.nodes.small_objects.window_conditioning import IntoWindow

    def make(window=WINDOW, size=PICTURE, cell=CELL):
        return IntoWindow(Region(*size, window, (window,), torch.ones(1, window.height, window.width), cell))

    return make


@pytest.fixture
def stock(comfy):
    import nodes

    return nodes


def weights(conditioning, width, height, cell=CELL):
    """The weight of an entry in each latent cell (h, w), by comfy.samplers; 0 outside its area."""
    from comfy import samplers

    size = (-(-height // cell), -(-width // cell))
    conds = [{**values, "model_conds": {}, "uuid": 0} for _, values in conditioning]
    samplers.resolve_areas_and_cond_masks_multidim(conds, size, "cpu")
    found = samplers.get_area_and_mult(conds[0], torch.zeros(1, 1, *size), torch.ones(1))
    placed = torch.zeros(size)
    rows, columns, y, x = found.area or (*size, 0, 0)
    placed[y : y + rows, x : x + columns] = found.mult[0, 0]
    return placed


def in_cells(window, cell=CELL):
    return (
        slice(window.y // cell, window.bottom // cell),
        slice(window.x // cell, window.right // cell),
    )


MASKS = {"of the picture": (160, 208), "twice the picture": (320, 416), "of the latent": (20, 26)}


@pytest.mark.parametrize("size", MASKS)
@pytest.mark.parametrize("bounds", ["default", "mask bounds"])
def test_a_mask_moves(into_window, stock, size, bounds):
    mask = torch.zeros(1, 20, 26)
    mask[:, 6:11, 8:30] = torch.rand(5, 18)
    mask = torch.nn.functional.interpolate(mask[None], MASKS[size], mode="nearest")[0]
    (given,) = stock.ConditioningSetMask().append(cond(), mask, bounds, 0.7)
    moved = into_window()(given, "positive")
    expected = weights(given, *PICTURE)[in_cells(WINDOW)]
    assert torch.equal(weights(moved, WINDOW.width, WINDOW.height), expected)
    assert moved[0][1].keys() == given[0][1].keys()


def test_a_mask_of_another_size_is_stretched_over_the_picture_first(into_window):
    halves = torch.tensor([[[1.0, 0.0]]])
    (moved,) = into_window()(cond(mask=halves), "positive")
    mask = moved[1]["mask"]
    assert mask.shape == (1, WINDOW.height, WINDOW.width)
    ramp = torch.nn.functional.interpolate(halves[None], PICTURE[::-1], mode="bilinear")[0]
    assert torch.equal(mask, ramp[WINDOW.index])


PLACES = {  # x, y, width, height in pixels
    "inside": (64, 48, 64, 40),
    "over a corner": (8, 0, 72, 64),
    "around": (0, 0, 208, 160),
    "past the picture": (96, 64, 512, 512),
}


def as_area(stock, place, is_percentage):
    x, y, width, height = place
    if not is_percentage:
        return stock.ConditioningSetArea().append(cond(), width, height, x, y, 1.0)[0]
    columns, rows = PICTURE
    sides = (width / columns, height / rows, x / columns, y / rows)
    return stock.ConditioningSetAreaPercentage().append(cond(), *sides, 1.0)[0]


@pytest.mark.parametrize("is_percentage", [False, True])
@pytest.mark.parametrize("place", PLACES)
def test_an_area_moves(into_window, stock, place, is_percentage):
    given = as_area(stock, PLACES[place], is_percentage)
    before = copy.deepcopy(given)
    moved = into_window()(given, "positive")
    expected = weights(given, *PICTURE)[in_cells(WINDOW)] > 0  # its soft rims are as wide as its sides allow
    assert torch.equal(weights(moved, WINDOW.width, WINDOW.height) > 0, expected)
    assert given[0][1] == before[0][1]


def test_what_lies_outside_is_left_out_and_told(into_window, stock):
    (outside,) = stock.ConditioningSetArea().append(cond(), 48, 160, 0, 0, 1.0)
    far = torch.zeros(1, 160, 208)
    far[:, :, 150:] = 1
    move = into_window()
    assert move(outside + cond(here=1) + cond(mask=far), "positive")[0][1] == {"here": 1}
    assert move.notes == ["positive: prompts left out because they lie outside the window: 2 of 3."]
    assert move(cond(mask=1 - far), "negative")
    assert len(move.notes) == 1


def test_gligens_boxes_move(into_window, stock):
    class PooledCLIP:
        def tokenize(self, text):
            return text

        def encode_from_tokens(self, tokens, return_pooled):
            return None, tokens

    given = cond()
    for text, (x, y, width, height) in PLACES.items():
        (given,) = stock.GLIGENTextBoxApply().append(given, PooledCLIP(), "model", text, width, height, x, y)
    (given,) = stock.GLIGENTextBoxApply().append(given, PooledCLIP(), "model", "outside", 40, 160, 0, 0)
    kind, model, boxes = into_window()(given, "positive")[0][1]["gligen"]
    assert (kind, model) == ("position", "model")
    assert boxes == [
        ("inside", 5, 8, 2, 2),
        ("over a corner", 4, 4, 0, 0),
        ("around", 8, 12, 0, 0),
        ("past the picture", 4, 6, 4, 6),
    ]
    alone = cond(gligen=("position", "model", [given[0][1]["gligen"][2][-1]]))
    assert "gligen" not in into_window()(alone, "positive")[0][1]


@pytest.fixture
def controls(stock):
    """Positive and negative under two stock controls, one on the other, with these hints."""
    from comfy.controlnet import T2IAdapter

    def make(*hints, mask=()):
        positive, negative = cond(), cond()
        for hint in hints:
            control = T2IAdapter(None, 3, 8, "nearest-exact")
            positive, negative = stock.ControlNetApplyAdvanced().apply_controlnet(
                positive, negative, control, hint, 0.7, 0.1, 0.9, extra_concat=list(mask)
            )
        return positive, negative

    return make


def hint_for(control, width, height):
    """The hint (B, C, h, w) that a control makes for a latent of a picture's size."""
    import comfy.utils

    hint = control.cond_hint_original
    return comfy.utils.common_upscale(hint, width, height, control.upscale_algorithm, "center")


def test_hints_of_controls_move_and_the_controls_stay(into_window, controls):
    mask = torch.rand(1, 1, 160, 208)
    hints = torch.rand(1, 160, 208, 3), torch.rand(2, 320, 416, 3)
    positive, negative = controls(*hints, mask=[mask])
    above = positive[0][1]["control"]
    below = above.previous_controlnet
    before = [(c.cond_hint_original, c.cond_hint_original.clone()) for c in (above, below)]
    move = into_window()
    moved = move(positive, "positive")[0][1]["control"]
    assert move(negative, "negative")[0][1]["control"] is moved
    for control, old in ((moved, above), (moved.previous_controlnet, below)):
        assert control is not old
        assert (control.strength, control.timestep_percent_range) == (0.7, (0.1, 0.9))
        shown = hint_for(old, *PICTURE)[..., 32:96, 48:144]
        assert torch.equal(hint_for(control, WINDOW.width, WINDOW.height), shown)
        assert torch.equal(control.extra_concat_orig[0], mask[..., 32:96, 48:144])
    assert moved.cond_hint_original.shape == (2, 3, 128, 192)  # twice the picture's scale still
    assert positive[0][1]["control"] is above
    for hint, copied in before:
        assert torch.equal(hint, copied)


def test_a_hint_of_other_proportions_is_cropped_as_for_the_whole_picture(into_window, controls):
    positive, _ = controls(torch.rand(1, 90, 70, 3))
    control = into_window()(positive, "positive")[0][1]["control"]
    shown = hint_for(positive[0][1]["control"], *PICTURE)[..., 32:96, 48:144]
    assert torch.equal(control.cond_hint_original, shown)


def test_parents_of_a_factor_move(into_window, factors, controlled):
    factor = factors("sketch", parents=("segmentation", "depth"))
    parent = torch.rand(1, 4, 20, 26)
    given = controlled(cond(), factor, parents=(parent, None))
    control = into_window()(given, "positive")[0][1]["control"]
    assert torch.equal(control.parents[0], parent[..., 4:12, 6:18])
    assert control.parents[1] is None
    assert given[0][1]["control"].parents[0] is parent


def test_past_the_picture_it_is_padded_as_the_picture_is(into_window, controls):
    mask, size, window = torch.rand(1, 61, 83), (83, 61), Box(40, 16, 48, 48)
    positive, _ = controls(torch.rand(1, 61, 83, 3))
    move = into_window(window, size)
    rows, columns = torch.arange(16, 64).clamp(max=60), torch.arange(40, 88).clamp(max=82)
    (values,) = (values for _, values in move(cond(mask=mask), "positive"))
    assert torch.equal(values["mask"], mask[:, rows][..., columns])
    hint = positive[0][1]["control"].cond_hint_original
    moved = move(positive, "positive")[0][1]["control"]
    assert torch.equal(moved.cond_hint_original, hint[..., rows, :][..., columns])


def test_of_the_whole_picture_nothing_moves(inpaint, controls):
    positive, negative = controls(torch.rand(1, 64, 64, 3))
    mask = torch.ones(1, 64, 64)
    positive[0][1].update(area=("percentage", 0.5, 0.5, 0, 0), mask=mask)
    moved, other, *_ = inpaint(torch.rand(1, 64, 64, 3), positive=positive, negative=negative)
    for key, value in positive[0][1].items():
        assert moved[0][1][key] is value
    assert other[0][1]["control"] is negative[0][1]["control"]


def test_the_node_moves_both_prompts_and_tells_what_it_left_out(inpaint):
    near, far = (8, 8, 0, 0), (2, 2, 30, 30)
    prompts = cond(area=near) + cond(area=far)
    positive, negative, _, region, report, *_ = inpaint(
        torch.rand(1, 256, 256, 3), BOX, positive=prompts, negative=cond(area=near), context=64
    )
    assert (region.window.x, region.window.y) == (0, 0)
    assert [values["area"] for _, values in positive] == [near]
    assert [values["area"] for _, values in negative] == [near]
    assert "positive: prompts left out because they lie outside the window: 1 of 2." in report
