"""Attention maps and their divergence, against the formula in float64 numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from finesse.core.factors.attention import (
    AttentionMaps,
    attention_divergence,
    cell_map,
    combined_cells,
    combined_tokens,
    token_map,
)

TOKENS = 7
GRIDS = [(6, 4), (3, 2), (6, 4)]


def attention(queries, keys, *, seed=0, dtype=torch.float64, batch=2, sharpness=2.0):
    scores = torch.randn(batch, queries, keys, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return (sharpness * scores).softmax(dim=-1)


def maps_of(seed, grids=GRIDS, dtype=torch.float64, side=16):
    cells = [attention(h * w, h * w, seed=seed + i, dtype=dtype) for i, (h, w) in enumerate(grids)]
    tokens = [attention(h * w, TOKENS, seed=seed + 50 + i, dtype=dtype) for i, (h, w) in enumerate(grids)]
    maps = AttentionMaps(
        [cell_map(p, grid, side) for p, grid in zip(cells, grids, strict=True)],
        [token_map(p, grid) for p, grid in zip(tokens, grids, strict=True)],
    )
    return maps, [p.double().numpy() for p in cells], [p.double().numpy() for p in tokens]


def resizing(old, new):
    """(new, old) weights of an axis: bilinear about half-pixel centres to grow, means of areas to shrink."""
    weights = np.zeros((new, old))
    for i in range(new):
        if new < old:
            first, last = i * old // new, -(-(i + 1) * old // new)
            weights[i, first:last] = 1 / (last - first)
        else:
            place = min(max((i + 0.5) * old / new - 0.5, 0), old - 1)
            low = int(place)
            weights[i, low] += 1 - (place - low)
            weights[i, min(low + 1, old - 1)] += place - low
    return weights


def resizing_grid(old, new):
    return np.kron(resizing(old[0], new[0]), resizing(old[1], new[1]))


def resize_both(probabilities, old, new):
    weights = resizing_grid(old, new)
    keys = probabilities @ weights.T
    return weights @ (keys / keys.sum(-1, keepdims=True))


def kl(p, q):
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    return (p * np.log(p / q)).sum(-1).mean()


def expected_divergence(teacher, student, grids, bounded):
    """Equation 7 on (B, queries, keys): `bounded` are the grids of the self-attention that is kept."""
    common, common_bounded = grids[0], bounded[0]
    cells = [
        sum(
            resize_both(resize_both(p, grid, small), small, common_bounded)
            for p, grid, small in zip(side[0], grids, bounded, strict=True)
        )
        for side in (teacher, student)
    ]
    tokens = [
        sum(resizing_grid(grid, common) @ p for p, grid in zip(side[1], grids, strict=True))
        for side in (teacher, student)
    ]
    return kl(*cells) + kl(*tokens)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("grids", "side", "bounded"),
    [
        (GRIDS, 16, GRIDS),
        ([(8, 8), (4, 4), (2, 2)], 4, [(4, 4), (4, 4), (2, 2)]),
        ([(9, 6), (5, 3)], 4, [(4, 3), (4, 2)]),
    ],
)
def test_the_divergence_is_the_formula_s(grids, side, bounded, dtype):
    teacher, *teacher_probabilities = maps_of(0, grids, dtype, side)
    student, *student_probabilities = maps_of(100, grids, dtype, side)

    expected = expected_divergence(teacher_probabilities, student_probabilities, grids, bounded)
    found = attention_divergence(teacher, student)

    assert found.dtype == dtype
    assert expected > 0.1
    assert found.item() == pytest.approx(expected, rel=1e-5 if dtype == torch.float32 else 1e-6)


def test_a_combined_map_is_a_distribution_at_each_query_cell():
    maps, *_ = maps_of(0)
    for combined, things in (
        (combined_cells(maps.of_cells), 24),
        (combined_tokens(maps.of_tokens), TOKENS),
    ):
        assert combined.shape == (2, things, 6, 4)
        assert torch.allclose(combined.sum(dim=1), torch.ones(2, 6, 4, dtype=torch.float64))


def test_self_attention_is_kept_on_sixteen_cells_a_side():
    found = cell_map(attention(32 * 24, 32 * 24, batch=1), (32, 24))

    assert found.shape == (1, 16 * 12, 16, 12)
    assert torch.allclose(found.sum(dim=1), torch.ones(1, 16, 12, dtype=torch.float64))


def test_what_looks_at_itself_still_does_after_resizing():
    found = cell_map(torch.eye(64)[None], (8, 8), side=4)

    assert torch.allclose(found.flatten(2), torch.eye(16)[None])


def test_identical_maps_do_not_diverge_and_others_do():
    teacher, *_ = maps_of(0, dtype=torch.float32)

    assert attention_divergence(teacher, teacher).abs() < 1e-6
    for seed in range(1, 6):
        assert attention_divergence(teacher, maps_of(100 * seed, dtype=torch.float32)[0]) > 0.1


def test_gradients_are_the_finite_differences_and_go_to_the_student_alone():
    grids = [(2, 2), (1, 1)]
    teacher, _, _ = maps_of(0, grids)
    scores = [
        torch.randn(1, q, k, dtype=torch.float64, requires_grad=True) for q, k in ((4, 4), (4, 3), (1, 3))
    ]
    teacher = AttentionMaps(
        [m[:1].requires_grad_() for m in teacher.of_cells[:1]], [m[:1, :3] for m in teacher.of_tokens]
    )

    def loss(cells, large, small):
        student = AttentionMaps(
            [cell_map(cells.softmax(-1), (2, 2))],
            [token_map(large.softmax(-1), (2, 2)), token_map(small.softmax(-1), (1, 1))],
        )
        return attention_divergence(teacher, student)

    assert torch.autograd.gradcheck(loss, scores)
    loss(*scores).backward()
    assert teacher.of_cells[0].grad is None


def test_probabilities_of_zero_give_no_nan():
    one, other = torch.eye(4)[None], torch.eye(4).flip(0)[None].requires_grad_()
    found = attention_divergence(
        AttentionMaps([cell_map(one, (2, 2))]), AttentionMaps([cell_map(other, (2, 2))])
    )
    found.backward()

    assert torch.isfinite(found)
    assert torch.isfinite(other.grad).all()


def test_half_precision_is_combined_in_float32():
    teacher, student = (
        AttentionMaps(*([m.half() for m in layers] for layers in (maps.of_cells, maps.of_tokens)))
        for maps in (maps_of(0)[0], maps_of(100)[0])
    )

    found = attention_divergence(teacher, student)

    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(
        attention_divergence(maps_of(0)[0], maps_of(100)[0]).item(), rel=1e-2
    )


def test_maps_of_other_layers_are_refused():
    with pytest.raises(ValueError, match="student: got maps of"):
        attention_divergence(maps_of(0)[0], maps_of(0, GRIDS[:2])[0])
    with pytest.raises(ValueError, match="teacher: holds no maps"):
        attention_divergence(AttentionMaps(), AttentionMaps())
