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

from ...core.factors.selection import Rows
from ..sampler_inputs import Sampling
from ..types import Conditioning

# Their noise comes from a Brownian tree, that of all others from a generator.
BROWNIAN = {"dpmpp_sde", "dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"}


# Called after every step with its number, from 0, and the predicted clean latents, in the model's scale.
StepProgress = Callable[[int, Tensor], None]


def sample_rows(
    model: ModelPatcher,
    positive: Conditioning,
    negative: Conditioning,
    seeds: Sequence[int],
    empty: Tensor,
    sampling: Sampling,
    rows: Rows,
    progress: StepProgress,
) -> Tensor:
    """The latents (B, C, h, w), in the VAE's scale, that each seed alone gives a stock KSampler.

    Those of rows that `rows` has dropped are of no use. rows: its levels are sigmas, its trajectory is in the
    model's scale. empty: the empty latent (1, C, h, w) of one row. The model is changed on a clone.
    """

    def evaluate(
        executor: Any, base: Any, conds: Any, x: Tensor, timestep: Tensor, model_options: Any
    ) -> list[Tensor]:
        """A wrapper of `comfy.samplers.calc_cond_batch`, which every sampler and every guidance asks."""
        comfy.model_management.throw_exception_if_processing_interrupted()
        rows.reach(float(timestep[0]), lambda: base.model_sampling.calculate_input(timestep, x))
        if rows.is_whole:
            return executor(base, conds, x, timestep, model_options)
        found = executor(base, conds, x[rows.kept], timestep[rows.kept], model_options)
        return [rows.spread(part) for part in found]

    watched = model.clone()
    watched.add_wrapper_with_key(WrappersMP.CALC_COND_BATCH, "finesse", evaluate)

    def after_step(step: int, clean: Tensor, _noisy: Tensor, _steps: int) -> None:
        comfy.model_management.throw_exception_if_processing_interrupted()
        progress(step, clean)
        if rows.is_due:
            rows.drop(model.model.process_latent_out(clean))
            _load_again(watched, clean.shape, positive, negative)

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


def _load_again(model: ModelPatcher, shape: torch.Size, *conditionings: Conditioning) -> None:
    """Load what samples latents of this shape: decoding the maps to judge may have unloaded it.

    As much memory is kept free as when the sampling began.
    """
    conds = {str(i): [values for _, values in entries] for i, entries in enumerate(conditionings)}
    others, for_controls = comfy.sampler_helpers.get_additional_models(conds, model.model_dtype())
    needed, least = comfy.sampler_helpers.estimate_memory(model, shape, conds)
    comfy.model_management.load_models_gpu(
        [model, *others],
        memory_required=needed + for_controls,
        minimum_memory_required=least + for_controls,
    )
