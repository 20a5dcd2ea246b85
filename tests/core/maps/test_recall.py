"""Object recall on maps small enough to count by hand."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from finesse.core.maps.recall import Candidate, object_recall, ranked


def solid(maps):
    """Maps (…, H, W) with a square of 3x3 pixels for each: what counts of an object."""
    return torch.as_tensor(maps).repeat_interleave(3, -2).repeat_interleave(3, -1)


MAP = solid([[1, 1, 2, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 3]])


def test_counts_the_wanted_labels_that_are_there():
    assert object_recall(MAP, [1, 2, 7]) == pytest.approx(2 / 3)


def test_an_object_below_the_minimal_area_does_not_count():
    assert object_recall(MAP, [1, 3], minimal_area=2 / 16) == 0.5
    assert object_recall(MAP, [1, 3], minimal_area=1 / 16) == 1.0


def test_nothing_wanted_is_refused():
    with pytest.raises(ValueError, match="wanted"):
        object_recall(MAP, [])


def test_an_absent_object_never_counts():
    assert object_recall(MAP, [1, 7], minimal_area=0) == 0.5


def rows(*texts):
    """Maps of one row each, a digit a label."""
    return solid([[[int(digit) for digit in text]] for text in texts])


def seeds_of(candidates):
    return [candidate.seed for candidate in candidates]


def test_a_candidate_tells_what_it_shows():
    best, other = ranked(
        rows("00000000", "11223444"), {"dog": [1], "wall": [2, 3], "cat": [5]}, 0.25, [70, 71]
    )
    assert best == Candidate(
        index=1,
        seed=71,
        recall=2 / 3,
        found=("dog", "wall"),
        missing=("cat",),
        areas={"dog": 2 / 8, "wall": 3 / 8, "cat": 0},
        area=5 / 8,
    )
    assert (other.index, other.seed, other.recall, other.missing) == (0, 70, 0, ("dog", "wall", "cat"))


def test_recall_comes_first_then_area_then_seed():
    maps = rows("11110000", "12000000", "12220000", "12220000", "00000000")
    assert seeds_of(ranked(maps, {"a": [1], "b": [2]}, 0.1, [1, 2, 9, 3, 0])) == [3, 9, 2, 1, 0]


def test_an_object_that_two_names_share_is_one_area():
    assert ranked(rows("1234"), {"wall": [1, 2, 3], "brick": [2]})[0].area == 0.75


def test_without_seeds_the_maps_are_numbered():
    assert seeds_of(ranked(rows("0", "1", "1"), {"a": [1]})) == [1, 2, 0]


def test_seams_and_specks_do_not_count():
    seam = torch.zeros(20, 20, dtype=torch.int64)
    seam[:, 10:12], seam[3, 3], seam[15:18, 2:5] = 1, 2, 3
    assert ranked(seam[None], {"seam": [1], "speck": [2], "object": [3]})[0].areas == {
        "seam": 0.0,
        "speck": 0.0,
        "object": 9 / 400,
    }


def test_solid_pixels_are_those_in_a_square_of_one_label():
    generator = torch.Generator().manual_seed(2)
    labels = torch.randint(2, (9, 11), generator=generator)
    labels[2:7, 3:8] = 1
    height, width = labels.shape
    inside = set()
    for row in range(height):
        for column in range(width):
            square = [
                (min(max(row + y, 0), height - 1), min(max(column + x, 0), width - 1))
                for y in (-1, 0, 1)
                for x in (-1, 0, 1)
            ]
            if len({int(labels[place]) for place in square}) == 1:
                inside |= {place for place in square if labels[place] == 1}
    assert ranked(labels[None], {"a": [1]})[0].areas["a"] == pytest.approx(len(inside) / 99)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64])
def test_maps_may_hold_any_integers(dtype):
    maps = np.array([[[0, 0]], [[0, 200]]]).repeat(3, 1).repeat(3, 2).astype(dtype)
    assert seeds_of(ranked(maps, {"a": [200, 70_000]}, seeds=[5, 6])) == [6, 5]


def test_labels_may_be_negative():
    assert ranked(solid([[[-1, 2]]]), {"a": [2]})[0].areas == {"a": 0.5}


def test_the_ranking_is_that_of_counting_pixels():
    rng = random.Random(3)
    for _ in range(20):
        count, height, width = rng.randint(1, 6), rng.randint(1, 6), rng.randint(1, 6)
        maps = [[[rng.randint(0, 5) for _ in range(width)] for _ in range(height)] for _ in range(count)]
        wanted = {str(i): rng.sample(range(6), rng.randint(1, 3)) for i in range(rng.randint(1, 4))}
        minimal, seeds = rng.choice([0, 0.1, 0.3, 1]), [rng.randint(0, 3) for _ in maps]
        expected = []
        for index, rows_ in enumerate(maps):
            pixels = [label for row in rows_ for label in row]
            covered = [sum(p in group for p in pixels) / len(pixels) for group in wanted.values()]
            recall = sum(c >= minimal and c > 0 for c in covered) / len(wanted)
            area = sum(any(p in group for group in wanted.values()) for p in pixels) / len(pixels)
            expected.append((-recall, -area, seeds[index], index))
        found = ranked(solid(maps), wanted, minimal, seeds)
        assert [(-c.recall, -c.area, c.seed, c.index) for c in found] == sorted(expected)
        flat = {name: group[:1] for name, group in wanted.items()}
        for candidate in ranked(solid(maps), flat, minimal, seeds):
            labels = solid(maps[candidate.index])
            assert object_recall(labels, [group[0] for group in flat.values()], minimal) == candidate.recall


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((MAP, {"a": [1]}), r"labels: got torch.int64 of shape \(12, 12\); give the integer labels"),
        ((MAP[None] / 2, {"a": [1]}), r"labels: got torch.float32 of shape \(1, 12, 12\)"),
        ((MAP[None][:0], {"a": [1]}), r"labels: got .* \(0, 12, 12\); give .* at least one map"),
        ((MAP[None], {}), "wanted: no object is given, so there is nothing to rank by; name"),
        ((MAP[None], {"a": [1], "b": []}), "wanted: 'b' has no labels; give the labels that count as it"),
        ((MAP[None], {"a": [1]}, 3), "minimal_area: got 3; give a fraction of the map, 0 to 1"),
        ((MAP[None], {"a": [1]}, 0.1, [1, 2]), "seeds: got 2 for 1 maps; give one seed for each map"),
    ],
)
def test_bad_input_is_explained(arguments, said):
    with pytest.raises(ValueError, match=said):
        ranked(*arguments)
