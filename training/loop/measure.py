"""Estimates and measures what a run costs: memory, pictures a second, how busy the device is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from .batches import Batches, Draw
from .config import TrainConfig
from .trainer import Task

WARM_UP = 3
TOKENS = 77
GIGA = 1e9


def saved_bytes(unet: UNet2DConditionModel, inputs: dict[str, Any], dtype: torch.dtype) -> int:
    """Bytes that one forward pass keeps for its backward pass, counted on the meta device, in no memory.

    unet and inputs are on the meta device. Weights and the working memory of kernels are not counted.
    """
    kept: dict[int, int] = {}
    weights = {p.untyped_storage()._cdata for p in unet.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()._cdata
        if storage not in weights:
            kept[storage] = tensor.numel() * (dtype if tensor.is_floating_point() else tensor.dtype).itemsize
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        unet(**inputs)
    return sum(kept.values())


def empty_inputs(unet: UNet2DConditionModel, rows: int, side: int) -> dict[str, Any]:
    """Make inputs of `unet` for `rows` latents of `side` cells with their texts, on the meta device."""
    config = unet.config
    inputs = {
        "sample": torch.empty(rows, config.in_channels, side, side, device="meta"),
        "timestep": torch.zeros(rows, device="meta"),
        "encoder_hidden_states": torch.empty(rows, TOKENS, config.cross_attention_dim, device="meta"),
    }
    if config.addition_embed_type == "text_time":
        pooled = config.projection_class_embeddings_input_dim - 6 * config.addition_time_embed_dim
        inputs["added_cond_kwargs"] = {
            "text_embeds": torch.empty(rows, pooled, device="meta"),
            "time_ids": torch.empty(rows, 6, device="meta"),
        }
    return inputs


def bench(
    step: Callable[[int], object], count: int, batch_size: int, device: torch.device
) -> dict[str, float]:
    """Run `step(i)` `count` times after a warm-up: pictures a second, TFLOP/s, peak memory, utilisation.

    Utilisation is the share of the speed that a large matrix product reaches on the same device in the same
    run; peak memory in GB is the device's, 0 on a CPU.
    """
    with FlopCounterMode(display=False) as flops:
        step(0)
    for i in range(WARM_UP):
        step(i)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = timed(lambda: [step(i) for i in range(count)], device) / count
    speed = flops.get_total_flops() / seconds
    return {
        "pictures_per_second": batch_size / seconds,
        "tflops": speed / 1e12,
        "utilisation": speed / _matmul_speed(device),
        "peak_memory_gb": torch.cuda.max_memory_allocated() / GIGA if device.type == "cuda" else 0.0,
    }


def timing(
    task: Task, batches: Batches, settings: TrainConfig, steps: int, accelerator: Accelerator
) -> dict[str, float]:
    """Measure speed and memory of training steps on one process, including the reading of data."""
    device, rows = accelerator.device, slice(0, settings.batch_size)
    task.to(device)
    optimizer = torch.optim.AdamW([p for p in task.parameters() if p.requires_grad], settings.learning_rate)

    def step(i: int) -> None:
        batch = batches(i, rows)
        with accelerator.autocast():
            losses = task(batch, Draw(i, settings.batch_size, rows, device, i))
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return bench(step, steps, settings.batch_size, device)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Measure the seconds until `work` is done on the device."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - start


def _matmul_speed(device: torch.device) -> float:
    """Measure FLOP/s of a square matrix product: bfloat16 on a GPU, float32 on a CPU."""
    side, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (1024, torch.float32)
    a = torch.randn(side, side, device=device, dtype=dtype)
    timed(lambda: a @ a, device)
    return 10 * 2 * side**3 / timed(lambda: [a @ a for _ in range(10)], device)
