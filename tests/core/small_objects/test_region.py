import random
import time

import pytest
import torch
from finesse.core.small_objects.box_masks import partition
from finesse.core.small_objects.boxes import Box, Grid
from finesse.core.small_objects.region import dilate, pad_to_window, plan_edit, to_cells
from finesse.core.small_objects.window import Scale

DEFAULTS = {"grid": Grid(8), "snap": False, "grow": 0, "context": 0}


def plan(boxes, mask, size, **options):
    names = [f"box {index}" for index in range(1, len(boxes) + 1)]
    return plan_edit(boxes, names, mask, size, **{**DEFAULTS, **options})


def draw(box, width, height):
    mask = torch.zeros(1, height, width)
    mask[box.index] = 1
    return mask


def test_mask_of_a_box_is_the_box_grown_and_snapped():
    rng = random.Random(0)
    for _ in range(100):
        width, height, cell = 8 * rng.randint(8, 20), 8 * rng.randint(8, 20), rng.choice([4, 8])
        x, y = rng.randrange(width - 20), rng.randrange(height - 20)
        box = Box(x, y, rng.randint(16, width - x), rng.randint(16, height - y))
        grow, snap = rng.choice([0, 5]), rng.random() < 0.5
        edit = plan([box], None, (width, height), grid=Grid(cell), grow=grow, snap=snap)
        expected = box.grow(grow).clip(width, height)
        expected = expected.snap(cell) if snap else expected
        assert edit.region.boxes == (expected,)
        assert torch.equal(edit.region.alpha, draw(expected, width, height))
        assert edit.notes == []


def test_mask_counts_only_inside_the_box_and_says_so():
    mask = draw(Box(0, 0, 40, 40), 64, 64)
    edit = plan([Box(16, 16, 48, 48)], mask, (64, 64))
    assert torch.equal(edit.region.alpha, draw(Box(16, 16, 24, 24), 64, 64))
    assert edit.region.boxes == (Box(16, 16, 24, 24),)
    assert edit.notes == ["mask reaches past the box and was cut to it."]


def test_mask_larger_than_the_window_is_no_error():
    edit = plan([Box(100, 100, 16, 16)], torch.ones(1, 256, 256), (256, 256), context=64)
    assert (edit.region.window.width, edit.region.window.height) == (64, 64)
    assert edit.region.alpha.sum() == 16 * 16


def test_window_too_small_for_the_box_grows_and_says_so():
    edit = plan([Box(40, 40, 100, 100)], None, (256, 256), context=64)
    assert edit.region.window.width >= 100
    assert "context 64 px is too small" in edit.notes[0]


def test_clipped_box_is_reported():
    edit = plan([Box(-10, 8, 30, 900)], None, (64, 64))
    assert edit.region.boxes == (Box(0, 8, 20, 56),)
    assert edit.notes == ["box 1 reaches past the image and was clipped to 20×56 px at (0, 8)."]


def test_one_pixel_image():
    edit = plan([Box(0, 0, 512, 512)], None, (1, 1), snap=True)
    assert edit.region.window == Box(0, 0, 8, 8)
    assert edit.region.visible == Box(0, 0, 1, 1)
    assert edit.region.alpha.sum() == 64


def test_a_small_mask_in_a_box_larger_than_the_window_is_no_error():
    painted = Box(300, 200, 20, 20)
    everything = Box(0, 0, 600, 400)
    edit = plan([everything], draw(painted, 600, 400), (600, 400), context=128, snap=True, grow=8)
    alone = plan([painted], None, (600, 400), context=128, snap=True, grow=8)
    assert edit.region.window == alone.region.window
    assert torch.equal(edit.region.alpha, alone.region.alpha)


def test_box_at_the_edge_of_an_odd_image_masks_the_padding_too():
    edit = plan([Box(40, 0, 10, 50)], None, (50, 50), context=0)
    assert edit.region.window == Box(0, 0, 56, 56)
    assert bool((edit.region.alpha[0, :, 40:] == 1).all())
    assert bool((edit.region.alpha[0, :, :40] == 0).all())


def test_box_on_no_latent_cell_is_named_and_snap_cures_it():
    with pytest.raises(
        ValueError, match=r"box 1 \(3×3 px at \(8, 8\)\) covers no latent cell of 8×8 px: turn"
    ):
        plan([Box(8, 8, 3, 3)], None, (64, 64))
    assert plan([Box(8, 8, 3, 3)], None, (64, 64), snap=True).region.boxes == (Box(8, 8, 8, 8),)


def test_mask_outside_the_box_is_named():
    with pytest.raises(ValueError, match=r"mask has no pixel inside box 1 \(16×16 px at \(0, 0\)\); paint"):
        plan([Box(0, 0, 16, 16)], draw(Box(32, 32, 8, 8), 64, 64), (64, 64))


def test_snapped_box_covers_exactly_its_latent_cells():
    edit = plan([Box(13, 21, 17, 9)], None, (64, 64), snap=True)
    cells = to_cells(edit.region.alpha, 8)
    assert set(cells.unique().tolist()) == {0, 1}
    assert cells.sum() * 64 == edit.region.alpha.sum()


def test_dilate_against_its_definition():
    torch.manual_seed(0)
    mask = (torch.rand(2, 16, 24) > 0.97).float()
    grown = dilate(mask, 2)
    for b, y, x in torch.ones_like(mask).nonzero().tolist():
        around = mask[b, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3]
        assert grown[b, y, x] == around.max()


def test_padding_repeats_the_last_row_and_column():
    pixels = torch.rand(2, 5, 3, 3)
    padded = pad_to_window(pixels, Box(0, 0, 8, 8))
    assert padded.shape == (2, 8, 8, 3)
    assert torch.equal(padded[:, :5, :3], pixels)
    assert torch.equal(padded[:, 7, 7], pixels[:, 4, 2])


# Boxes of a batch's pictures


def test_a_box_of_one_picture_changes_that_one_alone():
    boxes, pictures = [Box(0, 0, 16, 16), Box(8, 8, 16, 16), Box(40, 40, 8, 8)], [0, 2, None]
    edit = plan(boxes, None, (64, 64), pictures=pictures, batch=3)
    for picture in range(3):
        own = [box for box, place in zip(boxes, pictures, strict=True) if place in (picture, None)]
        expected = torch.stack([draw(box, 64, 64) for box in own]).amax(0)[0]
        assert torch.equal(edit.region.alpha[picture], expected)
        assert torch.equal(edit.mask[picture], expected)
    assert edit.region.pictures == (0, 2, None)
    assert edit.notes == []


def test_a_box_of_one_picture_has_the_mask_of_that_one():
    masks = torch.cat([draw(Box(0, 0, 8, 8), 64, 64), draw(Box(24, 24, 8, 8), 64, 64)])
    edit = plan([Box(0, 0, 64, 64)] * 2, masks, (64, 64), pictures=[1, 0], batch=2)
    assert edit.region.boxes == (Box(24, 24, 8, 8), Box(0, 0, 8, 8))
    assert torch.equal(edit.region.alpha, masks)
    assert edit.notes == []
    cut = plan([Box(0, 0, 16, 16)], masks, (64, 64), pictures=[0], batch=2)
    assert cut.notes == ["mask reaches past the box and was cut to it."]
    with pytest.raises(ValueError, match="mask has no pixel inside box 1"):
        plan([Box(0, 0, 16, 16)], masks, (64, 64), pictures=[1], batch=2)


# Many boxes


def test_a_box_that_later_ones_cover_is_named():
    boxes = [Box(8, 8, 8, 8), Box(0, 0, 12, 32), Box(12, 0, 20, 32), Box(40, 40, 8, 8)]
    assert plan(boxes, None, (64, 64)).notes == ["box 1 lies under later boxes, and they win."]
    assert plan(boxes, None, (64, 64), pictures=[0, 1, 1, 1], batch=2).notes == []


@pytest.mark.parametrize("scale", [Scale(), Scale("side", 4096)])
def test_two_hundred_boxes_of_a_large_picture_take_little_memory_and_time(scale, measured):
    rng = random.Random(0)
    boxes = [Box(rng.randrange(2000), rng.randrange(2000), rng.randint(2, 48), 32) for _ in range(200)]
    start = time.process_time()
    edit = plan(boxes, None, (2048, 2048), snap=True, grow=16, scale=scale)
    parts, _ = partition(edit.masks, *edit.region.sampled_size)
    seconds = time.process_time() - start
    measured(
        f"200 boxes of a picture of 2048×2048 px, sampled at {edit.region.sampled_size}: {seconds:.2f} s"
    )
    assert sum(part.values.numel() for part in parts) < edit.mask.numel()
    assert seconds < 2
