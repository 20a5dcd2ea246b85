"""*Iterative Guidance*: guides every k-th sampling step by the object alone (LayerDiffusion)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import comfy.samplers
import torch
from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.layers.learning import object_steps
from ..categories import LAYERS
from ..types import Conditioning

SAME_LEVEL = 1e-4  # relative difference allowed between one sigma computed in two ways

# core's samplers that evaluate the model more than once a step, the first time before they report the step
SEVERAL_A_STEP = frozenset(
    f"sample_{name}"
    for name in (
        *("heun", "heunpp2", "exp_heun_2_x0", "exp_heun_2_x0_sde", "dpm_2", "dpm_2_ancestral"),
        *("dpmpp_2s_ancestral", "dpmpp_2s_ancestral_cfg_pp", "dpmpp_sde", "dpmpp_sde_gpu"),
        *("seeds_2", "seeds_3"),
    )
)


class IterativeGuidance(io.ComfyNode):
    """A guider that alternates between two prompts over the steps of a sampler."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        percent = {"min": 0.0, "max": 1.0, "step": 0.01}
        return io.Schema(
            node_id="FinesseIterativeGuidance",
            display_name="Iterative Guidance",
            category=LAYERS,
            description=(
                "Keeps the subject recognisable while its action and its background change: every k-th "
                "step of the sampling is guided by the object alone, the others by the whole edit "
                "(LayerDiffusion). Link it to SamplerCustomAdvanced; it costs no more than CFG Guider."
            ),
            search_aliases=[
                "guider",
                "alternate prompts",
                "prompt switching",
                "LayerDiffusion",
                "CFG guider",
            ],
            inputs=[
                io.Model.Input("model", tooltip="The model to sample with, fine-tuned to the edit or plain."),
                io.Conditioning.Input(
                    "positive", tooltip="Text of the whole edit: object and background together."
                ),
                io.Conditioning.Input(
                    "object",
                    tooltip="Text of the object alone from CLIP Text Encode, such as a dog jumping.",
                ),
                io.Conditioning.Input(
                    "negative", tooltip="What the picture must not show; read at every step."
                ),
                io.Float.Input(
                    "cfg", default=7.5, min=0.0, max=100.0, step=0.1, round=0.01, tooltip="Guidance scale."
                ),
                io.Int.Input(
                    "every",
                    default=2,
                    min=0,
                    max=10000,
                    tooltip=(
                        "How often a step is guided by object: 2 is every second step, 1 every step, 0 none."
                    ),
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    **percent,
                    tooltip="When the steps guided by object start, as a fraction of the sampling.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    **percent,
                    tooltip="When the steps guided by object end; positive guides all that follow.",
                ),
            ],
            outputs=[io.Guider.Output("guider", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    @override
    def execute(
        cls,
        model: Any,
        positive: Conditioning,
        object: Conditioning,
        negative: Conditioning,
        cfg: float,
        every: int,
        start_percent: float,
        end_percent: float,
    ) -> io.NodeOutput:
        if start_percent > end_percent:
            raise ValueError(
                f"start_percent is {start_percent} and end_percent {end_percent}: no step lies between them; "
                "start at or before the end."
            )
        _check_prompts(positive=positive, object=object, negative=negative)
        if every == 0:
            guider = comfy.samplers.CFGGuider(model)
            guider.set_conds(positive, negative)
        else:
            guider = AlternatingGuider(model, Alternation(every, start_percent, end_percent))
            guider.set_conds(positive, object, negative)
        guider.set_cfg(cfg)
        return io.NodeOutput(guider)


def _check_prompts(**prompts: Conditioning) -> None:
    for name, prompt in prompts.items():
        if not prompt:
            raise ValueError(f"{name} holds no prompt; link a conditioning such as CLIP Text Encode's.")
    widths = {
        name: {cond.shape[-1] for cond, _ in prompt if cond is not None} for name, prompt in prompts.items()
    }
    for name, found in widths.items():
        if found != widths["positive"]:
            raise ValueError(
                f"{name} has embeddings of {_listed(found)} numbers and positive of "
                f"{_listed(widths['positive'])}; encode all prompts with the CLIP of the model that samples."
            )


def _listed(numbers: set[int]) -> str:
    return " and ".join(str(number) for number in sorted(numbers)) or "no"


@dataclass(frozen=True)
class Alternation:
    """Chooses the object's steps of a sampling: the k-th, 2k-th, … of all, if they lie in its range."""

    every: int  # k, at least 1
    start: float  # share of the model's timesteps, as in ConditioningSetTimestepRange
    end: float

    def steps(self, levels: list[float], percent_to_sigma: Callable[[float], float]) -> frozenset[int]:
        """Numbers of the object's steps, from 0. `levels`: the sigma that each step begins at."""
        highest, lowest = percent_to_sigma(self.start), percent_to_sigma(self.end)
        chosen = object_steps([lowest <= sigma <= highest for sigma in levels], self.every)
        return frozenset(step for step, is_objects in enumerate(chosen) if is_objects)


class StepCounter:
    """Tells which step of a schedule an evaluation of the model belongs to, by its sigma.

    Step i begins at sigmas[i]; an evaluation between two scheduled sigmas belongs to the step that begins
    at or before it. Samplers of `SEVERAL_A_STEP` also evaluate the next step's sigma before they get there
    (Heun's corrector; the middle of an ancestral step). For them the sampler's own report counts: after
    step i is reported, evaluations are its own until one comes to sigmas[i + 1], the first not counted.
    """

    def __init__(self, sigmas: Tensor, several_a_step: bool) -> None:
        self.levels: list[float] = sigmas[:-1].tolist()
        self._rising = float(sigmas[-1]) > float(sigmas[0])  # a picture being turned back into noise
        self._several_a_step = several_a_step
        self._reported: int | None = None
        self._is_first = False

    def report(self, step: int) -> None:
        """Take note that the sampler has evaluated the beginning of `step`."""
        if self._several_a_step:
            self._reported, self._is_first = step, True

    def step_of(self, sigma: float) -> int:
        """Number of the step that the next evaluation, at `sigma`, belongs to."""
        step = self._begun_at(sigma)
        if self._reported is None:
            return step
        was_first, self._is_first = self._is_first, False
        return step if step == self._reported + 1 and not was_first else self._reported

    def _begun_at(self, sigma: float) -> int:
        margin = SAME_LEVEL * sigma
        begun = [
            step
            for step, level in enumerate(self.levels)
            if (level <= sigma + margin if self._rising else level >= sigma - margin)
        ]
        return begun[-1] if begun else 0


class AlternatingGuider(comfy.samplers.CFGGuider):
    """ComfyUI's CFG guider with two positive sides; each step of the schedule uses one of them.

    Each side is prepared with the negative as if it were the only one, so that areas, hooks and controls
    of one leave no trace on the other, and a step costs what it costs in core's guider.
    """

    def __init__(self, model_patcher: Any, alternation: Alternation) -> None:
        super().__init__(model_patcher)
        self.alternation = alternation

    @override
    def set_conds(self, positive: Conditioning, object: Conditioning, negative: Conditioning) -> None:
        self.inner_set_conds({"positive": positive, "object": object, "negative": negative})

    @override
    def inner_sample(
        self,
        noise: Tensor,
        latent_image: Tensor | None,
        device: torch.device,
        sampler: Any,
        sigmas: Tensor,
        denoise_mask: Tensor | None,
        callback: Callable[..., None] | None,
        disable_pbar: bool,
        seed: int | None,
        latent_shapes: Any = None,
    ) -> Tensor:
        function = getattr(sampler, "sampler_function", None)
        counter = StepCounter(sigmas, getattr(function, "__name__", "") in SEVERAL_A_STEP)
        objects_steps = self.alternation.steps(
            counter.levels, self.inner_model.model_sampling.percent_to_sigma
        )

        def report(step: int, *shown: Any) -> None:
            counter.report(step)
            if callback is not None:
                callback(step, *shown)

        clean = latent_image
        if clean is not None and torch.count_nonzero(clean) > 0:
            clean = self.inner_model.process_latent_in(clean)
        objects = self.conds.pop("object")
        pair = {"positive": objects, "negative": self.conds["negative"]}
        try:
            self._objects_conds = comfy.samplers.process_conds(
                self.inner_model, noise, pair, device, clean, denoise_mask, seed, latent_shapes=latent_shapes
            )
            self._is_objects = lambda sigma: counter.step_of(sigma) in objects_steps
            return super().inner_sample(
                noise,
                latent_image,
                device,
                sampler,
                sigmas,
                denoise_mask,
                report,
                disable_pbar,
                seed,
                latent_shapes=latent_shapes,
            )
        finally:
            self.conds["object"] = objects  # core lets go of the controls of all conditionings after this
            self._objects_conds = self._is_objects = None

    @override
    def predict_noise(
        self,
        x: Tensor,
        timestep: Tensor,
        model_options: dict[str, Any] | None = None,
        seed: int | None = None,
    ) -> Tensor:
        conds = self._objects_conds if self._is_objects(float(timestep[0])) else self.conds
        return comfy.samplers.sampling_function(
            self.inner_model,
            x,
            timestep,
            conds["negative"],
            conds["positive"],
            self.cfg,
            model_options=model_options or {},
            seed=seed,
        )
