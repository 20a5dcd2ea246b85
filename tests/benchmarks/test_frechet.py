"""The Fréchet distance against its closed forms and SciPy's matrix root."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from finesse.benchmarks.frechet import frechet_distance
from scipy.linalg import sqrtm


def features(rows, seed, wide=5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, wide, generator=generator) @ torch.randn(wide, wide, generator=generator)


def test_it_is_that_of_the_formula():
    first, second = features(40, 0), 0.5 * features(60, 1) + 2
    a, b = first.double().numpy(), second.double().numpy()
    covariances = np.cov(a.T), np.cov(b.T)
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(sum(covariances) - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9)


def test_a_shift_costs_its_square_and_nothing_costs_nothing():
    first = features(50, 2)
    assert frechet_distance(first, first) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(first, first + 3) == pytest.approx(9 * 5, rel=1e-5)


def test_fewer_rows_than_features_will_do():
    assert frechet_distance(features(3, 0, wide=16), features(4, 1, wide=16)) > 0


def test_one_row_is_refused():
    with pytest.raises(ValueError, match="1 and 4 rows"):
        frechet_distance(torch.zeros(1, 3), torch.zeros(4, 3))
