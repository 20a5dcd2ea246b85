"""The objects of a map, the pieces cut out of it and the holes that they leave."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from finesse.core.maps.objects import Piece, box_of, connected_to, fill_holes_by_nearest, objects_of
from finesse.core.small_objects.boxes import Box
from scipy import ndimage

LABELS = np.array(
    [
        [0, 0, 1, 0, 2],
        [0, 1, 0, 0, 2],
        [3, 3, 0, 2, 0],
        [3, 3, 0, 0, 1],
    ]
)


def drawn(mask):
    return ["".join("#" if pixel else "." for pixel in row) for row in mask]


def test_pixels_that_touch_at_a_corner_are_one_object():
    found = [(thing.label, thing.area, thing.box) for thing in objects_of(LABELS, ignore=(0,))]
    assert found == [
        (3, 4, Box(0, 2, 2, 2)),
        (2, 3, Box(3, 0, 2, 3)),
        (1, 2, Box(1, 0, 2, 2)),
        (1, 1, Box(4, 3, 1, 1)),
    ]
    two = objects_of(LABELS, ignore=(0,))[1]
    assert drawn(two.mask) == ["....#", "....#", "...#.", "....."]
    assert drawn(two.crop) == [".#", ".#", "#."]


def test_equal_areas_are_ordered_by_the_top_left_of_their_boxes():
    labels = np.array([[0, 0, 0, 4], [2, 0, 1, 0], [0, 0, 0, 3]])
    assert [thing.label for thing in objects_of(labels, ignore=[0])] == [4, 2, 1, 3]


def test_small_objects_can_be_left_out():
    assert [t.area for t in objects_of(LABELS, minimal_area=3 / 20)] == [10, 4, 3]
    assert [t.label for t in objects_of(LABELS, minimal_area=3 / 20, ignore=(0, 3))] == [2]


@pytest.mark.parametrize("seed", range(12))
def test_objects_are_those_of_scipy(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, rng.integers(1, 6), rng.integers(1, 40, 2))
    if seed % 3 == 0:  # larger regions
        labels = labels.repeat(3, 0).repeat(2, 1)
    found = objects_of(labels)
    assert sum(thing.area for thing in found) == labels.size
    for label in np.unique(labels):
        expected, count = ndimage.label(labels == label, np.ones((3, 3)))
        own = [thing for thing in found if thing.label == label]
        assert len(own) == count
        for thing in own:
            number = expected[thing.mask][0]
            assert np.array_equal(thing.mask, expected == number)
            assert thing.area == thing.mask.sum()
            assert thing.box == box_of(thing.mask)


def test_a_spiral_and_a_comb_are_one_object_each():
    comb = np.zeros((64, 257), np.uint8)
    comb[:, ::2] = 1
    comb[-1] = 1
    assert len(objects_of(comb, ignore=(0,))) == 1
    snake = np.zeros((129, 65), np.uint8)
    snake[::2] = 1
    snake[1::4, -1] = snake[3::4, 0] = 1
    assert len(objects_of(snake, ignore=(0,))) == 1


def seconds_of(work: Callable[[], object]) -> float:
    start = time.process_time()  # others may be at work on this machine
    work()
    return time.process_time() - start


def scipys_objects(labels: np.ndarray) -> None:
    for label in np.unique(labels):
        numbers, count = ndimage.label(labels == label, np.ones((3, 3)))
        ndimage.find_objects(numbers)
        ndimage.sum_labels(numbers > 0, numbers, range(1, count + 1))


@pytest.mark.parametrize("labels", [2, 4, 150])
def test_noise_takes_no_longer_than_a_few_times_scipys(labels, measured):
    noise = np.random.default_rng(0).integers(0, labels, (512, 512), dtype=np.uint8)
    ratio = seconds_of(partial(objects_of, noise)) / seconds_of(partial(scipys_objects, noise))
    measured(f"map objects of {labels} labels in 512×512 px of noise: {ratio:.1f} times scipy's time")
    assert ratio < 10


def test_objects_with_a_seed():
    mask = LABELS > 0
    seeds = np.zeros_like(mask)
    seeds[3, 4] = seeds[0, 0] = True
    assert drawn(connected_to(mask, seeds)) == ["....#", "....#", "...#.", "....#"]


def test_a_map_without_pixels_has_no_objects():
    assert objects_of(np.zeros((0, 5), int)) == []


def test_bad_maps_are_explained():
    with pytest.raises(ValueError, match=r"labels: got float64 of shape \(2, 2\); give the integer labels"):
        objects_of(np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"labels: got int64 of shape \(1, 2, 2\)"):
        objects_of(np.zeros((1, 2, 2), int))
    with pytest.raises(ValueError, match="minimal_area: got 30; give a fraction"):
        objects_of(LABELS, minimal_area=30)
    with pytest.raises(ValueError, match=r"hole_mask is \(4, 4\) but labels are \(4, 5\)"):
        fill_holes_by_nearest(LABELS, np.zeros((4, 4), bool))
    with pytest.raises(ValueError, match=r"hole_mask covers the whole map \(4, 5\)"):
        fill_holes_by_nearest(LABELS, np.ones((4, 5), bool))


def filled_by_brute_force(values, hole):
    filled = values.copy()
    outside = np.argwhere(~hole)  # in scan order, and argmin takes the first
    for y, x in np.argwhere(hole):
        nearest = ((outside - (y, x)) ** 2).sum(1).argmin()
        filled[y, x] = values[tuple(outside[nearest])]
    return filled


@pytest.mark.parametrize("seed", range(25))
def test_holes_take_the_nearest_pixel(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 24, 2) + 1)
    hole = rng.random(shape) < rng.choice([0.3, 0.8, 0.97])
    hole[tuple(rng.integers(0, shape))] = False
    values = np.arange(hole.size).reshape(shape)  # all different, so that ties count too
    before = values.copy()
    assert np.array_equal(fill_holes_by_nearest(values, hole), filled_by_brute_force(values, hole))
    assert np.array_equal(values, before)


def test_holes_in_pixels_are_filled_too():
    pixels = np.arange(27, dtype=np.float32).reshape(3, 3, 3)
    hole = np.zeros((3, 3), bool)
    hole[2, 1:] = True
    filled = fill_holes_by_nearest(pixels, hole)
    assert filled.dtype == np.float32
    assert filled[2].tolist() == [pixels[2, 0].tolist(), pixels[1, 1].tolist(), pixels[1, 2].tolist()]
    assert np.array_equal(fill_holes_by_nearest(pixels, np.zeros((3, 3), bool)), pixels)


L = np.array([[1, 0], [1, 0], [1, 1]], bool)
PIECE = Piece(5, 7, L, np.arange(6).reshape(3, 2))


def placed(piece):
    return piece.x, piece.y, drawn(piece.mask), piece.values[piece.mask].tolist()


def test_pieces_are_flipped_where_they_are():
    assert placed(PIECE.flipped(True)) == (5, 7, [".#", ".#", "##"], [0, 2, 5, 4])
    assert placed(PIECE.flipped(False)) == (5, 7, ["##", "#.", "#."], [4, 5, 2, 0])
    assert placed(PIECE.flipped(True).flipped(True)) == placed(PIECE)


def test_quarter_turns_go_clockwise_and_come_back():
    assert placed(PIECE.rotated(90)) == (5, 7, ["###", "#.."], [4, 2, 0, 5])
    assert placed(PIECE.rotated(180)) == (5, 7, ["##", ".#", ".#"], [5, 4, 2, 0])
    assert placed(PIECE.rotated(-90)) == placed(PIECE.rotated(270)) == (5, 7, ["..#", "###"], [5, 0, 2, 4])
    for degrees in (0, 360, -720):
        assert placed(PIECE.rotated(degrees)) == placed(PIECE)
    assert placed(PIECE.rotated(90).rotated(90).rotated(90).rotated(90)) == placed(PIECE)


def test_a_turned_square_is_a_diamond_around_the_same_centre():
    square = Piece(20, 30, np.ones((8, 8), bool), np.zeros((8, 8), int))
    turned = square.rotated(45)
    assert drawn(turned.mask) == drawn(turned.mask[::-1]) == drawn(turned.mask[:, ::-1])
    assert abs(int(turned.mask.sum()) - 64) <= 4
    assert turned.box == Box(18, 28, 12, 12)


def test_turns_go_clockwise_by_any_angle():
    bar = Piece(0, 10, np.ones((1, 21), bool), np.arange(21)[None])
    y, x = np.nonzero(bar.rotated(30).mask)
    assert np.polyfit(x, y, 1)[0] == pytest.approx(np.tan(np.pi / 6), abs=0.05)  # y points down


def test_pieces_are_scaled_about_their_centre():
    big = PIECE.scaled(3, 2, 100, 100)
    assert big.box == Box(3, 6, 6, 6)
    assert drawn(big.mask) == ["###...", "###...", "###...", "###...", "######", "######"]
    assert placed(big.scaled(1 / 3, 1 / 2, 100, 100)) == placed(PIECE)
    assert placed(PIECE.scaled(1, 1, 100, 100)) == placed(PIECE)
    assert PIECE.scaled(0.01, 0.01, 100, 100).box == Box(5, 8, 1, 1)


@pytest.mark.parametrize("factor", [0.3, 1.7, 1000])
def test_only_what_is_inside_the_map_is_made(factor):
    rng = np.random.default_rng(0)
    piece = Piece(-6, 3, rng.random((9, 20)) < 0.5, rng.integers(0, 9, (9, 20)))
    inside = piece.scaled(factor, factor, 24, 16)
    assert inside.x >= 0
    assert inside.y >= 0
    assert inside.box.right <= 24
    assert inside.box.bottom <= 16
    if factor < 1000:
        whole = piece.scaled(factor, factor, 10_000, 10_000)
        assert placed(inside) == placed(whole.clipped(24, 16))


def test_clipping_beyond_the_map_leaves_nothing():
    for x, y in [(100, 0), (-100, 0), (0, 100), (0, -100)]:
        assert PIECE.moved(x, y).clipped(10, 10).mask.size == 0
    assert placed(PIECE.moved(-6, -8).clipped(10, 10)) == (0, 0, [".", "#"], [5])
