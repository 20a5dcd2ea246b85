"""Keeps training state on disk, one safetensors file a checkpoint, from which a run resumes exactly.

Data order, noise and timesteps are functions of seed and step (batches.py), so the step number, the weights
and the optimiser's moments are all there is to keep.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from ...core.files import read_tensors, write_tensors
from .config import TrainConfig

KEPT = 2
MAY_CHANGE = {
    *("log_every", "checkpoint_every", "preview_every", "validate_every"),
    *("compile", "accumulate"),
}
log = logging.getLogger(__name__)


def save(
    folder: Path,
    step: int,
    config: TrainConfig,
    parameters: Mapping[str, nn.Parameter],
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> Path:
    """Write `step-<step>.safetensors` atomically, then drop all but the newest two. Returns its path."""
    tensors = {f"weight.{name}": parameter.detach() for name, parameter in parameters.items()}
    tensors |= {f"average.{name}": tensor for name, tensor in average.items()}
    for name, parameter in parameters.items():
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{name}.{key}"] = torch.as_tensor(value)
    path = folder / f"step-{step:08d}.safetensors"
    write_tensors(path, tensors, {"finesse.step": str(step), "finesse.config": json.dumps(asdict(config))})
    for old in checkpoints(folder)[KEPT:]:
        old.unlink()
    return path


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in `folder`, newest first."""
    return sorted(folder.glob("step-*.safetensors"), reverse=True)


def resume(
    folder: Path,
    config: TrainConfig,
    parameters: Mapping[str, nn.Parameter],
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
) -> int:
    """Load the newest readable checkpoint into weights, average and optimiser; the step to go on from, or 0.

    A damaged file is passed over for the one before it. ValueError when the checkpoint was made with other
    settings or for other weights.
    """
    for path in checkpoints(folder):
        try:
            tensors, metadata = read_tensors(path)
        except ValueError as error:
            log.warning("Passing over a damaged checkpoint: %s", error)
            continue
        _check(path, json.loads(metadata["finesse.config"]), config, tensors, parameters)
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(tensors[f"weight.{name}"])
                if name in average:
                    average[name].copy_(tensors[f"average.{name}"])
                optimizer.state[parameter] = _moments(tensors, name, parameter, optimizer)
        return int(metadata["finesse.step"])
    return 0


def _moments(
    tensors: Mapping[str, Tensor], name: str, parameter: nn.Parameter, optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    prefix = f"optimizer.{name}."
    state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    fused = optimizer.defaults.get("fused")
    return {
        key: value.to(parameter.device) if key != "step" or fused else value for key, value in state.items()
    }


def _check(
    path: Path,
    stored: dict[str, object],
    config: TrainConfig,
    tensors: Mapping[str, Tensor],
    parameters: Mapping[str, nn.Parameter],
) -> None:
    stored = asdict(TrainConfig()) | stored  # a setting newer than the checkpoint was at its default
    changed = {
        key: (stored[key], value)
        for key, value in asdict(config).items()
        if key not in MAY_CHANGE and stored[key] != value
    }
    if changed:
        was = ", ".join(f"{key} {old} -> {new}" for key, (old, new) in changed.items())
        raise ValueError(
            f"{path} was made with other settings ({was}); use them again or start in an empty folder."
        )
    names = {name.removeprefix("weight.") for name in tensors if name.startswith("weight.")}
    if names != set(parameters):
        odd = sorted(names ^ set(parameters))[:3]
        raise ValueError(
            f"{path} holds other weights than are trained now (for example {', '.join(odd)}); "
            "start in an empty folder."
        )
