"""Initial low-rank weights (Hu et al. 2022) for training, the same in ComfyUI as in diffusers."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence

import torch
from torch import Tensor

from .seeds import mix


def initial_low_rank(name: str, rank: int, shape: Sequence[int], seed: int) -> tuple[Tensor, Tensor]:
    """Draw down (rank, n), uniform in ±1/sqrt(n), and up (out, rank), zero: no change of the weight yet.

    shape: the weight's (out, in, ...), of which n is what one output reads. A function of the seed and of
    `name`, diffusers' of the layer; in whatever order layers are drawn, each gets the same.
    """
    reads = math.prod(shape[1:])
    bound = reads**-0.5
    generator = torch.Generator().manual_seed(mix(seed, zlib.crc32(name.encode())))
    return torch.rand(rank, reads, generator=generator) * 2 * bound - bound, torch.zeros(shape[0], rank)
