"""Masks that are kept with their places alone, against whole ones."""

import random

import pytest
import torch
import torch.nn.functional as F
from finesse.core.small_objects.box_masks import (
    BoxMask,
    enlarged,
    on_grid,
    painted,
    partition,
    snap_mask,
    snapped,
)
from finesse.core.small_objects.boxes import Box

SIDE = 48


def some_masks(seed, count, batches=(1,)):
    rng = random.Random(seed)
    torch.manual_seed(seed)
    masks = []
    for _ in range(count):
        x, y = rng.randrange(SIDE), rng.randrange(SIDE)
        box = Box(x, y, rng.randint(1, SIDE - x), rng.randint(1, SIDE - y))
        masks.append(BoxMask(box, torch.rand(rng.choice(batches), box.height, box.width)))
    return masks


def whole(mask):
    return painted([mask], SIDE, SIDE)


@pytest.mark.parametrize("seed", range(5))
def test_painted_has_the_largest_values(seed):
    masks = some_masks(seed, 5, batches=(1, 3))
    expected = torch.zeros(max(len(mask.values) for mask in masks), SIDE, SIDE)
    for mask in masks:
        own = torch.zeros_like(expected)
        own[mask.box.index] = mask.values
        expected = torch.maximum(expected, own)
    assert torch.equal(painted(masks, SIDE, SIDE), expected)


@pytest.mark.parametrize("seed", range(5))
def test_partition_is_disjoint_complete_and_the_later_wins(seed):
    masks = [BoxMask(mask.box, mask.values.round()) for mask in some_masks(seed, 4, batches=(1, 2))]
    parts, rest = partition(masks, SIDE, SIDE)
    wholes = [whole(part).expand_as(rest) for part in parts]
    assert torch.equal(sum(wholes) + rest, torch.ones_like(rest))
    hidden = torch.zeros_like(rest)
    for mask, own in zip(reversed(masks), reversed(wholes), strict=True):
        assert torch.equal(own, whole(mask) * (1 - hidden))
        hidden = torch.maximum(hidden, whole(mask))


def test_soft_masks_are_shared_out_in_full():
    masks = [BoxMask(Box(0, 0, 9, 9), torch.full((1, 9, 9), value)) for value in (0.5, 0.75, 0.25)]
    parts, rest = partition(masks, 9, 9)
    assert [float(part.values[0, 0, 0]) for part in parts] == [0.125, 0.5625, 0.25]
    assert float(rest[0, 0, 0]) == 0.25


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("step", [1, 4, 8])
def test_snapping_a_part_is_snapping_the_whole(seed, step):
    (mask,) = some_masks(seed, 1, batches=(1, 2))
    assert torch.equal(whole(snapped(mask, step)), snap_mask(whole(mask), step))
    assert torch.equal(whole(on_grid(mask, step)), whole(mask))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("size", [(96, 144), (50, 49), (48, 48), (20, 33), (7, 5)])
def test_enlarging_a_part_is_enlarging_the_whole(seed, size):
    (mask,) = some_masks(seed, 1, batches=(1, 2))
    expected = F.adaptive_max_pool2d(whole(mask), size[::-1])
    assert torch.equal(painted([enlarged(mask, Box(9, 9, SIDE, SIDE), size)], *size), expected)


def test_snap_mask_against_its_definition():
    torch.manual_seed(0)
    mask = (torch.rand(2, 16, 24) > 0.97).float()
    found = snap_mask(mask, 4)
    for b, y, x in torch.ones_like(mask).nonzero().tolist():
        assert found[b, y, x] == mask[b, y // 4 * 4 : y // 4 * 4 + 4, x // 4 * 4 : x // 4 * 4 + 4].max()
