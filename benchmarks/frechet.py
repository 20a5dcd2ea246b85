"""The Fréchet distance between two sets of features (Heusel et al. 2017), FID where Inception gives them."""

from __future__ import annotations

import torch
from torch import Tensor


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """|m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)) of features (N, D) and (M, D), computed in float64.

    Raises ValueError when a set has fewer than two rows: it has no covariance then.
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"the sets have {len(first)} and {len(second)} rows; give at least 2 of each.")
    (mean1, cov1), (mean2, cov2) = (_moments(features.double()) for features in (first, second))
    root = _square_root(cov1)
    # C1 C2 and its symmetric twin C1^(1/2) C2 C1^(1/2) have the same eigenvalues
    middle = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    return ((mean1 - mean2).square().sum() + cov1.trace() + cov2.trace() - 2 * middle).item()


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    return features.mean(dim=0), torch.cov(features.T).view(features.shape[1], features.shape[1])


def _square_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0).sqrt()) @ vectors.T
