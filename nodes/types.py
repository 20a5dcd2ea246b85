"""ComfyUI's values that the nodes name in their signatures, and the types of links that are our own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io
from torch import Tensor

Conditioning = list[list[Any]]  # pairs of an embedding (B, L, width) and the values that hang on it
FinesseFactor = io.Custom("FINESSE_FACTOR")
FinesseFactorChain = io.Custom("FINESSE_FACTOR_CHAIN")
FinesseFactorMaps = io.Custom("FINESSE_FACTOR_MAPS")
FinesseRegion = io.Custom("FINESSE_REGION")


@dataclass(frozen=True)
class FactorMaps:
    """By condition, in the chain's order: maps (N, H, W, 3) and latents (N, C, h, w), row i of seeds[i]."""

    maps: dict[str, Tensor]
    latents: dict[str, Tensor]
    seeds: tuple[int, ...]
