"""Chains of factors: order, passes, survivors, and what a child reads of its parents."""

from __future__ import annotations

import itertools

import pytest
import torch
from finesse.core.factors.chain import (
    Trajectory,
    candidate_seeds,
    check_chain,
    judged_first,
    judged_place,
    passes,
    survivors,
)
from finesse.core.factors.files import FactorInfo
from finesse.core.maps.recall import ranked

PARENTS = {"sketch": (), "pose": ("sketch",), "segmentation": ("sketch",), "depth": ("pose", "segmentation")}


def infos(*conditions, parents=PARENTS):
    return [FactorInfo(condition=c, palette="any", base="tiny", parents=parents[c]) for c in conditions]


def is_ordered(names):
    return all(
        parent not in names or names.index(parent) < place
        for place, name in enumerate(names)
        for parent in PARENTS[name]
    )


@pytest.mark.parametrize("count", range(1, 5))
def test_a_chain_holds_when_parents_come_before_children(count):
    for names in itertools.permutations(PARENTS, count):
        if is_ordered(names):
            check_chain(infos(*names))
        else:
            with pytest.raises(ValueError, match=r"chain: .* comes before its parent"):
                check_chain(infos(*names))


def test_a_condition_twice_and_a_late_parent_are_named():
    with pytest.raises(ValueError, match="chain: sketch is in it twice; leave one"):
        check_chain(infos("sketch", "pose", "sketch"))
    with pytest.raises(ValueError, match="depth comes before its parent pose, segmentation; swap"):
        check_chain(infos("sketch", "depth", "pose", "segmentation"))


def test_the_judged_factor_is_the_first_segmentation_that_is_sampled():
    chain = infos("sketch", "segmentation", "depth")
    assert judged_place(chain, [False, False, False]) == 1
    for given in ([False, True, False], [True, True, True]):
        with pytest.raises(
            ValueError, match=r"objects: only segmentations that are sampled .* clear objects"
        ):
            judged_place(chain, given)


def test_the_judged_factor_comes_as_early_as_its_ancestors_allow():
    names = ("sketch", "pose", "segmentation", "depth")
    order = judged_first(infos(*names), 2)
    assert [names[place] for place in order] == ["sketch", "segmentation", "pose", "depth"]
    grand = {**PARENTS, "segmentation": ("pose",)}
    assert judged_first(infos(*names, parents=grand), 2) == [0, 1, 2, 3]
    assert judged_first(infos("pose", "segmentation"), 1) == [1, 0]


def test_seeds_go_on_from_the_first_and_begin_anew_at_the_end():
    assert candidate_seeds(5, 3) == [5, 6, 7]
    assert candidate_seeds(2**64 - 2, 4) == [2**64 - 2, 2**64 - 1, 0, 1]


@pytest.mark.parametrize(("count", "size"), [(1, 1), (7, 3), (6, 3), (3, 10)])
def test_passes_hold_every_candidate_once(count, size):
    parts = list(passes(count, size))
    assert [i for part in parts for i in part] == list(range(count))
    assert all(len(part) == size for part in parts[:-1])
    assert len(parts[-1]) <= size


def test_survivors_are_the_best_in_their_order():
    labels = (
        torch.tensor([[[0, 0]], [[1, 2]], [[1, 0]], [[1, 1]]]).repeat_interleave(3, 1).repeat_interleave(3, 2)
    )
    found = ranked(labels, {"a": [1], "b": [2]})
    assert [candidate.index for candidate in found] == [1, 3, 2, 0]
    assert [survivors(found, keep) for keep in (0, 1, 2, 3, 9)] == [
        [0, 1, 2, 3],
        [1],
        [1, 3],
        [1, 2, 3],
        [0, 1, 2, 3],
    ]


def filled(value):
    return torch.full((2, 4, 1, 1), float(value))


@pytest.fixture
def trajectory():
    """Of steps that start at 8, 4, 2 and 1; with evaluations within two of them."""
    found = Trajectory((8, 4, 2, 1), filled(0))
    for sigma in (8, 6, 4, 2, 1.5, 1):
        found.record(sigma, filled(sigma))
    return found


@pytest.mark.parametrize(
    ("sigma", "read"), [(8, 4), (7.9996, 4), (6, 4), (4, 2), (2.0001, 1), (2, 1), (1.5, 1), (1, 0), (0.5, 0)]
)
def test_a_child_reads_its_parent_as_after_the_step(trajectory, sigma, read):
    assert torch.equal(trajectory.after(sigma), filled(read))


def test_of_several_evaluations_the_last_counts(trajectory):
    trajectory.record(4, filled(5))
    assert torch.equal(trajectory.after(8), filled(5))


def test_a_sampler_with_steps_of_its_own_is_read_where_it_came_to():
    found = Trajectory((8, 4, 2, 1), filled(0))
    for sigma in (8, 3, 1.2):
        found.record(sigma, filled(sigma))
    assert [found.after(s).mean().item() for s in (8, 3, 1.2)] == pytest.approx([3, 1.2, 0])


def test_a_finished_map_is_read_at_every_step():
    assert torch.equal(Trajectory(final=filled(3)).after(8), filled(3))


def test_some_rows_of_a_trajectory():
    found = Trajectory((8, 4), torch.arange(3.0)[:, None, None, None])
    found.record(4, found.final + 10)
    some = found.take([2, 0])
    assert some.after(8).flatten().tolist() == [12, 10]
    assert some.after(4).flatten().tolist() == [2, 0]
