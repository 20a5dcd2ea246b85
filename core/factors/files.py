"""Factor files: a trained adapter of FG-DM as safetensors, and what its header says of it.

The keys are the authors' (see `factor_adapter`), in fp16; those of a factor with several parents lie behind
`adapters.K.`, K counting the parents. The header says in `finesse.*` which maps it makes, for which base
model, from which parents and how it was trained. The authors' own checkpoints hold a whole
Stable Diffusion of 5 GB around the adapter; `convert_checkpoint` takes the adapter out and leaves the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import nn

from ..files import read_tensors, write_tensors
from ..torch_checkpoints import key_groups, read_checkpoint
from .adapter import Factor, factor_from_tensors

UNET = "model.diffusion_model."  # before adapter. or, where a factor has several parents, adapters.K.
SEGMENTATION = "segmentation"


@dataclass(frozen=True, kw_only=True)
class FactorInfo:
    """The facts in a factor's header. Raises ValueError for a field that is empty or of another type.

    condition: what the maps are: segmentation, depth, normal, sketch, pose or a name of one's own.
    palette: the colours' name; a segmentation factor needs one. base: the base model in words, such as SD1.x.
    parents: conditions whose latents it reads, in order; none for a first factor, which reads its own.
    trained: how it was trained, anything that JSON can hold.
    """

    condition: str
    palette: str = ""
    base: str
    parents: tuple[str, ...] = ()
    trained: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("condition", "base"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name).strip():
                raise ValueError(f"{name} of a factor is {getattr(self, name)!r}: give it a name")
        if not isinstance(self.palette, str) or (self.condition == SEGMENTATION and not self.palette):
            raise ValueError(
                f"palette of the {self.condition} factor is {self.palette!r}: give the palette's name"
            )
        object.__setattr__(self, "parents", self._checked_parents())
        object.__setattr__(self, "trained", self._checked_training())

    def _checked_parents(self) -> tuple[str, ...]:
        names = self.parents
        whole = isinstance(names, list | tuple) and all(isinstance(name, str) and name for name in names)
        if not whole or len({*names, self.condition}) != len(names) + 1:
            raise ValueError(
                f"parents of the {self.condition} factor are {names!r}: give a list of other conditions,"
                " each once"
            )
        return tuple(names)

    def _checked_training(self) -> dict[str, Any]:
        try:
            value = json.loads(json.dumps(self.trained, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise ValueError(f"trained: {self.trained!r} does not fit into JSON ({error})") from error
        if not isinstance(value, dict):
            raise ValueError(f"trained: {self.trained!r} is no dictionary: give names and values")
        return value

    def header(self) -> dict[str, str]:
        """As metadata of a safetensors file."""
        return {
            "modelspec.title": f"FG-DM factor, {self.condition}",
            "finesse.condition": self.condition,
            "finesse.palette": self.palette,
            "finesse.base": self.base,
            "finesse.parents": json.dumps(self.parents),
            "finesse.trained": json.dumps(self.trained),
        }

    @classmethod
    def from_header(cls, metadata: Mapping[str, str]) -> FactorInfo:
        """From metadata of a file. Raises ValueError when a key is missing or its value does not fit."""
        values: dict[str, Any] = {}
        for name in ("condition", "palette", "base", "parents", "trained"):
            key = f"finesse.{name}"
            if key not in metadata:
                raise ValueError(f"its header lacks {key}: write the file anew with `write_factor`")
            values[name] = metadata[key]
        for name in ("parents", "trained"):
            try:
                values[name] = json.loads(values[name])
            except ValueError as error:
                raise ValueError(
                    f"finesse.{name} in its header is {values[name]!r}, which is not JSON"
                ) from error
        return cls(**values)


def write_factor(path: str | Path, factor: Factor, info: FactorInfo) -> None:
    """Write a factor on any device as an fp16 file, atomically.

    Raises ValueError when it has not one adapter for each parent, and with the first weight that fp16 cannot
    hold, such as the NaN of a training gone wrong.
    """
    _check_parents(factor, info)
    tensors = {key: tensor.detach().half() for key, tensor in factor.tensors().items()}
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise ValueError(
                f"{key} has values that fp16 cannot hold: {path} is not written; look at the losses"
            )
    write_tensors(path, tensors, info.header())


def read_factor(path: str | Path, *, operations: Any = nn) -> tuple[Factor, FactorInfo]:
    """The factor in a file, on the CPU and in the dtype as stored, and what its header says of it.

    operations: see `FactorAdapter`. Raises ValueError, naming the file, when it is missing, damaged or holds
    something else.
    """
    tensors, metadata = read_tensors(path)
    try:
        factor, info = factor_from_tensors(tensors, operations=operations), FactorInfo.from_header(metadata)
        _check_parents(factor, info)
    except ValueError as error:
        raise ValueError(f"{Path(path).name} is no factor file: {error}") from error
    return factor, info


def convert_checkpoint(path: str | Path, *, operations: Any = nn) -> Factor:
    """The factor in a checkpoint of the authors' code (.pth, .ckpt), on the CPU, in the dtype as stored.

    The file is mapped, not read: memory grows by the adapters alone. What it holds besides tensors and plain
    values is refused, so that nothing in it is run. It does not say what `FactorInfo` asks for.
    operations: see `FactorAdapter`. Raises ValueError, naming the file, when there is no adapter to be had.
    """
    path = Path(path)
    state = read_checkpoint(path)
    one, several = f"{UNET}adapter.", f"{UNET}adapters."
    tensors = {
        key.removeprefix(one).removeprefix(UNET): tensor.clone()
        for key, tensor in state.items()
        if key.startswith((one, several))
    }
    if not tensors:
        raise ValueError(f"{path.name} has no adapter: no key starts with {one}, only {key_groups(state)}")
    try:
        return factor_from_tensors(tensors, operations=operations)
    except ValueError as error:
        raise ValueError(f"the adapter in {path.name} does not fit: {error}") from error


def _check_parents(factor: Factor, info: FactorInfo) -> None:
    if len(factor.adapters) != max(1, len(info.parents)):
        raise ValueError(
            f"its parents are {list(info.parents)}, its adapters {len(factor.adapters)}: a factor has one for"
            " each parent, or a single one when it has none"
        )
