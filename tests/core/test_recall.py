"""Object recall on maps small enough to count by hand."""

from __future__ import annotations

import pytest
import torch
from finesse.core.recall import object_recall

MAP = torch.tensor([[1, 1, 2, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 3]])


def test_counts_the_wanted_labels_that_are_there():
    assert object_recall(MAP, [1, 2, 7]) == pytest.approx(2 / 3)


def test_an_object_below_the_minimal_area_does_not_count():
    assert object_recall(MAP, [1, 3], minimal_area=2 / 16) == 0.5
    assert object_recall(MAP, [1, 3], minimal_area=1 / 16) == 1.0


def test_nothing_wanted_is_refused():
    with pytest.raises(ValueError, match="wanted"):
        object_recall(MAP, [])
