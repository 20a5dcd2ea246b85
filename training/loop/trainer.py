"""The one training loop. A script gives it a task (what to learn), batches (the data) and a config (how).

Runs on one CPU, one GPU or, by `accelerate launch`, on many: the same global batch everywhere, and a run that
was killed goes on from its newest checkpoint as if it had never stopped.
"""

from __future__ import annotations

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from PIL import Image
from timm.optim import Muon, muon
from torch import Tensor, nn
from tqdm import tqdm

from ...core.files import replacing
from ...core.seeds import mix
from . import checkpoints
from .batches import Batches, Draw
from .config import TrainConfig
from .validation import micro_batches, validate

SANITY = 2  # validation batches before the first step


class Task(nn.Module, ABC):
    """A task trains every parameter that requires a gradient by the sum of the losses of `forward`."""

    @abstractmethod
    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        """Scalar losses by name, each the mean over the rows of `batch`. All randomness comes from `draw`."""

    def preview(self) -> Image.Image | None:
        """Make a picture of what the task can do now, always from the same inputs and seeds."""
        return None


def train(
    task: Task,
    batches: Batches,
    config: TrainConfig,
    folder: Path,
    accelerator: Accelerator | None = None,
    held_out: Batches | None = None,
) -> None:
    """Train `task` in place; at the end it has the averaged weights if the config keeps an average.

    `folder` receives checkpoints/, previews/ and log.jsonl, and is where a run resumes from. With `held_out`,
    batches of rows that are not trained on, it also receives validation.jsonl: their loss every so many
    steps. Before the first step SANITY batches of them are tried, so that a fault shows now and not after an
    hour. Raises FloatingPointError, naming step, data and loss parts, when a loss is no longer finite.
    """
    accelerator = accelerator or Accelerator(mixed_precision=config.precision)
    task.to(accelerator.device)
    parameters = {name: p for name, p in task.named_parameters() if p.requires_grad}
    optimizer = build_optimizer(task, config)
    average = {name: p.detach().clone() for name, p in parameters.items()} if config.ema_decay else {}
    start = checkpoints.resume(folder / "checkpoints", config, parameters, average, optimizer)
    learner = accelerator.prepare_model(task) if accelerator.num_processes > 1 else task
    if config.compile:
        learner.compile()
    record = Record(folder, config, batches, accelerator)
    validated = config.held_out // config.batch_size if held_out else 0
    if validated:
        validate(task, held_out, min(SANITY, validated), config, accelerator)

    for step in tqdm(
        range(start, config.steps),
        initial=start,
        total=config.steps,
        disable=not accelerator.is_main_process,
        mininterval=5,
    ):
        rate = learning_rate(step, config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        losses = _gradients(learner, batches, config, step, accelerator)
        losses["gradient_norm"] = nn.utils.clip_grad_norm_(parameters.values(), config.gradient_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        _update(average, parameters, min(config.ema_decay, (1 + step) / (10 + step)))
        record.add(step, losses)

        done = step + 1
        if done % config.log_every == 0 or done == config.steps:
            record.flush(done, rate)
        if validated and (done % config.validate_every == 0 or done == config.steps):
            with record.paused(), averaged(parameters, average):
                record.validated(done, validate(task, held_out, validated, config, accelerator))
        if not accelerator.is_main_process:
            continue
        if done % config.checkpoint_every == 0 or done == config.steps:
            record.check()  # never keep weights that a bad loss has touched
            checkpoints.save(folder / "checkpoints", done, config, parameters, average, optimizer)
        if config.preview_every and (done % config.preview_every == 0 or done == config.steps):
            with averaged(parameters, average):
                picture = task.preview()
            if picture is not None:
                with replacing(folder / "previews" / f"{done:08d}.png") as path:
                    picture.save(path, format="PNG")
    _copy(average, parameters)


def build_optimizer(task: Task, config: TrainConfig) -> torch.optim.Optimizer:
    """Build AdamW, or Muon (Jordan et al. 2024) with NAdamW for embeddings, norms and biases.

    Muon's steps are scaled to AdamW's size (Liu et al. 2025), so that learning rates mean much the same.
    """
    betas = (0.9, 0.99)
    trained = [p for p in task.parameters() if p.requires_grad]
    if config.optimizer == "adamw":
        fused = trained[0].device.type in ("cpu", "cuda")
        return torch.optim.AdamW(
            trained, config.learning_rate, betas, weight_decay=config.weight_decay, fused=fused
        )
    tables = {id(m.weight) for m in task.modules() if isinstance(m, nn.Embedding)}
    groups = [
        {"params": [p for p in trained if id(p) not in tables]},
        {"params": [p for p in trained if id(p) in tables], "use_fallback": True},
    ]
    return Muon(
        [group for group in groups if group["params"]],
        config.learning_rate,
        betas=betas,
        weight_decay=config.weight_decay,
        nesterov=True,
    )


_newton_schulz = muon.zeropower_via_newtonschulz


def _newton_schulz_by_device(gradient: Tensor, *settings: Any, **more: Any) -> Tensor:
    """timm's, in float32 on a CPU: it multiplies in bfloat16, which most CPUs do forty times slower."""
    own = {"dtype": torch.float32} if gradient.device.type == "cpu" else {}
    return _newton_schulz(gradient, *settings, **more, **own)


muon.zeropower_via_newtonschulz = _newton_schulz_by_device  # Muon has no setting for it


def learning_rate(step: int, config: TrainConfig) -> float:
    """Learning rate of a step: a linear warm-up, then a cosine down to a hundredth of the peak."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return config.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * progress)))


def _gradients(
    learner: nn.Module, batches: Batches, config: TrainConfig, step: int, accelerator: Accelerator
) -> dict[str, Tensor]:
    """Run backward over this process's share of the batch of `step`; -> losses averaged over that share.

    Processes exchange gradients once, with the last micro-batch.
    """
    seed = mix(config.seed, step)
    # for layers that draw random numbers themselves, such as dropout: other numbers in each process
    torch.manual_seed(mix(seed, accelerator.process_index))
    averages: dict[str, Tensor] = {}
    parts = micro_batches(config, accelerator)
    for rows in parts:
        batch = batches(step, rows)
        with nullcontext() if rows is parts[-1] else accelerator.no_sync(learner):
            with accelerator.autocast():
                losses = learner(batch, Draw(seed, config.batch_size, rows, accelerator.device, step))
            (torch.stack(list(losses.values())).sum() / config.accumulate).backward()
        for name, value in losses.items():
            averages[name] = averages.get(name, 0.0) + value.detach().float() / config.accumulate
    return averages


@torch.no_grad()
def _update(average: Mapping[str, Tensor], parameters: Mapping[str, nn.Parameter], decay: float) -> None:
    if average:
        current = [parameters[name] for name in average]
        torch._foreach_lerp_(list(average.values()), current, 1.0 - decay)


@torch.no_grad()
def _copy(source: Mapping[str, Tensor], target: Mapping[str, Tensor]) -> None:
    for name, tensor in source.items():
        target[name].copy_(tensor)


@contextmanager
def averaged(parameters: Mapping[str, nn.Parameter], average: Mapping[str, Tensor]) -> Iterator[None]:
    """Use the averaged weights instead of the current ones while the block runs."""
    current = {name: parameters[name].detach().clone() for name in average}
    _copy(average, parameters)
    try:
        yield
    finally:
        _copy(current, parameters)


class Record:
    """Sums losses on the device and reads them only to log, since each reading waits for the GPU."""

    def __init__(self, folder: Path, config: TrainConfig, batches: Batches, accelerator: Accelerator) -> None:
        self.path, self.config, self.batches = folder / "log.jsonl", config, batches
        self.accelerator = accelerator
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.history: list[tuple[int, list[str], Tensor]] = []
        self.since = time.perf_counter()

    def add(self, step: int, losses: Mapping[str, Tensor]) -> None:
        self.history.append((step, list(losses), torch.stack(list(losses.values()))))

    def check(self) -> None:
        """Raise FloatingPointError if any step since the last flush went wrong."""
        if not self.history:
            return
        steps, names, values = zip(*self.history, strict=True)
        finite = [row.isfinite().all() for row in values]
        bad = (~torch.stack(finite)).nonzero().flatten().tolist()
        if bad:
            first = bad[0]
            parts = ", ".join(f"{n} {v:g}" for n, v in zip(names[first], values[first].tolist(), strict=True))
            raise FloatingPointError(
                f"The loss is no longer finite at step {steps[first]}: {parts}. "
                f"Data: {self.batches.describe(steps[first])}. Lower the learning rate or check the data."
            )

    def flush(self, done: int, rate: float) -> None:
        """Check the steps since the last flush; append their mean, over the processes too, to log.jsonl."""
        self.check()
        if not self.history:
            return
        names = list(chain.from_iterable(names for _, names, _ in self.history))
        values = self.accelerator.reduce(torch.cat([values for _, _, values in self.history]), "mean")
        if self.accelerator.is_main_process:
            sums: dict[str, list[float]] = {}
            for name, value in zip(names, values.tolist(), strict=True):
                sums.setdefault(name, []).append(value)
            now = time.perf_counter()
            line = {"step": done, "learning_rate": rate}
            line |= {name: sum(values) / len(values) for name, values in sums.items()}
            line["samples_per_second"] = len(self.history) * self.config.batch_size / (now - self.since)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self.since = now
        self.history.clear()

    def validated(self, done: int, losses: Mapping[str, float]) -> None:
        """Append validation losses to validation.jsonl."""
        if self.accelerator.is_main_process:
            with self.path.with_name("validation.jsonl").open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": done, **losses}) + "\n")

    @contextmanager
    def paused(self) -> Iterator[None]:
        """What the block takes does not count as training in `samples_per_second`."""
        start = time.perf_counter()
        yield
        self.since += time.perf_counter() - start
