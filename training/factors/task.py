"""A factor's task: a frozen Stable Diffusion learns to denoise condition maps (FG-DM, section 3.3)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...core.factors.attention import attention_divergence
from ...core.schedule import NoiseSchedule
from ..loop.batches import Draw
from ..models.attention import recorded
from ..models.denoising import DenoisingTask
from ..models.factor_unet import FactoredUNet


class FactorTask(DenoisingTask):
    """eps-MSE of the map; every `distill_every`-th step of a first factor also its attention's divergence.

    A batch holds `latents` (B, C, h, w) of the maps, `context` (B, L, width) or `tokens` (B, L), for a later
    factor `parents` (B, P, C, h, w), with `by_area` `weight` (B, 1, h, w) of the cells, for an SDXL `pooled`.
    """

    def __init__(
        self,
        unet: FactoredUNet,
        schedule: NoiseSchedule,
        empty: Tensor,
        *,
        parent_dropout: float = 0.2,
        clean_parents: float = 0.5,
        lag: int = 100,
        distill_every: int = 10,
        distill_weight: float = 0.1,
        by_area: bool = False,
        min_snr: float = 0.0,
        **options: Any,
    ) -> None:
        """parent_dropout: how often each parent is dropped. clean_parents: how often the parents are finished
        maps, as in sampling one factor after another; else as noisy as 1 to `lag` timesteps nearer to the
        end, as after their own step in sampling together. distill_weight: 0 drops the distillation.
        by_area: weigh each cell by `weight`. min_snr: 0 is the paper's loss, see `DenoisingTask`.

        The teacher reads the same noisy map as the student, as in the authors' code (there enlarged).
        """
        super().__init__(unet, schedule, empty, min_snr=min_snr, **options)
        self.parent_dropout, self.clean_parents, self.lag = parent_dropout, clean_parents, lag
        self.distill_every, self.distill_weight = distill_every, distill_weight
        self.by_area = by_area

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        latents = batch["latents"].float()
        timestep = draw.timesteps(len(self.schedule))
        noisy = self.schedule.add_noise(latents, noise := draw.normal(*latents.shape[1:]), timestep)
        text = self.text(batch, draw)
        if not self.unet.is_first:
            self.unet.parents = self._parents(batch["parents"].float(), timestep, noise, draw)
        distils = self.unet.is_first and self.distill_weight and draw.step % self.distill_every == 0
        if not distils:
            predicted = self.unet(noisy, timestep, **text).sample
        else:
            with torch.no_grad(), recorded(self.unet.unet) as teacher:
                self.unet.plain(noisy, timestep, **text)
            with recorded(self.unet.unet) as student:
                predicted = self.unet(noisy, timestep, **text).sample
        error = (predicted.float() - noise).square()
        if self.by_area:
            error = error * batch["weight"].float()
        losses = {"denoise": self.loss(error, timestep)}
        if distils:
            losses["distil"] = self.distill_weight * attention_divergence(teacher, student)
        return losses

    def _parents(self, clean: Tensor, timestep: Tensor, noise: Tensor, draw: Draw) -> list[Tensor]:
        """Each parent's latents (B, C, h, w): finished, or noised as after its own step; zeros if dropped.

        Every second time the noise is the child's own, since in sampling both may start from one seed.
        """
        after = timestep - 1 - (draw.uniform() * self.lag).long()
        finished = (draw.uniform() < self.clean_parents) | (after < 0)
        shape = (-1, 1, 1, 1)
        parents = []
        for own in clean.unbind(1):
            shared, other = draw.uniform() < 0.5, draw.normal(*own.shape[1:])
            added = torch.where(shared.view(shape), noise, other)
            noisy = self.schedule.add_noise(own, added, after.clamp(min=0))
            read = torch.where(finished.view(shape), own, noisy)
            parents.append(read * (draw.uniform() >= self.parent_dropout).view(shape))
        return parents
