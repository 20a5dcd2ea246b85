"""Sampling a batch in which each row is what its own seed gives alone, and rows can be dropped midway."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.sampler_helpers
import comfy.samplers
import comfy.utils
import torch
from comfy.k_diffusion import sampling as k_diffusion
from comfy.model_patcher import ModelPatcher
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...core.factors.chain import CLOSE, Trajectory
from ..sampler_inputs import Sampling
from ..types import Conditioning

# Their noise comes from a Brownian tree, that of all others from a generator.
BROWNIAN = {"dpmpp_sde", "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"}


# From the predicted clean latents (B, C, h, w), in the VAE's scale, to the rows to go on with.
Judge = Callable[[Tensor], Sequence[int]]
# Called after every step with its number, from 0, and the predicted clean latents, in the model's scale.
Progress = Callable[[int, Tensor], None]


class Rows:
    """The rows of a batch while it is sampled: which go on, and where they are.

    trajectory: where their latents are kept, as the model reads them, or None. judge: asked once, when half
    of the steps are done; None keeps all.
    """

    def __init__(self, count: int, sigmas: Tensor, records: bool, judge: Judge | None) -> None:
        self.kept: list[int] = list(range(count))
        self.all, self.records, self.judge = count, records, judge
        levels = [float(sigma) for sigma in sigmas[:-1]]
        self.trajectory = Trajectory(levels if records else ())
        self.judged_at = levels[max(1, len(levels) // 2) - 1]
        self.sigma = float("inf")

    def evaluate(
        self, executor: Any, model: Any, conds: Any, x: Tensor, timestep: Tensor, model_options: Any
    ) -> list[Tensor]:
        """A wrapper of `comfy.samplers.calc_cond_batch`, which every sampler and every guidance asks."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        self.sigma = float(timestep[0])
        if self.records:
            self.trajectory.record(self.sigma, model.model_sampling.calculate_input(timestep, x))
        if len(self.kept) == self.all:
            return executor(model, conds, x, timestep, model_options)
        found = executor(model, conds, x[self.kept], timestep[self.kept], model_options)
        return [self._spread(part, x) for part in found]

    def _spread(self, part: Tensor, x: Tensor) -> Tensor:
        """Predictions of the kept rows as those of all; the dropped rows are predicted to be zeros."""
        whole = part.new_zeros(x.shape)
        whole[self.kept] = part
        return whole

    @property
    def is_due(self) -> bool:
        """Whether it is time to judge."""
        return self.judge is not None and self.sigma <= self.judged_at * (1 + CLOSE)

    def drop(self, clean: Tensor) -> None:
        """Ask the judge, once."""
        judge, self.judge = self.judge, None
        self.kept = sorted(judge(clean))

    def reading(self, parent: Trajectory) -> Callable[[float], Tensor]:
        """What these rows read of a parent with a latent for each of them, by sigma; see `Parent`."""
        return lambda sigma: parent.after(sigma)[self.kept]


def sample_rows(
    model: ModelPatcher,
    positive: Conditioning,
    negative: Conditioning,
    seeds: Sequence[int],
    empty: Tensor,
    sampling: Sampling,
    rows: Rows,
    progress: Progress,
) -> Tensor:
    """The latents (B, C, h, w), in the VAE's scale, that each seed alone gives a stock KSampler.

    Those of rows that `rows` has dropped are of no use. empty: the empty latent (1, C, h, w) of one row. The
    model is changed on a clone.
    """
    watched = model.clone()
    watched.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "finesse", rows.evaluate)

    def after_step(step: int, clean: Tensor, _noisy: Tensor, _steps: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        progress(step, clean)
        if rows.is_due:
            rows.drop(model.model.process_latent_out(clean))
            _load_again(watched, positive, negative)

    found = comfy.sample.sample_custom(
        watched,
        torch.cat([comfy.sample.prepare_noise(empty, seed) for seed in seeds]),
        sampling.cfg,
        row_sampler(sampling.sampler_name, seeds),
        sampling.sigmas(model),
        positive,
        negative,
        empty.expand(len(seeds), -1, -1, -1),
        callback=after_step,
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seeds[0],
    )
    if rows.judge is not None:  # a sampler that takes longer steps than asked may pass the half unseen
        rows.drop(found)
    rows.trajectory.final = model.model.process_latent_in(found)
    return found


def row_sampler(name: str, seeds: Sequence[int]) -> comfy.samplers.KSAMPLER:
    """Core's sampler; where it adds noise while it samples, each row's is that of its seed alone."""
    sampler = comfy.samplers.sampler_object(name)
    function = sampler.sampler_function
    if "noise_sampler" not in inspect.signature(function).parameters:
        return sampler

    def by_row(model: Any, x: Tensor, sigmas: Tensor, **options: Any) -> Tensor:
        return function(model, x, sigmas, noise_sampler=row_noise(name, x, sigmas, seeds), **options)

    return comfy.samplers.KSAMPLER(by_row, sampler.extra_options, sampler.inpaint_options)


def row_noise(
    name: str, x: Tensor, sigmas: Tensor, seeds: Sequence[int]
) -> Callable[[Tensor, Tensor], Tensor]:
    """The noise (B, C, h, w) between two sigmas for a sampler's batch x, row by row as it draws it itself."""
    if name.removesuffix("_gpu") in BROWNIAN:
        low, high = sigmas[sigmas > 0].min(), sigmas.max()
        on_cpu = not name.endswith("_gpu")
        return k_diffusion.BrownianTreeNoiseSampler(x, low, high, seed=list(seeds), cpu=on_cpu)
    drawn = [
        k_diffusion.default_noise_sampler(row, seed=seed) for row, seed in zip(x.split(1), seeds, strict=True)
    ]
    return lambda sigma, following: torch.cat([draw(sigma, following) for draw in drawn])


def _load_again(model: ModelPatcher, *conditionings: Conditioning) -> None:
    """What samples, for decoding the maps to judge may have put it out of a small memory."""
    conds = {str(i): [values for _, values in entries] for i, entries in enumerate(conditionings)}
    others, _ = comfy.sampler_helpers.get_additional_models(conds, model.model_dtype())
    comfy.model_management.load_models_gpu([model, *others])
