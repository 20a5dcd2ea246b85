"""A factor as the sum of its parents' adapters: numbers, keys, and what does not belong together."""

from __future__ import annotations

import pytest
import torch
from finesse.core.factors.adapter import Factor, PlainAdapter, factor_from_tensors
from finesse.tests.core.factors.test_adapter import MINIATURE, MIXED, PLAIN, Marked, filled, inputs, timestep
from torch import nn


def two_parents():
    return Factor([filled(timestep()), filled(timestep()).requires_grad_(False)])


def test_the_features_of_several_parents_are_summed():
    (x, time), other = inputs(8, 8), torch.ones(2, 4, 8, 8, dtype=torch.float64)
    factor = two_parents()
    nn.init.ones_(factor.adapters[1].conv_in.bias)
    each = [adapter(latent, time) for adapter, latent in zip(factor.adapters, (x, other), strict=True)]
    for found, first, second in zip(factor([x, other], time), *each, strict=True):
        torch.testing.assert_close(found, first + second)
        assert (first - second).abs().max() > 1e-3


def test_a_factor_of_one_adapter_is_that_adapter():
    x, time = inputs(8, 8)
    adapter = filled(timestep())
    factor = Factor([adapter])
    for found, wanted in zip(factor([x], time), adapter(x, time), strict=True):
        assert torch.equal(found, wanted)
    assert list(factor.tensors()) == list(adapter.state_dict())
    assert (factor.kind, factor.widths, factor.time_width) == ("timestep", MINIATURE, 48)
    assert Factor([PlainAdapter(MINIATURE)]).time_width is None


@pytest.mark.parametrize("factor", [two_parents(), Factor([PlainAdapter(MINIATURE)])])
def test_a_factor_is_told_by_its_tensors(factor):
    found = factor_from_tensors(factor.tensors(), operations=Marked)
    assert [adapter.kind for adapter in found.adapters] == [factor.kind] * len(factor.adapters)
    assert list(found.tensors()) == list(factor.tensors())
    for key, tensor in factor.tensors().items():
        assert torch.equal(found.tensors()[key], tensor)


def test_adapters_that_do_not_belong_together_are_named():
    plain_one = r"a plain adapter with levels of 64, 128, 128 channels"
    for other, named in (
        (PlainAdapter(MINIATURE), rf"{plain_one} beside a timestep"),
        (timestep(MIXED), r"levels of 32, 64, 64, 96 channels and .* beside .* of 64, 128, 128 channels and"),
        (timestep(time_width=32), r"a time embedding of 32 beside .* a time embedding of 48"),
    ):
        with pytest.raises(ValueError, match=rf"adapters: got .*{named}.*; those of one factor are of one"):
            Factor([timestep(), other])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((1,), r"adapters \[1\] are in it; they must be numbered from 0"),
        ((0, 2), r"adapters \[0, 2\] are in it"),
        ((), r"no factor adapter: .*, but nothing"),
    ],
)
def test_adapters_are_numbered_without_a_gap(numbers, message):
    tensors = {f"adapters.{i}.{key}": tensor for i in numbers for key, tensor in PLAIN.items()}
    with pytest.raises(ValueError, match=message):
        factor_from_tensors(tensors)
