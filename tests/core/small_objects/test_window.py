"""The window around the boxes, and the size at which it is sampled."""

import json
import random
from pathlib import Path

import pytest
import torch
from finesse.core.small_objects.boxes import Box, Grid
from finesse.core.small_objects.region import plan_edit
from finesse.core.small_objects.window import Scale, plan_window

SD15, FLUX = Grid(8, levels=4), Grid(8, patch=2)
WINDOWS = Path(__file__).parents[2] / "web" / "scaled_windows.json"  # the page's tests read it, too


def planned(box, picture, scale, grid=SD15, context=0):
    return plan_window([box], picture, context, scale, grid)


@pytest.mark.parametrize("kind", ["auto", "side", "megapixels"])
@pytest.mark.parametrize("seed", range(60))
def test_every_window_holds_its_boxes_and_is_whole_tokens(kind, seed):
    rng = random.Random(seed)
    width, height = rng.randint(1, 900), rng.randint(1, 900)
    grid = rng.choice([SD15, FLUX, Grid(16, levels=1), Grid(1, patch=16), Grid(4, levels=3)])
    amount = {"auto": rng.uniform(1, 9), "side": rng.randint(16, 1500), "megapixels": rng.uniform(0.02, 1.5)}
    scale = Scale(kind, amount[kind], rng.choice([64, 500, 512, 1024]))
    boxes = []
    for _ in range(rng.randint(1, 3)):
        x, y = rng.randrange(width), rng.randrange(height)
        boxes.append(Box(x, y, rng.randint(1, width - x), rng.randint(1, height - y)))
    window = plan_window(boxes, (width, height), rng.choice([0, 0, 100, 333]), scale, grid)
    box, factor = window.box, window.width / window.box.width
    assert window.width % grid.token == window.height % grid.token == 0
    assert all(box.x <= own.x and own.right <= box.right for own in boxes)
    assert all(box.y <= own.y and own.bottom <= box.bottom for own in boxes)
    assert box.x >= 0
    assert box.y >= 0
    if (window.width, window.height) == (box.width, box.height):  # the picture's own pixels, on its grid
        assert box.x % grid.token == box.y % grid.token == 0
    # past the right and bottom edge by less than a token of the sampled size, and half a pixel of rounding
    assert max(box.right - width, box.bottom - height) < grid.token / factor + 1
    # as wide as high, to a pixel of the picture
    assert abs(window.height / factor - box.height) <= 1 + box.height / box.width


def test_auto_enlarges_until_the_box_has_two_cells():
    window = planned(Box(300, 200, 40, 50), (1000, 800), Scale("auto", 8.0, 512))
    assert window.width / window.box.width == pytest.approx(128 / 40, rel=0.01)
    assert (window.width, window.height) == (512, 512)


def test_auto_keeps_to_its_limit_and_to_the_side_that_the_model_knows():
    tiny = planned(Box(300, 200, 16, 16), (1000, 800), Scale("auto", 4.0, 512))
    assert (tiny.width, tiny.box.width) == (512, 128)
    boxes = [Box(100, 200, 16, 16), Box(300, 200, 16, 16)]
    wide = plan_window(boxes, (1000, 800), 0, Scale("auto", 4.0, 512), SD15)
    assert wide.width / wide.box.width == pytest.approx((512 - 16) / 216, rel=0.03)
    assert wide.width <= 512 + 8


def test_auto_leaves_two_thirds_of_the_window_for_what_is_around():
    window = planned(Box(20, 20, 9, 12), (64, 64), Scale("auto", 8.0, 64), Grid(4, levels=3))
    assert window.width / window.box.width == pytest.approx(64 / (3 * 12), rel=0.03)


def test_auto_takes_no_more_of_the_picture_than_the_model_knows():
    assert planned(Box(300, 200, 150, 150), (4000, 3000), Scale("auto", 4.0, 512)).width == 512
    assert (
        planned(Box(300, 200, 100, 100), (4000, 3000), Scale("auto", 4.0, 1024), context=256).box.width == 256
    )


def test_auto_counts_a_transformers_tokens():
    window = planned(Box(300, 200, 40, 50), (1000, 1000), Scale("auto", 8.0, 1024), FLUX)
    assert window.width / window.box.width == pytest.approx(128 / 40, rel=0.01)


def test_a_large_box_is_sampled_as_it_is():
    window = planned(Box(40, 40, 200, 200), (512, 512), Scale("auto", 4.0, 512))
    assert window.box == Box(0, 0, 512, 512)
    assert (window.width, window.height) == (512, 512)


def test_a_side_that_is_the_windows_own_is_no_scale():
    window = planned(Box(301, 203, 40, 40), (1000, 800), Scale("side", 160), context=160)
    assert window == planned(Box(301, 203, 40, 40), (1000, 800), Scale(), context=160)
    assert window.box.x % 8 == 0


def test_side_and_megapixels_say_the_sampled_size():
    small = planned(Box(300, 200, 40, 40), (1000, 800), Scale("side", 512), context=160)
    assert (small.box.width, small.width, small.height) == (160, 512, 512)
    whole = planned(Box(300, 200, 40, 40), (1000, 800), Scale("side", 512))
    assert (whole.width, whole.height) == (512, 416)
    million = planned(Box(300, 200, 40, 40), (1000, 800), Scale("megapixels", 1.0), context=256)
    assert (million.width, million.height) == (1024, 1024)


def test_the_sampled_mask_covers_all_that_changes_and_whole_tokens():
    for seed in range(40):
        rng = random.Random(seed)
        box = Box(rng.randrange(150), rng.randrange(100), rng.randint(2, 40), rng.randint(2, 40))
        mask = (torch.rand(1, 160, 200) > 0.4).float() if rng.random() < 0.5 else None
        scale = rng.choice([Scale("auto", 5.0, 160), Scale("side", 320), Scale("side", 96)])
        options = {"grid": FLUX, "snap": True, "grow": rng.choice([0, 4]), "context": 0, "scale": scale}
        edit = plan_edit([box], ["box"], mask, (200, 160), **options)
        region, (width, height) = edit.region, edit.region.sampled_size
        assert edit.mask.shape[1:] == (height, width)
        cells = edit.mask.reshape(1, height // 16, 16, width // 16, 16)
        assert torch.equal(cells.amax((2, 4)), cells.amin((2, 4)))
        sampled = region.sampled(region.boxes[0])
        if mask is None and region.scaled:
            assert region.boxes[0] == box.grow(options["grow"]).clip(200, 160)
            assert bool(edit.mask[sampled.index].all())
        changed = region.alpha.nonzero()[:, 1:]
        places = (changed + 0.5) * torch.tensor([height / region.window.height, width / region.window.width])
        rows, columns = places.long().T
        assert bool((edit.mask[0, rows, columns] > 0).all())


@pytest.mark.parametrize("case", json.loads(WINDOWS.read_text("utf-8")))
def test_the_page_plans_the_same_window(case):
    grid = Grid(case["scene"]["token"], levels=case["scene"]["levels"])
    scale, picture = case["scene"]["scale"], case["scene"]["picture"]
    own = Scale(scale["kind"], scale["amount"], scale["modelSide"])
    boxes = [Box(**box) for box in case["boxes"]]
    size = picture["width"], picture["height"]
    options = {key: case["scene"][key] for key in ("snap", "grow", "context")}
    edit = plan_edit(boxes, ["box"] * len(boxes), None, size, grid=grid, scale=own, **options)
    region = edit.region
    sampled = [region.sampled(box) for box in region.boxes]
    assert region.window.to_dict() == case["window"]
    assert list(region.sampled_size) == case["size"]
    assert [box.to_dict() for box in region.boxes] == case["edited"]
    assert [[box.width, box.height] for box in sampled] == case["sampled"]
