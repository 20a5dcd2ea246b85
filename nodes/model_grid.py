"""What a MODEL says of its grid, and of what it reads beside the latent: a mask, a picture."""

from __future__ import annotations

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ..core.small_objects.boxes import Grid

# what ComfyUI's transformers call the side of a token: Cosmos and Anima the second, Krea 2 the third
PATCH_NAMES = ("patch_size", "patch_spatial", "patch")


def grid_of(model: ModelPatcher | None, vae: Any) -> Grid:
    """The grid of a model over the pixels that its VAE encodes; without a model, SD1.x's levels."""
    cell = vae.spacial_compression_encode()
    return Grid(cell, levels=4) if model is None else Grid(cell, patch_of(model), unet_levels(model))


def patch_of(model: ModelPatcher) -> int:
    """Latent values under a token's side; 1 for a model without tokens, such as a UNet."""
    for name in PATCH_NAMES:
        size = _setting(model, name)
        if isinstance(size, (tuple, list)):  # of a video model, time comes first
            return max(size[-2:])
        if isinstance(size, int):
            return size
    return 1


def unet_levels(model: ModelPatcher) -> int:
    """Number of levels of the model's UNet; 1 for a model without levels, such as a transformer."""
    return len(_setting(model, "channel_mult") or (1,))


def reads_mask(model: ModelPatcher) -> bool:
    """Whether the model reads a mask from the conditioning, as inpainting models do."""
    return _reads(model, "concat_mask")


def reads_concat(model: ModelPatcher) -> bool:
    """Whether the model reads a picture from the conditioning: inpainting models, InstructPix2Pix."""
    return _reads(model, "concat_latent_image")


def _setting(model: ModelPatcher, name: str) -> Any:
    """A setting of the model, None if it has none; never asked of its weights, which may be packed."""
    # another loader's wrapper of the network has no settings, but the config that it was made by has
    found = getattr(model.get_model_object("diffusion_model"), name, None)
    return model.model.model_config.unet_config.get(name) if found is None else found


def _reads(model: ModelPatcher, name: str) -> bool:
    """Whether what the model puts beside its latent changes with a value of the conditioning."""
    zero, one = (_beside_latent(model, **{name: value}) for value in (0.0, 1.0))
    return zero is not None and not torch.equal(zero, one)


def _beside_latent(
    model: ModelPatcher, concat_mask: float = 0.0, concat_latent_image: float = 0.0
) -> Tensor | None:
    """The channels that the model adds to a latent of one token, None if it adds none."""
    latent_format, side = model.get_model_object("latent_format"), patch_of(model)
    frames = (1,) * (latent_format.latent_dimensions - 2)
    latent = torch.zeros(1, latent_format.latent_channels, *frames, side, side)
    return model.get_model_object("concat_cond")(
        noise=latent,
        device=latent.device,
        concat_mask=torch.full((1, 1, side, side), concat_mask),
        concat_latent_image=torch.full_like(latent, concat_latent_image),
    )
