"""A diffusers UNet under a ControlNet, called as the UNet itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional as F

HINT_SCALE = 8  # pixels of a ControlNet's hint for each latent cell, whatever the VAE's scale


class ControlledUNet(nn.Module):
    """A frozen UNet under a ControlNet that reads `hint`.

    hint: pictures (B, 3, H, W) in [0, 1] of any size, or half as many rows as the sample has.
    """

    def __init__(self, unet: UNet2DConditionModel, control: ControlNetModel) -> None:
        super().__init__()
        self.unet, self.control = unet, control
        self.hint: Tensor | None = None

    def forward(
        self, sample: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, added_cond_kwargs: Any = None
    ) -> Any:
        size = [HINT_SCALE * side for side in sample.shape[-2:]]
        hint = F.interpolate(self.hint.to(sample), size=size, mode="nearest-exact")
        hint = hint.repeat(len(sample) // len(hint), 1, 1, 1)  # rows with text and without
        inputs = {"encoder_hidden_states": encoder_hidden_states, "added_cond_kwargs": added_cond_kwargs}
        down, mid = self.control(sample, timestep, controlnet_cond=hint, return_dict=False, **inputs)
        return self.unet(
            sample,
            timestep,
            down_block_additional_residuals=down,
            mid_block_additional_residual=mid,
            **inputs,
        )


def load_controlnet(folder: str | Path) -> ControlNetModel:
    """Load the ControlNet in a diffusers folder, float32, frozen. Raises ValueError when there is none."""
    if not (Path(folder) / "config.json").is_file():
        raise ValueError(
            f"controlnet: {folder} has no config.json; give a ControlNet in diffusers' layout, for example a "
            "folder that its save_pretrained has written."
        )
    control = ControlNetModel.from_pretrained(
        folder, torch_dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    return control.eval().requires_grad_(False)
