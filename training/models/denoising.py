"""Trains a Stable Diffusion's UNet, with or without its text encoder, to predict the noise.

Serves text-to-image UNets (4 channels) and inpainting ones (9: noisy latent, mask, masked latent).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image
from torch import Tensor, nn

from ...core.schedule import NoiseSchedule, min_snr_weight
from ..loop.batches import Draw
from ..loop.trainer import Task


def use_plain_attention(unet: UNet2DConditionModel, text_encoder: nn.Module | None = None) -> None:
    """Compute attention by plain matrix products, whose backward pass on a CPU is faster than torch's own."""
    unet.set_attn_processor(AttnProcessor())
    if text_encoder is not None:
        text_encoder.set_attn_implementation("eager")


class DenoisingTask(Task):
    """eps-MSE, with min-SNR weights (Hang et al. 2023) or without; text is dropped at random for guidance.

    A batch holds `latents` (B, 4, h, w), already scaled; either `tokens` (B, L), read by a text encoder, or
    `context` (B, L, width), cached embeddings; for inpainting also `mask` (B, 1, h, w), 1 where to paint, and
    `masked_latents` (B, 4, h, w).
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        schedule: NoiseSchedule,
        empty: Tensor,
        *,
        text_encoder: nn.Module | None = None,
        text_dropout: float = 0.1,
        min_snr: float = 5.0,
        added: Mapping[str, Tensor] | None = None,
        make_preview: Callable[[], Image.Image | None] = lambda: None,
    ) -> None:
        """`empty` stands for no text: (L,) tokens, or (L, width) embeddings where contexts are cached.

        min_snr: gamma of the weights; 0 weighs all timesteps alike. added: for an SDXL `text_embeds` (width,)
        of the empty prompt and `time_ids` (6,) of every picture.
        """
        super().__init__()
        self.unet, self.text_encoder = unet, text_encoder
        self.schedule, self.text_dropout, self.min_snr = schedule, text_dropout, min_snr
        self.added, self.make_preview = added, make_preview
        self.register_buffer("empty", empty, persistent=False)

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        latents = batch["latents"].float()
        timestep = draw.timesteps(len(self.schedule))
        noise = draw.normal(*latents.shape[1:])
        inputs = [self.schedule.add_noise(latents, noise, timestep)]
        if "mask" in batch:
            inputs += [batch["mask"].float(), batch["masked_latents"].float()]
        predicted = self.unet(torch.cat(inputs, dim=1), timestep, **self.text(batch, draw)).sample
        return {"denoise": self.loss((predicted.float() - noise).square(), timestep)}

    def loss(self, error: Tensor, timestep: Tensor) -> Tensor:
        """The mean of squared errors (B, C, h, w), each row by its timestep's weight."""
        rows = error.mean(dim=(1, 2, 3))
        if self.min_snr:
            rows = min_snr_weight(self.schedule.snr(timestep), self.min_snr) * rows
        return rows.mean()

    def text(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Any]:
        """Texts as the UNet reads them, some of them dropped."""
        drop = draw.uniform() < self.text_dropout
        read: dict[str, Any] = {"encoder_hidden_states": self.context(batch, drop)}
        if self.added:
            pooled = torch.where(drop[:, None], self.added["text_embeds"], batch["pooled"])
            sizes = self.added["time_ids"].expand(len(drop), -1)
            read["added_cond_kwargs"] = {"text_embeds": pooled, "time_ids": sizes}
        return read

    def context(self, batch: dict[str, Tensor], drop: Tensor) -> Tensor:
        """(B, L, width) text embeddings, those of the empty prompt where `drop` (B,)."""
        if self.text_encoder is None:
            return torch.where(drop[:, None, None], self.empty, batch["context"])
        tokens = torch.where(drop[:, None], self.empty, batch["tokens"].long())
        return self.text_encoder(tokens).last_hidden_state

    def preview(self) -> Image.Image | None:
        return self.make_preview()
