"""SO-LoRA's task: a UNet learns small objects from what it sees of them enlarged (SOEDiff, section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from ...core.schedule import NoiseSchedule
from ...core.small_objects.losses import cross_scale_loss, denoise_loss
from ..loop.batches import Draw
from ..models.denoising import DenoisingTask

DDIM_STEPS = 50


class SmallObjectTask(DenoisingTask):
    """L_denoise + weight * L_csd. Student and teacher are one UNet, its adapters on and off.

    A batch holds, of a picture with a small box, `latents` (B, 4, h, w), `mask` (B, 1, h, w),
    `masked_latents` (B, 4, h, w) and `box` (B, 4) in latent cells; the same four, named `near_...`, of the
    window around the box that the teacher sees enlarged; `context` (B, L, width) or `tokens` (B, L). For an
    SDXL also `pooled` (B, width).
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        schedule: NoiseSchedule,
        empty: Tensor,
        *,
        by_area: bool = True,
        csd_weight: float = 0.01,
        **options: Any,
    ) -> None:
        """`unet` has adapters (`lora.add_lora`). by_area: as in `denoise_loss`. csd_weight: 0 drops L_csd."""
        super().__init__(unet, schedule, empty, **options)
        self.by_area, self.csd_weight = by_area, csd_weight
        self.grid = torch.arange(DDIM_STEPS) * (len(schedule) // DDIM_STEPS) + 1  # Song et al. 2021

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        timestep = self.grid.to(batch["latents"].device)[draw.timesteps(DDIM_STEPS)]
        text = self.text(batch, draw)
        noise, near_noise = (draw.normal(*batch["latents"].shape[1:]) for _ in range(2))
        predicted, clean = self._predict(batch, "", noise, timestep, text)
        losses = {
            "denoise": denoise_loss(predicted, noise, batch["mask"].float(), by_area=self.by_area).mean()
        }
        if self.csd_weight:
            with torch.no_grad(), self.teacher():
                _, near_clean = self._predict(batch, "near_", near_noise, timestep, text)
            boxes = batch["box"].float(), batch["near_box"].float()
            distance = cross_scale_loss(clean, near_clean, *boxes, side=clean.shape[-1] // 4)
            losses["csd"] = self.csd_weight * distance.mean()
        return losses

    def _predict(
        self, batch: dict[str, Tensor], view: str, noise: Tensor, timestep: Tensor, text: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Predict the noise and the clean latent in a view of the picture, float32."""
        noisy = self.schedule.add_noise(batch[view + "latents"].float(), noise, timestep)
        known = [batch[view + name].float() for name in ("mask", "masked_latents")]
        inputs = torch.cat([noisy, *known], dim=1)
        predicted = self.unet(inputs, timestep, **text).sample.float()
        return predicted, self.schedule.predict_clean(noisy, predicted, timestep)

    @contextmanager
    def teacher(self) -> Iterator[None]:
        """Switch the UNet's adapters off while the block runs."""
        self.unet.disable_adapters()
        try:
            yield
        finally:
            self.unet.enable_adapters()
