"""Weights of a diffusers UNet that an edit learns: all of its own, or low-rank ones beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from ...core.lora_files import layer_key
from ...core.low_rank import initial_low_rank
from ...core.schedule import Denoiser
from .lora import add_lora, kohya_tensors


class EditWeights(Protocol):
    """Weights that learn. parameters: the trainable tensors, float32."""

    parameters: list[nn.Parameter]

    def changes(self) -> dict[str, Tensor]:
        """Return what has been learnt, under kohya's names, in fp16 on the CPU."""

    def close(self) -> None:
        """Restore the UNet."""


@contextmanager
def edit_weights(unet: UNet2DConditionModel, rank: int, seed: int) -> Iterator[EditWeights]:
    """Make weights of `unet` learn while the block runs: low-rank ones of `rank`, or for 0 all of its own."""
    weights = LowRankWeights(unet, rank, seed) if rank else FullWeights(unet)
    try:
        yield weights
    finally:
        weights.close()


def as_denoiser(
    unet: UNet2DConditionModel, added: Mapping[str, Tensor] | None = None, half: bool = False
) -> Denoiser:
    """Wrap `unet` as core's denoiser; `added` is what an SDXL also reads, `half` computes in bf16."""

    def predict(x_t: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        besides = added and {name: value.expand(len(x_t), -1) for name, value in added.items()}
        with torch.autocast(x_t.device.type, torch.bfloat16, enabled=half):
            return unet(x_t, t, cond, added_cond_kwargs=besides).sample.float()

    return predict


class FullWeights:
    """All weights of a float32 UNet, which learn in place; the old ones are kept on the CPU."""

    def __init__(self, unet: UNet2DConditionModel) -> None:
        named = dict(unet.named_parameters())
        self.names, self.parameters = list(named), list(named.values())
        self.start = [parameter.detach().to("cpu", copy=True) for parameter in self.parameters]

    def changes(self) -> dict[str, Tensor]:
        found = {}
        for name, parameter, start in zip(self.names, self.parameters, self.start, strict=True):
            layer, _, part = name.rpartition(".")
            key = f"{layer_key(layer)}.{'diff_b' if part == 'bias' else 'diff'}"
            found[key] = (parameter.detach().cpu() - start).half()
        return found

    @torch.no_grad()
    def close(self) -> None:
        for parameter, start in zip(self.parameters, self.start, strict=True):
            parameter.copy_(start)


class LowRankWeights:
    """Low-rank weights on every linear layer and plain 2D convolution, initialised as in the nodes."""

    def __init__(self, unet: UNet2DConditionModel, rank: int, seed: int) -> None:
        self.unet = unet
        self.parameters = []
        shapes = {name: layer.weight.shape for name, layer in unet.named_modules() if _is_matrix(layer)}
        add_lora(unet, rank, list(shapes), [name for name, _ in unet.named_children()])
        for name, shape in shapes.items():
            layer = unet.get_submodule(name)
            pair = [part["default"].weight for part in (layer.lora_A, layer.lora_B)]
            for weight, start in zip(pair, initial_low_rank(name, rank, shape, seed), strict=True):
                weight.data.copy_(start.view_as(weight))
            self.parameters += pair

    def changes(self) -> dict[str, Tensor]:
        return {name: tensor.detach().half().cpu() for name, tensor in kohya_tensors(self.unet).items()}

    def close(self) -> None:
        self.unet.unload_lora()


def _is_matrix(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1)
