"""The seam of methods and models: `nodes` wrap ComfyUI's MODEL as a denoiser, `training` a diffusers UNet."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

# (x_t (B, C, h, w), t (B,) long, text embeddings (B, L, D)) -> the predicted noise eps (B, C, h, w).
# It is given float32 and may compute and answer in any type; other parametrisations are its to convert.
Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]
