"""A chain of factors sampled for many seeds, pass by pass (FG-DM, section 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import comfy.model_management
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor
from torchvision.utils import make_grid

from ...core.factors.chain import judged_first, judged_place
from ...core.factors.selection import Judge, RecallJudge, Rows, Trajectory, passes, until_found
from ...core.maps.recall import Candidate
from ..maps.palette_input import pixels_of
from ..types import Conditioning
from .chain_links import Chain, ChainLink
from .control import FactorControl, controlled
from .row_sampling import Sampling, StepProgress, sample_rows

DECODED = 16  # maps that are decoded at once
PREVIEWED = 16  # maps in a preview; ComfyUI shrinks it to 512 pixels, in which more would be too small


@dataclass
class Batch:
    """Candidates that are sampled at once, and what they have so far.

    places: which of all candidates are left of the `begun` ones. latents (N, C, h, w), in the VAE's scale,
    maps (N, H, W, 3) and states are by condition. candidates: the judged ones, the best first.
    """

    places: list[int]
    begun: int
    latents: dict[str, Tensor] = field(default_factory=dict)
    maps: dict[str, Tensor] = field(default_factory=dict)
    states: dict[str, Trajectory] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)

    @property
    def recall(self) -> float:
        """The best candidate's; 0 when none is judged."""
        return self.candidates[0].recall if self.candidates else 0.0

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        self.places = [self.places[row] for row in rows]
        self.latents = {name: latents[rows] for name, latents in self.latents.items()}
        self.maps = {name: maps[rows] for name, maps in self.maps.items()}
        self.states = {name: state.take(rows) for name, state in self.states.items()}


@dataclass(frozen=True)
class GivenMap:
    """A map (N, H, W, 3) that takes a factor's place, and its latent (N, C, h, w)."""

    map: Tensor
    latent: Tensor


@dataclass(frozen=True)
class ChainSampler:
    """All that the batches have in common.

    empty: the empty latent (1, C, h, w) of one map. given: by condition, one map for all candidates or one
    for each.
    """

    model: ModelPatcher
    vae: Any
    positive: Conditioning
    negative: Conditioning
    chain: Chain
    given: dict[str, GivenMap]
    empty: Tensor
    sampling: Sampling
    together: bool
    stop: RecallJudge | None = None

    def draw(self, seeds: Sequence[int], per_pass: int) -> list[Batch]:
        """The chain for every seed, or for as many batches as it takes to reach `stop.stop_at`."""
        per_pass = 1 if self.sampling.alone else per_pass
        parts = list(passes(len(seeds), per_pass))
        shown = GridPreview(self.model, len(parts) * len(self._sampled()), self.sampling.steps)
        drawn = (self._batch(seeds, part, shown) for part in parts)
        return until_found(drawn, lambda batch: batch.recall, self.stop.stop_at if self.stop else math.inf)

    def _sampled(self) -> list[ChainLink]:
        """The links to sample, in their order."""
        infos = [link.info for link in self.chain]
        order = range(len(infos)) if self.stop is None else judged_first(infos, self._judged())
        return [self.chain[place] for place in order if infos[place].condition not in self.given]

    def _judged(self) -> int:
        infos = [link.info for link in self.chain]
        return judged_place(infos, [info.condition in self.given for info in infos])

    def _batch(self, seeds: Sequence[int], part: range, shown: GridPreview) -> Batch:
        batch = Batch(list(part), len(part))
        for name, given in self.given.items():
            batch.maps[name], batch.latents[name] = (_rows_of(v, part) for v in (given.map, given.latent))
            batch.states[name] = self._finished(batch.latents[name])
        judged = self.chain[self._judged()] if self.stop else None
        for link in self._sampled():
            name, own = link.info.condition, [seeds[place] for place in batch.places]
            rows = Rows(
                len(own),
                self.sampling.sigmas(self.model)[:-1].tolist(),
                recorded=self._is_read_along(link),
                judge=self._judge(own) if link is judged else None,
            )
            latents = self._sample(link, own, rows, batch.states, shown.next_batch())
            batch.states[name] = rows.trajectory
            batch.latents[name] = latents
            if not rows.is_whole:
                batch.keep(rows.kept)
            batch.maps[name] = decoded(self.vae, batch.latents[name])
            if link is judged:
                painted = pixels_of(batch.maps[name], "maps")
                batch.candidates = self.stop.ranked(painted, [seeds[i] for i in batch.places])
        return batch

    def _sample(
        self,
        link: ChainLink,
        seeds: list[int],
        rows: Rows,
        states: dict[str, Trajectory],
        progress: StepProgress,
    ) -> Tensor:
        parents = [rows.reading(states[name]) if name in states else None for name in link.info.parents]
        put = partial(controlled, factor=link.factor, strength=link.strength, start=0.0, end=1.0)
        shared: dict[Any, FactorControl] = {}
        texts = [
            put(text, parents=parents, cache=shared)
            for text in (link.positive or self.positive, self.negative)
        ]
        for control in shared.values():
            control.expect(2 * len(seeds), *self.empty.shape[-2:])
        return sample_rows(
            self.model,
            *texts,
            seeds,
            self.empty,
            self.sampling,
            rows,
            progress,
        )

    def _judge(self, seeds: list[int]) -> Judge | None:
        if not 0 < self.stop.keep < len(seeds):
            return None
        return lambda clean: self.stop.survivors(pixels_of(decoded(self.vae, clean), "maps"), seeds)

    def _is_read_along(self, link: ChainLink) -> bool:
        """True if a child reads the factor's latents while they are sampled."""
        return self.together and any(link.info.condition in other.info.parents for other in self.chain)

    def _finished(self, latents: Tensor) -> Trajectory:
        return Trajectory(final=self.model.model.process_latent_in(latents))


def _rows_of(values: Tensor, places: Sequence[int]) -> Tensor:
    return values[list(places)] if len(values) > 1 else values.repeat(len(places), 1, 1, 1)


def decoded(vae: Any, latents: Tensor) -> Tensor:
    """Maps (N, H, W, 3) of latents in the VAE's scale, some at a time."""
    parts = []
    for part in latents.split(DECODED):
        comfy.model_management.throw_exception_if_processing_interrupted()
        parts.append(vae.decode(part))
    return torch.cat(parts)


class GridPreview:
    """Shows the maps of a batch in one picture while they are sampled; one progress bar counts all batches.

    ComfyUI's own previewer decodes the picture. stages: batches to sample, of `steps` steps each.
    """

    def __init__(self, model: ModelPatcher, stages: int, steps: int) -> None:
        self.previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
        self.bar = comfy.utils.ProgressBar(stages * steps)
        self.steps, self.stage = steps, -1

    def next_batch(self) -> StepProgress:
        """The progress function of one more batch."""
        self.stage += 1

        def progress(step: int, clean: Tensor) -> None:
            picture = self._picture(clean[:PREVIEWED]) if self.previewer else None
            self.bar.update_absolute(self.stage * self.steps + min(step + 1, self.steps), preview=picture)

        return progress

    def _picture(self, latents: Tensor) -> Any:
        """The latents (N, C, h, w) decoded side by side, about as wide as high."""
        grid = make_grid(latents, nrow=math.ceil(math.sqrt(len(latents))), padding=0)
        return self.previewer.decode_latent_to_preview_image("JPEG", grid[None])
