"""FG-DM's draw: seeds, passes, who goes on, what a child reads of its parents, and when drawing stops."""

from __future__ import annotations

import pytest
import torch
from finesse.core.factors.selection import (
    RecallJudge,
    Rows,
    Trajectory,
    candidate_seeds,
    passes,
    survivors,
    until_found,
)
from finesse.core.maps.palettes import Palette
from finesse.core.maps.recall import ranked


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


def test_a_recall_judge_ranks_painted_maps_by_its_palette():
    palette = Palette("two", ("a", "b"), ((0, 0, 0), (255, 0, 0)))
    labels = torch.zeros(3, 6, 6, dtype=torch.long)
    labels[1, :, :3], labels[2] = 1, 1
    painted = palette.encode(labels.numpy())
    judge = RecallJudge(palette, {"a": [0], "b": [1]}, keep=1)
    assert [candidate.index for candidate in judge.ranked(painted, seeds=[7, 8, 9])] == [1, 0, 2]
    assert judge.survivors(painted) == [1]
    assert RecallJudge(palette, {"a": [0]}, keep=2).survivors(painted) == [0, 1]


def test_drawing_stops_at_the_first_pass_that_shows_enough():
    drawn = []

    def passes_of(*recalls):
        for recall in recalls:
            drawn.append(recall)
            yield recall

    for stop_at, expected in ((0, [0.5]), (0.75, [0.5, 0.75]), (0.8, [0.5, 0.75, 1]), (2, [0.5, 0.75, 1, 0])):
        drawn.clear()
        assert until_found(passes_of(0.5, 0.75, 1, 0), lambda recall: recall, stop_at) == expected
        assert drawn == expected


@pytest.mark.parametrize(("steps", "judged_after"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)])
def test_the_judge_is_asked_once_after_half_of_the_steps(steps, judged_after):
    asked = []
    rows = Rows(3, range(steps, 0, -1), judge=lambda clean: asked.append(len(clean)) or [2, 0])
    for done in range(1, steps + 1):
        rows.reach(steps + 1 - done, lambda: filled(0))
        if rows.is_due:
            rows.drop(torch.zeros(3, 4, 1, 1))
        assert asked == [3] * (done >= judged_after)
    assert rows.kept == [0, 2]
    assert not rows.is_whole
    whole = rows.spread(torch.tensor([[5.0], [6.0]]))
    assert whole.tolist() == [[5], [0], [6]]


def test_rows_without_a_judge_all_go_on_and_only_recorded_ones_are_kept():
    for recorded in (True, False):
        rows = Rows(2, [2, 1], recorded=recorded)
        for level in (2, 1):
            rows.reach(level, lambda level=level: filled(level))
            assert not rows.is_due
        rows.trajectory.final = filled(0)
        assert rows.is_whole
        assert rows.trajectory.after(2).unique().tolist() == [1 if recorded else 0]


def test_kept_rows_read_their_own_rows_of_a_parent():
    parent = Trajectory((2, 1), torch.arange(3.0))
    parent.record(1, torch.arange(10.0, 13))
    rows = Rows(3, [2, 1], judge=lambda clean: [2, 1])
    read = rows.reading(parent)
    assert read(2).tolist() == [10, 11, 12]
    rows.drop(torch.zeros(3))
    assert read(2).tolist() == [11, 12]
    assert read(1).tolist() == [1, 2]
