"""Settings that every training script shares; transformers' HfArgumentParser turns them into flags."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml
from transformers import HfArgumentParser

READY = Path(__file__).resolve().parent.parent / "configs"


def option(default: object, help: str) -> object:
    """A dataclass field with the text that `--help` shows for it."""
    return field(default=default, metadata={"help": help})


@dataclass
class TrainConfig:
    """How long, how fast and how carefully to train. Stored in every checkpoint."""

    steps: int = option(10_000, "optimiser steps in all")
    batch_size: int = option(48, "samples a step, over all processes and accumulated micro-batches")
    accumulate: int = option(1, "micro-batches a step; more need less memory and give the same gradient")
    optimizer: Literal["adamw", "muon"] = option(
        "adamw",
        "muon trains matrices and kernels from scratch in a fraction of the steps, the rest by nadamw",
    )
    learning_rate: float = option(6e-4, "peak of the cosine schedule")
    warmup_steps: int = option(200, "steps in which the learning rate climbs to its peak")
    weight_decay: float = option(0.01, "AdamW's decoupled weight decay")
    ema_decay: float = option(0.999, "decay of the averaged weights a step; 0 keeps none")
    gradient_clip: float = option(1.0, "largest gradient norm")
    precision: Literal["no", "bf16"] = option("no", "precision of the forward pass, by autocast")
    seed: int = option(0, "data order, noise and timesteps depend on seed and step alone")
    compile: bool = option(False, "compile the loss by torch.compile; pays off on a GPU after a minute")
    log_every: int = option(50, "steps between log lines; reading the loss waits for the GPU")
    checkpoint_every: int = option(500, "steps between checkpoints; the newest two are kept")
    preview_every: int = option(500, "steps between preview pictures; 0 makes none")
    held_out: int = option(0, "last rows of the data, kept from training for the validation loss; 0 for none")
    validate_every: int = option(500, "steps between validation losses")

    def __post_init__(self) -> None:
        counts = ("steps", "batch_size", "accumulate", "log_every", "checkpoint_every", "validate_every")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give at least 1.")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay is {self.ema_decay}; give a value from 0 to below 1.")
        if self.held_out and self.held_out < self.batch_size:
            raise ValueError(
                f"held_out is {self.held_out}; give 0, or at least batch_size, which is {self.batch_size}: "
                "whole batches are validated."
            )


def parse(
    kinds: Sequence[type],
    defaults: Mapping[str, object] | Callable[[Any], Mapping[str, object]],
    arguments: Sequence[str] | None = None,
) -> tuple[Any, ...]:
    """Parse the command line into one object of each dataclass; `--config FILE` (YAML, JSON) sets defaults.

    FILE is a path or the name of one of the ready configs. defaults: of the settings, or a function that
    makes them from the flags that are set. arguments: used instead of the command line's. Raises ValueError
    when the file is missing or has an unknown setting.
    """
    parser = HfArgumentParser(kinds)
    parser.add_argument(
        "--config",
        type=Path,
        help="a YAML or JSON file of settings, or the name of one in training/configs; flags override it",
    )
    if not callable(defaults):
        parser.set_defaults(**defaults)  # before a first look at the line, which may ask for help
    given = parser.parse_known_args(arguments)[0]
    if callable(defaults):
        parser.set_defaults(**defaults(given))
    if given.config:
        parser.set_defaults(**_settings(given.config, {item.name for kind in kinds for item in fields(kind)}))
    return parser.parse_args_into_dataclasses(arguments)[: len(kinds)]


def _settings(path: Path, known: set[str]) -> dict[str, Any]:
    ready = READY / f"{path}.yaml"
    if not path.exists() and ready.is_file():
        path = ready
    if not path.is_file():
        names = ", ".join(sorted(own.stem for own in READY.glob("*.yaml")))
        raise ValueError(f"config: there is no file {path}; give one, or the name of a ready one: {names}.")
    try:
        settings = yaml.safe_load(path.read_text("utf-8"))  # JSON is YAML too
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"config: {path} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise ValueError(f"config: {path} holds no settings; give lines such as 'steps: 1000'.")
    if unknown := sorted(set(settings) - known):
        raise ValueError(
            f"config: {path} sets {', '.join(unknown)}, which is none of {', '.join(sorted(known))}."
        )
    return settings


def script(main: Callable[[], None]) -> None:
    """Run a script's `main` without network access; bad input ends it with one sentence."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        main()
    except ValueError as error:
        sys.exit(str(error))


def words(text: str) -> list[str]:
    """Split a setting that is a list: `a, b c` -> a, b, c."""
    return text.replace(",", " ").split()
