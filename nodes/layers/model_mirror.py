"""Mirrors a loaded UNet for gradients: new modules over the same weights in memory.

ComfyUI loads weights in inference mode, and autograd refuses such tensors. A mirror has modules of its own
that use the loaded model's weights in place: nothing that is done to the mirror (trainable copies, low-rank
layers, checkpoints) changes the loaded model, and dropping it leaves nothing behind.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from comfy.ldm.modules.attention import BasicTransformerBlock, attention_pytorch
from comfy.ldm.modules.diffusionmodules.openaimodel import ResBlock
from comfy.weight_adapter.lora import LoraDiff
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

BLOCKS = (ResBlock, BasicTransformerBlock)  # blocks that are computed again in the backward pass


def ordinary(tensor: Tensor) -> Tensor:
    """Detach `tensor` for autograd, even if it was made in inference mode; the memory is shared."""
    if not tensor.is_inference():
        return tensor.detach()
    with torch.inference_mode(False):
        shared = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
        return shared.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())


def mirror(module: nn.Module, device: torch.device) -> nn.Module:
    """Copy `module` to `device` with frozen weights; those that are already on the device are shared.

    What ComfyUI applies to weights as it casts them (LoRAs on offloaded weights, wrappers) is kept, and each
    layer casts to the type of its input. Call it outside inference mode.
    """
    memo: dict[int, Any] = {}
    for tensor in (*module.parameters(), *module.buffers()):
        shared = ordinary(tensor).to(device)
        is_weight = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(shared, requires_grad=False) if is_weight else shared
    for part in module.modules():
        for function in (*getattr(part, "weight_function", ()), *getattr(part, "bias_function", ())):
            memo[id(function)] = function
    mirrored = copy.deepcopy(module, memo)
    for part in mirrored.modules():
        if hasattr(part, "comfy_cast_weights"):
            part.comfy_cast_weights = True
    return mirrored


def attention_with_gradient(chosen: Callable[..., Tensor], *args: Any, **kwargs: Any) -> Tensor:
    """Use torch's own attention instead of the chosen one, which may lack a backward pass (sage, flash).

    For the UNet's option `optimized_attention_override`.
    """
    return attention_pytorch(*args, **kwargs)


def passing_gradients(patch: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap a patch to raise RuntimeError where it drops a gradient, which would otherwise go unnoticed."""

    @functools.wraps(patch)
    def run(*args: Any, **kwargs: Any) -> Any:
        result = patch(*args, **kwargs)
        has_gradient = [any(tensor.requires_grad for tensor in _tensors(each)) for each in (args, result)]
        if torch.is_grad_enabled() and has_gradient == [True, False]:
            raise RuntimeError("its result has no gradient")
        return result

    return run


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _tensors(each)


def compute_blocks_again(unet: nn.Module) -> None:
    """Turn on gradient checkpointing: residual and transformer blocks of a mirror keep only their inputs."""
    for block in unet.modules():
        if isinstance(block, BLOCKS):
            block.forward = _computed_again(block.forward)


def _computed_again(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def run(*args: Any, **kwargs: Any) -> Tensor:
        # the UNet changes its options as it runs; a block that runs again needs them as they were
        kwargs = {name: dict(value) if isinstance(value, dict) else value for name, value in kwargs.items()}
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return run


def matrices(unet: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Name and module of every layer that can have low-rank weights: linear and plain 2D convolutions."""
    for name, layer in unet.named_modules():
        if isinstance(layer, nn.Linear) or (isinstance(layer, nn.Conv2d) and layer.groups == 1):
            yield name, layer


def add_low_rank(layer: nn.Module, adapter: LoraDiff) -> None:
    """Make a mirror's layer also compute the adapter's up(down(x)) (Hu et al. 2022), in its input's type.

    The adapter is not added to the weight, whose rounding in half precision would lose a small change.
    """
    forward = layer.forward

    def adapted(x: Tensor) -> Tensor:
        down, up = (part.weight.to(x.dtype) for part in (adapter.lora_down, adapter.lora_up))
        if isinstance(layer, nn.Linear):
            return forward(x) + F.linear(F.linear(x, down), up)
        down = down.unflatten(1, layer.weight.shape[1:])
        narrow = F.conv2d(x, down, None, layer.stride, layer.padding, layer.dilation)
        return forward(x) + F.conv2d(narrow, up[..., None, None])

    layer.forward = adapted
