"""ComfyUI's values that the nodes name in their signatures, and the types of links that are our own."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

Conditioning = list[list[Any]]  # pairs of an embedding (B, L, width) and the values that hang on it
FinesseFactor = io.Custom("FINESSE_FACTOR")
FinesseRegion = io.Custom("FINESSE_REGION")
