"""A diffusers UNet with a factor of FG-DM on it: the base is frozen, the adapters learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionOutput
from torch import Tensor, nn

from ...core.factors.adapter import Factor, FactorAdapter, PlainAdapter, TimestepAdapter

KINDS = ("timestep", "plain")


class FactoredUNet(nn.Module):
    """`unet` whose encoder output at the end of level i has the factor's feature i added to it.

    Called as the UNet itself. A first factor reads the noisy latent; a later one the latents that `parents`
    holds, one a parent, each (B, C, h, w) or None for a dropped one, which is read as zeros.
    """

    def __init__(self, unet: UNet2DConditionModel, factor: Factor, is_first: bool) -> None:
        super().__init__()
        ends, widths = level_ends(unet), tuple(unet.config.block_out_channels)
        if factor.widths != widths:
            raise ValueError(
                f"factor: its levels are {factor.widths}, the base's {widths}; train it on its own base"
            )
        self.unet, self.factor, self.is_first = unet, factor, is_first
        self.parents: Sequence[Tensor | None] = ()
        self.features: list[Tensor] = []
        self.hooks = [
            end.register_forward_hook(lambda module, inputs, output, level=level: self._added(output, level))
            for level, end in enumerate(ends)
        ]

    @contextmanager
    def attached(self) -> Iterator[FactoredUNet]:
        """Yield the UNet itself; afterwards the base is free of the factor."""
        try:
            yield self
        finally:
            for hook in self.hooks:
                hook.remove()

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        added_cond_kwargs: dict[str, Tensor] | None = None,
    ) -> UNet2DConditionOutput:
        self.features = self.factor(self._read(sample), self.time_embedding(sample, timestep))
        return self.unet(sample, timestep, encoder_hidden_states, added_cond_kwargs=added_cond_kwargs)

    def plain(self, *inputs: Any, **named: Any) -> UNet2DConditionOutput:
        """Predict with the base alone."""
        self.features = []
        return self.unet(*inputs, **named)

    def time_embedding(self, sample: Tensor, timestep: Tensor) -> Tensor:
        """Embed the timestep as the UNet itself does, (1 or B, E), without an SDXL's sizes."""
        return self.unet.time_embedding(self.unet.get_time_embed(sample, torch.atleast_1d(timestep)))

    def _read(self, sample: Tensor) -> list[Tensor]:
        if self.is_first:
            return [sample]
        known = [torch.zeros_like(sample) if parent is None else parent.to(sample) for parent in self.parents]
        # rows with text and without
        return [parent.repeat(len(sample) // len(parent), 1, 1, 1) for parent in known]

    def _added(self, output: Any, level: int) -> Any:
        if not self.features:
            return output
        feature = self.features[level]
        if isinstance(output, tuple):
            return (output[0] + feature.to(output[0]), *output[1:])
        return output + feature.to(output)


def level_ends(unet: UNet2DConditionModel) -> list[nn.Module]:
    """Last module of each encoder level before it halves; its output goes on and to the decoder."""
    return [
        (block.attentions if getattr(block, "has_cross_attention", False) else block.resnets)[-1]
        for block in unet.down_blocks
    ]


def build_factor(unet: UNet2DConditionModel, kind: str, parents: int) -> Factor:
    """Build an untrained factor for the UNet; see `Factor` for the number of its adapters."""
    widths, channels = unet.config.block_out_channels, unet.config.out_channels

    def adapter() -> FactorAdapter:
        if kind == "plain":
            return PlainAdapter(widths, in_channels=channels)
        return TimestepAdapter(widths, unet.time_embedding.linear_2.out_features, in_channels=channels)

    if kind not in KINDS:
        raise ValueError(f"kind: got {kind!r}; use one of {', '.join(KINDS)}")
    return Factor([adapter() for _ in range(max(1, parents))])
