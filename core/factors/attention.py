"""Attention distillation: an adapted model learns to look where the plain one looks (FG-DM, eq. 7).

    L_KL = sum over {self, cross} KL( sum_l g(A_teacher_l) || sum_l g(A_student_l) )

A map is (B, N, h, w): how much each of h x w query cells attends to each of N things, heads averaged. These
are the tokens of the text or, in self-attention, the h x w cells themselves. Over N it sums to one.

Our reading of g, which the paper calls a bilinear interpolation to a common size: that of the largest layer.
Self-attention grows with the fourth power of the side, so its maps are first brought to at most 16 x 16 by
means of areas; both of its grids, of queries and of keys, are resized. A layer's distribution over keys is
normalised after that, for else small layers would weigh more than large ones. The sum over layers is
normalised too, so that KL compares distributions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

SELF_SIDE = 16
EPSILON = 1e-8  # added to every probability, so that one of 0 has a logarithm


@dataclass
class AttentionMaps:
    """The maps of one forward pass, a layer each: `of_cells` of self-, `of_tokens` of cross-attention."""

    of_cells: list[Tensor] = field(default_factory=list)
    of_tokens: list[Tensor] = field(default_factory=list)


def token_map(probabilities: Tensor, grid: tuple[int, int]) -> Tensor:
    """Cross-attention (B, h * w, T), heads averaged, as a map (B, T, h, w); grid: h, w."""
    return probabilities.mT.unflatten(-1, grid)


def cell_map(probabilities: Tensor, grid: tuple[int, int], side: int = SELF_SIDE) -> Tensor:
    """Self-attention (B, h * w, h * w), heads averaged, as a map of at most `side` a side; grid: h, w."""
    scale = min(1.0, side / max(grid))
    return resize_cells(probabilities.mT.unflatten(-1, grid), [max(1, round(n * scale)) for n in grid])


def attention_divergence(teacher: AttentionMaps, student: AttentionMaps) -> Tensor:
    """L_KL, a number: the mean over batch and query cells, in float32 at least; gradients go to the student.

    Raises ValueError when the two are not of the same layers and sizes, or hold nothing.
    """
    kinds = (
        (teacher.of_cells, student.of_cells, combined_cells),
        (teacher.of_tokens, student.of_tokens, combined_tokens),
    )
    for ours, theirs, _ in kinds:
        shapes = [[tuple(m.shape) for m in maps] for maps in (ours, theirs)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"student: got maps of {shapes[1]}, but the teacher's are of {shapes[0]}; record both of one"
                " UNet and of one batch"
            )
    terms = [
        divergence(combine([m.detach() for m in ours]), combine(theirs))
        for ours, theirs, combine in kinds
        if ours
    ]
    if not terms:
        raise ValueError("teacher: holds no maps; run the UNet while its attention is recorded")
    return torch.stack(terms).sum()


def combined_tokens(maps: Sequence[Tensor]) -> Tensor:
    """Cross-attention of all layers (B, T, h_l, w_l) as one (B, T, h, w) of the largest layer's size."""
    return _combined(maps, resize)


def combined_cells(maps: Sequence[Tensor]) -> Tensor:
    """Self-attention of all layers (B, h_l * w_l, h_l, w_l) as one (B, h * w, h, w) of the largest size."""
    return _combined(maps, resize_cells)


def _combined(maps: Sequence[Tensor], g: Callable[[Tensor, Sequence[int]], Tensor]) -> Tensor:
    size = max((tuple(m.shape[-2:]) for m in maps), key=lambda size: size[0] * size[1])
    total = 0.0
    for layer in maps:
        total = total + g(layer.to(torch.promote_types(layer.dtype, torch.float32)), size)
    return total / total.sum(dim=1, keepdim=True)


def resize(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(B, N, h, w) -> (B, N, *size): bilinear where it grows, means of areas where it shrinks."""
    if tuple(maps.shape[-2:]) == tuple(size):
        return maps
    if size[0] < maps.shape[-2] or size[1] < maps.shape[-1]:
        return F.adaptive_avg_pool2d(maps, tuple(size))
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def resize_cells(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(B, h * w, h, w) -> (B, H * W, H, W), size H, W: keys resized and normalised, then queries resized."""
    grid = maps.shape[-2:]
    if tuple(grid) == tuple(size):
        return maps
    keys = resize(maps.flatten(2).mT.unflatten(-1, grid), size).flatten(2)  # BKhw -> B(hw)K
    keys = keys / keys.sum(dim=-1, keepdim=True)
    return resize(keys.mT.unflatten(-1, grid), size)


def divergence(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) over dimension 1 of maps (B, N, h, w), the mean over all others; never NaN or infinite."""
    p, q = ((m + EPSILON) / (m + EPSILON).sum(dim=1, keepdim=True) for m in (p, q))
    return (p * (p.log() - q.log())).sum(dim=1).mean()
