"""Inputs of nodes that sample with any of ComfyUI's samplers, and the settings they give."""

from __future__ import annotations

from dataclasses import dataclass

import comfy.samplers
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor


def sampler_inputs(cfg: float, scheduler: str, cfg_tooltip: str, sampler_tooltip: str) -> list[io.Input]:
    """Inputs `cfg`, `sampler_name` and `scheduler`, with these defaults, in the order of core's KSampler."""
    return [
        io.Float.Input("cfg", default=cfg, min=0.0, max=100.0, step=0.1, round=0.01, tooltip=cfg_tooltip),
        io.Combo.Input(
            "sampler_name",
            options=comfy.samplers.KSampler.SAMPLERS,
            default="dpmpp_2m",
            tooltip=sampler_tooltip,
        ),
        io.Combo.Input(
            "scheduler",
            options=comfy.samplers.KSampler.SCHEDULERS,
            default=scheduler,
            tooltip="How the noise decreases over the steps.",
        ),
    ]


# Its step size depends on the whole batch.
ADAPTIVE = {"dpm_adaptive"}


@dataclass(frozen=True)
class Sampling:
    """The settings of a KSampler."""

    steps: int
    cfg: float
    sampler_name: str
    scheduler: str

    def sigmas(self, model: ModelPatcher) -> Tensor:
        """Noise levels (steps + 1,), descending to 0, equal to a stock KSampler's."""
        sampler = comfy.samplers.KSampler(
            model, self.steps, model.load_device, self.sampler_name, self.scheduler
        )
        return sampler.sigmas

    @property
    def alone(self) -> bool:
        """Whether rows of a batch depend on each other, or may, so that they must be sampled one by one."""
        function = comfy.samplers.sampler_object(self.sampler_name).sampler_function
        return self.sampler_name in ADAPTIVE or not function.__module__.startswith("comfy.")
