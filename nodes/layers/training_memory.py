"""Finds how much memory training a MODEL takes, before it starts, by a run that computes nothing."""

from __future__ import annotations

import copy
from typing import Any

import comfy.model_management
import torch
from comfy.ldm.modules.attention import BasicTransformerBlock
from torch import Tensor, nn

from .model_mirror import BLOCKS, attention_with_gradient, matrices

BYTES_A_NUMBER = 16  # bytes a trained number takes: itself, its gradient and Adam's two moments, in float32
TOKENS = 77
GIGABYTE = 2**30


def compute_dtype(device: torch.device) -> torch.dtype:
    """Type that gradients are computed in: bfloat16 where the device is fast at it, else float32."""
    return torch.bfloat16 if comfy.model_management.should_use_bf16(device) else torch.float32


def training_memory(
    model: Any, latent: tuple[int, int, int, int], rank: int | None = None, tokens: int = TOKENS
) -> int:
    """Bytes on the MODEL's device that training on latents (B, C, h, w) needs, Adam's moments included.

    rank: None for full weights, 0 for none (only the conditioning is trained), else the rank of low-rank
    layers. tokens: number in the conditioning. Blocks are computed again in the backward pass.
    """
    unet = model.model.diffusion_model
    if rank is None:
        weights = BYTES_A_NUMBER * sum(weight.numel() for weight in unet.parameters())
    else:
        layers = [layer.weight for _, layer in matrices(unet)]
        low_rank = sum(rank * (len(weight) + weight[0].numel()) for weight in layers)
        weights = comfy.model_management.module_size(unet) + BYTES_A_NUMBER * low_rank
    dtype = compute_dtype(model.load_device)
    reserve = int(comfy.model_management.minimum_inference_memory())
    return weights + activation_memory(unet, latent, tokens, dtype) + reserve


def check_memory(needed: int, device: torch.device, remedy: str) -> None:
    """Raise ValueError if `device` lacks `needed` bytes even after ComfyUI unloads what it has loaded there.

    remedy: the end of the message, which says what to do.
    """
    free = free_memory(device)
    if needed > free:
        raise ValueError(
            f"training needs about {needed / GIGABYTE:.1f} GB and {device} can free "
            f"{free / GIGABYTE:.1f} GB; {remedy}"
        )


def free_memory(device: torch.device) -> int:
    """Bytes of `device` that are free or that ComfyUI can free by unloading what it has loaded there."""
    free = comfy.model_management.get_free_memory(device)
    if comfy.model_management.is_device_cpu(device):
        return free
    loaded = (
        entry.model_loaded_memory()
        for entry in comfy.model_management.current_loaded_models
        if entry.device == device and entry.model is not None
    )
    return free + sum(loaded)


def activation_memory(
    unet: nn.Module, latent: tuple[int, int, int, int], tokens: int, dtype: torch.dtype
) -> int:
    """Most bytes that one forward and backward pass keep: all blocks' inputs, and the inside of one block.

    They are counted on a copy of the UNet without memory. Inside the largest block each layer's input and
    output count, which covers their gradients as well.
    """
    ghost = _ghost(unet, dtype)
    counter = _Counter(ghost)
    batch, _, height, width = latent

    def shape(*sizes: int) -> Tensor:
        return torch.empty(*sizes, device="meta", dtype=dtype)

    attention = next(part.attn2 for part in ghost.modules() if isinstance(part, BasicTransformerBlock))
    labels = {} if ghost.num_classes is None else {"y": shape(batch, ghost.label_emb[0][0].in_features)}
    with torch.no_grad():
        ghost(
            shape(batch, ghost.in_channels, height, width),
            torch.empty(batch, device="meta"),
            context=shape(batch, tokens, attention.to_k.in_features),
            transformer_options={"optimized_attention_override": attention_with_gradient},
            **labels,
        )
    return counter.kept + counter.largest_block


def _ghost(unet: nn.Module, dtype: torch.dtype) -> nn.Module:
    memo: dict[int, Any] = {}
    for weight in unet.parameters():
        nothing = torch.empty(weight.shape, device="meta", dtype=dtype)
        memo[id(weight)] = nn.Parameter(nothing, requires_grad=False)
    for part in unet.modules():
        for function in (*getattr(part, "weight_function", ()), *getattr(part, "bias_function", ())):
            memo[id(function)] = None
    ghost = copy.deepcopy(unet, memo)
    for part in ghost.modules():
        if hasattr(part, "comfy_cast_weights"):
            part.comfy_cast_weights, part.weight_function, part.bias_function = False, [], []
    return ghost


class _Counter:
    """Counts the bytes that a run keeps: `kept` over all of it, `largest_block` inside one block."""

    def __init__(self, unet: nn.Module) -> None:
        self.kept = self.largest_block = self._inside = 0
        blocks = [part for part in unet.modules() if isinstance(part, BLOCKS)]
        within = {part for block in blocks for part in block.modules()}
        for block in blocks:
            block.register_forward_pre_hook(self._enter)
            block.register_forward_hook(self._leave)
        for part in unet.modules():
            if not list(part.children()) and part not in blocks:
                part.register_forward_hook(self._add_inside if part in within else self._add_outside)

    def _enter(self, block: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._inside = 0
        self.kept += _size(inputs)

    def _leave(self, block: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.largest_block = max(self.largest_block, self._inside)

    def _add_inside(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._inside += _size((*inputs, output))

    def _add_outside(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self.kept += _size(inputs)


def _size(tensors: tuple[Any, ...]) -> int:
    return sum(tensor.nbytes for tensor in tensors if isinstance(tensor, Tensor))
