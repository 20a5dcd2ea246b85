"""Chooses a training step's rows and random numbers; both depend on seed and step alone.

So a resumed run goes on as if never stopped, and many processes share the batch that one would see.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from typing_extensions import Self

from ...core.seeds import mix


class Batches(Protocol):
    """An endless, random-access stream of batches."""

    def __call__(self, step: int, rows: slice) -> dict[str, Tensor]:
        """Return the rows `rows` of the global batch of `step`, on the training device."""

    def describe(self, step: int) -> str:
        """Describe the batch of `step` for an error message."""


@dataclass
class ShuffledRows:
    """Batches from tensors of equal length, in a new order each epoch."""

    tensors: dict[str, Tensor]
    batch_size: int
    seed: int = 0

    def __post_init__(self) -> None:
        lengths = {name: len(tensor) for name, tensor in self.tensors.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"The data's tensors differ in length: {lengths}.")
        self.length = next(iter(lengths.values()))
        if self.length == 0:
            raise ValueError("The data is empty; give at least one sample.")

    def indices(self, step: int) -> Tensor:
        """(batch_size,) row numbers; an epoch's end is filled from the next epoch's beginning."""
        positions = torch.arange(step * self.batch_size, (step + 1) * self.batch_size)
        epochs = positions // self.length
        picked = torch.empty_like(positions)
        for epoch in epochs.unique().tolist():
            here = epochs == epoch
            picked[here] = self.order(epoch)[positions[here] % self.length]
        return picked

    def order(self, epoch: int) -> Tensor:
        if getattr(self, "_epoch", None) != epoch:
            generator = torch.Generator().manual_seed(mix(self.seed, epoch))
            self._epoch, self._order = epoch, torch.randperm(self.length, generator=generator)
        return self._order

    def __call__(self, step: int, rows: slice) -> dict[str, Tensor]:
        indices = self.indices(step)[rows]
        return {name: tensor[indices.to(tensor.device)] for name, tensor in self.tensors.items()}

    def describe(self, step: int) -> str:
        return f"rows {self.indices(step).tolist()}"


class ShardedRows:
    """Batches from several sets of tensors, such as memory-mapped files; no row is read before its turn."""

    def __init__(
        self,
        shards: Sequence[dict[str, Tensor]],
        names: Sequence[str],
        batch_size: int,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        """Batches hold the tensors `names`, moved to `device`."""
        self.shards, self.names, self.device = shards, names, device
        self.ends = torch.tensor([len(shard[names[0]]) for shard in shards]).cumsum(0)
        self.order = ShuffledRows({"row": torch.arange(int(self.ends[-1]))}, batch_size, seed)

    def __len__(self) -> int:
        return self.order.length

    def only(self, rows: range) -> ShardedRows:
        """Batches of these rows of all shards alone."""
        part = copy.copy(self)
        numbers = {"row": torch.arange(rows.start, rows.stop)}
        part.order = ShuffledRows(numbers, self.order.batch_size, self.order.seed)
        return part

    def places(self, step: int, rows: slice) -> list[tuple[dict[str, Tensor], int]]:
        """Find for each row of a batch its shard and its place there."""
        wanted = self.order(step, rows)["row"]
        which = torch.searchsorted(self.ends, wanted, right=True)
        starts = torch.cat([self.ends.new_zeros(1), self.ends])[which]
        places = zip(which.tolist(), (wanted - starts).tolist(), strict=True)
        return [(self.shards[shard], row) for shard, row in places]

    def __call__(self, step: int, rows: slice) -> dict[str, Tensor]:
        places = self.places(step, rows)
        found = {name: torch.stack([shard[name][row] for shard, row in places]) for name in self.names}
        return {name: tensor.to(self.device, non_blocking=True) for name, tensor in found.items()}

    def describe(self, step: int) -> str:
        return f"rows {self.order(step, slice(None))['row'].tolist()}"


class MadeOfRows:
    """Batches that are made of `rows`."""

    rows: ShardedRows

    def __len__(self) -> int:
        return len(self.rows)

    def only(self, rows: range) -> Self:
        """Batches of these rows alone."""
        part = copy.copy(self)
        part.rows = self.rows.only(rows)
        return part


@dataclass
class Alternating:
    """Takes several streams in turn; pattern[s % len(pattern)] is the stream of step s."""

    streams: Sequence[Batches]
    pattern: Sequence[int]

    def _stream(self, step: int) -> tuple[Batches, int]:
        turn, place = divmod(step, len(self.pattern))
        which = self.pattern[place]
        before = self.pattern[:place].count(which)
        return self.streams[which], turn * self.pattern.count(which) + before

    def __call__(self, step: int, rows: slice) -> dict[str, Tensor]:
        stream, own_step = self._stream(step)
        return stream(own_step, rows)

    def describe(self, step: int) -> str:
        stream, own_step = self._stream(step)
        return stream.describe(own_step)


@dataclass
class Crops:
    """A stream of `pixels` (B, C, H, W) of which each row is cut to a square of `side` pixels.

    Where the stream also tells a row's objects, `box` (B, N, 4) of left, top, right, bottom in pixels and
    `seen` (B, N), 0 where there is none, the centre of one of them lies in the inner half of the square, or
    as near to it as the picture allows; else the square lies anywhere.
    """

    stream: Batches
    side: int
    batch_size: int
    seed: int = 0

    def __call__(self, step: int, rows: slice) -> dict[str, Tensor]:
        batch = self.stream(step, rows)
        pixels = batch["pixels"]
        generator = torch.Generator().manual_seed(mix(self.seed, step))
        place = torch.rand(self.batch_size, 2, generator=generator)[rows].to(pixels.device)
        free = torch.tensor(pixels.shape[-2:], device=pixels.device) - self.side
        corner = (place * (free + 1)).long()
        if "box" in batch:
            chance = torch.rand(self.batch_size, batch["seen"].shape[1], generator=generator)[rows]
            picked = (chance.to(pixels.device) * (batch["seen"] > 0)).argmax(dim=1)
            box = batch["box"][torch.arange(len(pixels)), picked]
            centre = (box[:, :2] + box[:, 2:]).flip(1) / 2  # as rows and columns
            corner = (centre + (place / 2 - 0.75) * self.side).long().clamp(min=0).minimum(free)
        places = corner[..., None] + torch.arange(self.side, device=pixels.device)
        row = torch.arange(len(pixels), device=pixels.device)[:, None, None]
        cut = pixels[row, :, places[:, 0, :, None], places[:, 1, None, :]]  # B, side, side, C
        return {"pixels": cut.permute(0, 3, 1, 2)}

    def describe(self, step: int) -> str:
        return self.stream.describe(step)


@dataclass
class Draw:
    """Random numbers of a step, drawn for the whole global batch; this process keeps `rows`."""

    seed: int
    total: int
    rows: slice
    device: torch.device
    step: int = 0

    def __post_init__(self) -> None:
        self.generator = torch.Generator(self.device).manual_seed(self.seed)

    def normal(self, *shape: int) -> Tensor:
        """Draw standard normal numbers, (rows, *shape)."""
        return torch.randn(self.total, *shape, generator=self.generator, device=self.device)[self.rows]

    def uniform(self, *shape: int) -> Tensor:
        """Draw numbers uniform in [0, 1), (rows, *shape)."""
        return torch.rand(self.total, *shape, generator=self.generator, device=self.device)[self.rows]

    def timesteps(self, count: int) -> Tensor:
        """Draw integers in [0, count), (rows,), one from each of `total` equal strata, in random order.

        Stratified as in k-diffusion: the loss of a batch varies less than with independent draws.
        """
        offsets = torch.rand(self.total, generator=self.generator, device=self.device)
        strata = torch.randperm(self.total, generator=self.generator, device=self.device)
        return ((strata + offsets) / self.total * count).long().clamp(max=count - 1)[self.rows]
