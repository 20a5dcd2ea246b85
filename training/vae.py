"""Learning an image autoencoder: reconstruction, and a little pull of the latents towards N(0, 1)."""

from __future__ import annotations

from collections.abc import Callable

from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from .batches import Draw
from .trainer import Task


class AutoencoderTask(Task):
    """L1 + MSE + KL. A batch holds `pixels`, uint8 (B, 3, H, W)."""

    def __init__(
        self,
        vae: AutoencoderKL,
        *,
        kl_weight: float = 1e-6,
        make_preview: Callable[[], Image.Image | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.vae, self.kl_weight, self.make_preview = vae, kl_weight, make_preview

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        pixels = batch["pixels"].float() / 127.5 - 1.0
        posterior = self.vae.encode(pixels).latent_dist
        latents = posterior.mean + posterior.std * draw.normal(*posterior.mean.shape[1:])
        decoded = self.vae.decode(latents).sample.float()
        return {
            "l1": F.l1_loss(decoded, pixels),
            "mse": F.mse_loss(decoded, pixels),
            "kl": self.kl_weight * posterior.kl().mean(),
        }

    def preview(self) -> Image.Image | None:
        return self.make_preview()
