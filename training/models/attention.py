"""Records a diffusers UNet's attention maps, on the steps that ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import (
    Attention,
    AttnProcessor,
    AttnProcessor2_0,
    XFormersAttnProcessor,
)
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from ...core.factors.attention import AttentionMaps, cell_map, token_map

PLAIN = (AttnProcessor, AttnProcessor2_0, XFormersAttnProcessor)  # all compute softmax(QK / sqrt(d)) V


@contextmanager
def recorded(unet: UNet2DConditionModel) -> Iterator[AttentionMaps]:
    """Record the maps of the last forward pass of `unet` in the block, with their graph if gradients are on.

    The backward pass may run after the block. It computes the probabilities again, as to keep them would take
    memory by the square of the cells. With gradient checkpointing: in the block it is off for the
    transformers, as it would run them again when the recorder is gone; it stays on for the rest of the UNet.
    After the block the UNet is as before, whatever happened.
    Raises ValueError when a layer's attention is not the plain one, or when there is none.
    """
    maps = AttentionMaps()
    recorder = Recorder(maps)
    before = [(layer, layer.processor) for layer in _attention_layers(unet)]
    checkpointed = [
        m for m in unet.modules() if isinstance(m, Transformer2DModel) and m.gradient_checkpointing
    ]
    hook = unet.register_forward_pre_hook(recorder.start, with_kwargs=True)
    try:
        for layer, _ in before:
            layer.set_processor(recorder)
        for transformer in checkpointed:
            transformer.gradient_checkpointing = False
        yield maps
    finally:
        hook.remove()
        for layer, processor in before:
            layer.set_processor(processor)
        for transformer in checkpointed:
            transformer.gradient_checkpointing = True


def _attention_layers(unet: UNet2DConditionModel) -> list[Attention]:
    blocks = [m for m in unet.modules() if isinstance(m, BasicTransformerBlock)]
    layers = [layer for block in blocks for layer in (block.attn1, block.attn2) if layer is not None]
    if not layers:
        raise ValueError("unet: has no transformer blocks, hence no attention to record")
    for layer in layers:
        if not isinstance(layer.processor, PLAIN):
            raise ValueError(
                f"unet: attends by {type(layer.processor).__name__}; recorded is plain attention only, so"
                " call unet.set_attn_processor(AttnProcessor()) first"
            )
    return layers


class Recorder:
    """An attention processor for transformer blocks; it computes the probabilities and keeps their maps."""

    def __init__(self, maps: AttentionMaps) -> None:
        self.maps = maps
        self.latent_size = (0, 0)

    def start(self, unet: UNet2DConditionModel, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Forget the last forward pass's maps before a new one."""
        latent = args[0] if args else kwargs["sample"]
        self.latent_size = (latent.shape[-2], latent.shape[-1])
        self.maps.of_cells.clear()
        self.maps.of_tokens.clear()

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        """(B, h * w, C) -> the same, as diffusers' `AttnProcessor` does in a transformer block."""
        to_text = encoder_hidden_states is not None
        source = encoder_hidden_states if to_text else hidden_states
        mask = attn.prepare_attention_mask(attention_mask, source.shape[1], len(source))
        query, key, value = (
            attn.head_to_batch_dim(part)
            for part in (attn.to_q(hidden_states), attn.to_k(source), attn.to_v(source))
        )
        grid = grid_of(hidden_states.shape[1], self.latent_size)
        attended, seen = checkpoint(
            _attend,
            *(attn, query, key, value, mask, grid, to_text),
            use_reentrant=False,
            preserve_rng_state=False,
        )
        (self.maps.of_tokens if to_text else self.maps.of_cells).append(seen)
        projection, dropout = attn.to_out
        return dropout(projection(attn.batch_to_head_dim(attended)))


def _attend(
    attn: Attention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    grid: tuple[int, int],
    to_text: bool,
) -> tuple[Tensor, Tensor]:
    """Compute the output of the heads (B * heads, h * w, d), and their map."""
    probabilities = attn.get_attention_scores(query, key, mask)
    mean = probabilities.unflatten(0, (-1, attn.heads)).mean(dim=1, dtype=_at_least_float(probabilities))
    return torch.bmm(probabilities, value), (token_map if to_text else cell_map)(mean, grid)


def _at_least_float(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def grid_of(queries: int, latent_size: tuple[int, int]) -> tuple[int, int]:
    """Find h, w of a layer with so many query cells: the latent's size, halved and rounded up as needed.

    Raises ValueError when no halving gives as many.
    """
    height, width = latent_size
    while height * width > queries:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != queries:
        raise ValueError(
            f"unet: attends from {queries} cells, which no halving of a latent of {latent_size} gives"
        )
    return height, width
