"""What a Segment Anything model sees, and which of its masks is the largest object."""

import numpy as np
import pytest
import torch
from finesse.core.sam.masks import largest_object, model_input, point_grid, size_in_model, to_picture
from PIL import Image

SIDE = 64


def logits(*masks, size=16):
    """Logits (1, K, size, size) of +-5 for masks given by their rectangles (top, bottom, left, right)."""
    found = torch.full((1, len(masks), size, size), -5.0)
    for own, (top, bottom, left, right) in zip(found[0], masks, strict=True):
        own[top:bottom, left:right] = 5.0
    return found


def share(found):
    return float((found.logits > 0).float().mean())


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 40), (30, 64), (33, 50), (200, 111), (7, 900)])
def test_a_picture_becomes_what_pillow_makes_of_it(height, width):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    found = model_input(torch.from_numpy(pixels).float() / 255, SIDE)
    rows, columns = size_in_model(height, width, SIDE)
    assert max(rows, columns) == SIDE
    resized = np.asarray(
        Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BILINEAR), np.float32
    )
    expected = np.zeros((SIDE, SIDE, 3), np.float32)
    expected[:rows, :columns] = (resized - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
    difference = np.abs(found[0].movedim(0, -1).numpy() - expected)
    assert difference.max() <= 1.01 / 57  # one step of 255
    assert (difference > 1e-5).mean() < (0.02 if max(height, width) != SIDE else 1e-9)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (200, 100), (37, 90)])
def test_a_mask_comes_back_where_it_was(height, width):
    rows, columns = size_in_model(height, width, 256)
    mask = logits((rows // 4, rows // 2, columns // 3, columns), size=256)
    found = (to_picture(mask, height, width, 1024)[0, 0] > 0).float()
    expected = torch.zeros(height, width)
    expected[round(height / 4) : round(height / 2), round(width / 3) :] = 1
    assert found.shape == (height, width)
    assert (found != expected).float().mean() < 0.03


def test_the_points_of_a_grid_are_the_centres_of_its_cells():
    points = point_grid(20, 40, 2)
    assert points.tolist() == [[10, 5], [30, 5], [10, 15], [30, 15]]
    assert len(point_grid(33, 17, 16)) == 256


def test_the_largest_that_is_reliable_wins():
    masks = logits((2, 6, 2, 6), (2, 12, 2, 12), (2, 14, 2, 14))
    ious = torch.tensor([[0.99, 0.9, 0.87]])
    found = largest_object(masks, ious, SIDE, SIDE)
    assert share(found) == 100 / 256
    assert found.iou == pytest.approx(0.9)
    masks[0, 1, 2:12, 11] = 0.5  # 90 of 100 pixels are sure
    assert share(largest_object(masks, ious, SIDE, SIDE)) == 16 / 256


@pytest.mark.parametrize(
    ("background", "is_object"),
    [
        ((0, 16, 0, 16), False),  # all
        ((1, 16, 0, 16), False),
        ((0, 6, 0, 16), False),  # a sky
        ((9, 16, 0, 16), False),  # a floor
        ((1, 15, 1, 15), True),  # 77% of the picture, but no edge
        ((4, 16, 3, 13), True),  # a person cut off below
        ((0, 16, 6, 10), True),  # a tower
    ],
)
def test_background_is_no_object(background, is_object):
    small = (5, 8, 5, 8)
    found = largest_object(logits(small, background), torch.ones(1, 2), SIDE, SIDE)
    top, bottom, left, right = background if is_object else small
    assert share(found) == (bottom - top) * (right - left) / 256


def test_what_lies_beyond_the_picture_does_not_count():
    mask = logits((4, 16, 2, 6))  # the picture ends at row 8
    assert largest_object(mask, torch.ones(1, 1), 32, 64) is not None
    mask[0, 0, :8] = -5.0
    assert largest_object(mask, torch.ones(1, 1), 32, 64) is None


def test_without_an_object_there_is_none():
    assert largest_object(logits((0, 0, 0, 0)), torch.ones(1, 1), SIDE, SIDE) is None
    assert largest_object(logits((2, 5, 2, 5)), torch.zeros(1, 1), SIDE, SIDE) is None
    assert largest_object(logits((2, 5, 2, 5)), torch.full((1, 1), torch.nan), SIDE, SIDE) is None
