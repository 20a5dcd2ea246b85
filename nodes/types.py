"""Names of ComfyUI's values for the nodes' signatures, and the pack's own types of links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from comfy_api.latest import io
from torch import Tensor

Conditioning = list[list[Any]]  # pairs of an embedding (B, L, width) and its values
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
