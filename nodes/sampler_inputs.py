"""The inputs of nodes that sample with any of ComfyUI's samplers."""

from __future__ import annotations

import comfy.samplers
from comfy_api.latest import io


def sampler_inputs(cfg: float, scheduler: str, cfg_tooltip: str, sampler_tooltip: str) -> list[io.Input]:
    """`cfg`, `sampler_name` and `scheduler`, with these defaults, in the order of core's KSampler."""
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
            tooltip="How the noise is taken away over the steps.",
        ),
    ]
