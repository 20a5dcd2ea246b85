"""Losses that several methods share."""

from __future__ import annotations

import torch
from torch import Tensor


def min_snr_weight(snr: Tensor, gamma: float = 5.0) -> Tensor:
    """Weight of the eps-MSE, min(snr, gamma) / snr (Hang et al. 2023, eq. 8); shaped as `snr`."""
    return torch.clamp(snr, max=gamma) / snr
