"""The noise schedule of Stable Diffusion, and the seam between methods and models.

x_t = alpha_t x_0 + sigma_t eps, with alpha_t^2 + sigma_t^2 = 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

# (x_t (B, C, h, w), t (B,) long, text embeddings (B, L, D)) -> the predicted noise eps (B, C, h, w).
# It is given float32 and may compute and answer in any type; other parametrisations are its to convert.
# `nodes` wraps ComfyUI's MODEL as one, `training` a diffusers UNet.
Denoiser = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class NoiseSchedule:
    """`alphas_cumprod[t]` = alpha_t^2 for t = 0 … T-1 (Ho et al. 2020, eq. 4), float32."""

    alphas_cumprod: Tensor

    @classmethod
    def scaled_linear(cls, start: float = 0.00085, end: float = 0.012, steps: int = 1000) -> NoiseSchedule:
        """Betas linear in their square root (Rombach et al. 2022), summed up in float64."""
        betas = torch.linspace(start**0.5, end**0.5, steps, dtype=torch.float64) ** 2
        return cls(torch.cumprod(1.0 - betas, dim=0).float())

    def __len__(self) -> int:
        return len(self.alphas_cumprod)

    def alpha_sigma(self, timestep: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
        """(alpha_t, sigma_t), each (B, 1, …, 1), to be multiplied with `like` of shape (B, …)."""
        squared = self.alphas_cumprod.to(like.device)[timestep].view(-1, *(1,) * (like.ndim - 1))
        return squared.sqrt().to(like.dtype), (1.0 - squared).sqrt().to(like.dtype)

    def add_noise(self, clean: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """x_t, shaped as `clean` (B, …); `timestep` (B,) integer."""
        alpha, sigma = self.alpha_sigma(timestep, clean)
        return alpha * clean + sigma * noise

    def predict_clean(self, noisy: Tensor, noise: Tensor, timestep: Tensor) -> Tensor:
        """Compute the x_0 that a predicted `noise` implies."""
        alpha, sigma = self.alpha_sigma(timestep, noisy)
        return (noisy - sigma * noise) / alpha

    def snr(self, timestep: Tensor) -> Tensor:
        """Signal-to-noise ratio alpha_t^2 / sigma_t^2, (B,)."""
        squared = self.alphas_cumprod.to(timestep.device)[timestep]
        return squared / (1.0 - squared)


def min_snr_weight(snr: Tensor, gamma: float = 5.0) -> Tensor:
    """Weight of the eps-MSE, min(snr, gamma) / snr (Hang et al. 2023, eq. 8); shaped as `snr`."""
    return torch.clamp(snr, max=gamma) / snr
