"""Latents as the nodes make and check them."""

from __future__ import annotations

import torch
from torch import Tensor

MAX_SIDE = 16384  # of a picture, as in core's nodes


def finite_latent(samples: Tensor) -> Tensor:
    if not bool(torch.isfinite(samples).all()):
        raise ValueError(
            f"vae gave {int((~torch.isfinite(samples)).sum())} latent values that are NaN or infinite; "
            "use a VAE made for half precision, or start ComfyUI with --fp32-vae."
        )
    return samples
