"""The validation loss: of rows that no training step sees, always with the same noise and timesteps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from ...core.seeds import mix
from .batches import Batches, Draw, MadeOfRows, ShardedRows
from .config import TrainConfig

VALIDATION = 0x76616C  # marks the random numbers of validation, so that no training step has them too


Rows = TypeVar("Rows", ShardedRows, MadeOfRows)


def split(batches: Rows, config: TrainConfig) -> tuple[Rows, Rows | None]:
    """The batches to train on, and those of the last `config.held_out` rows; None if none are held out.

    Rows of one picture lie side by side, so that the two parts share at most one picture. Raises ValueError
    when nothing is left to train on.
    """
    if not config.held_out:
        return batches, None
    count, trained = len(batches), len(batches) - config.held_out
    if trained < 1:
        raise ValueError(f"held_out is {config.held_out}, but the data has {count} rows; hold out fewer.")
    return batches.only(range(trained)), batches.only(range(trained, count))


@torch.no_grad()
def validate(
    task: nn.Module, batches: Batches, count: int, config: TrainConfig, accelerator: Accelerator
) -> dict[str, float]:
    """Mean of each loss of `task` over the first `count` batches, over all processes.

    A loss that only some batches have is averaged over those. Layers such as dropout are off. Raises
    FloatingPointError, naming the data, when a loss is not finite.
    """
    found: dict[str, list[Tensor]] = {}
    with evaluating(task):
        for step in range(count):
            seed, losses = mix(config.seed, VALIDATION, step), {}
            for rows in micro_batches(config, accelerator):
                draw = Draw(seed, config.batch_size, rows, accelerator.device, step)
                with accelerator.autocast():
                    part = task.forward(batches(step, rows), draw)  # not compiled: it runs seldom
                for name, value in part.items():
                    losses[name] = losses.get(name, 0.0) + value.float() / config.accumulate
            for name, value in losses.items():
                found.setdefault(name, []).append(value)
    names = list(found)
    means = accelerator.reduce(torch.stack([torch.stack(found[name]).mean() for name in names]), "mean")
    losses = dict(zip(names, means.tolist(), strict=True))
    if not means.isfinite().all():
        parts = ", ".join(f"{name} {value:g}" for name, value in losses.items())
        raise FloatingPointError(
            f"The validation loss is not finite: {parts}. Data: {batches.describe(0)}"
            f"{' and more' if count > 1 else ''}. Check the data or lower the learning rate."
        )
    return losses


def micro_batches(config: TrainConfig, accelerator: Accelerator) -> list[slice]:
    """The rows of the global batch that this process computes, a slice for each micro-batch.

    Raises ValueError when the batch does not split.
    """
    processes = accelerator.num_processes
    share, rest = divmod(config.batch_size, config.accumulate * processes)
    if rest:
        raise ValueError(
            f"batch_size {config.batch_size} does not split into {config.accumulate} micro-batches "
            f"on {processes} processes; change batch_size or accumulate."
        )
    firsts = [(micro * processes + accelerator.process_index) * share for micro in range(config.accumulate)]
    return [slice(first, first + share) for first in firsts]


@contextmanager
def evaluating(task: nn.Module) -> Iterator[None]:
    """Every module of `task` in evaluation mode while the block runs, and in its own mode afterwards."""
    modes = {module: module.training for module in task.modules()}
    task.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
