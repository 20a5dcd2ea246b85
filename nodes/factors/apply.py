"""*Apply Factor*: a stock sampler draws a condition map from the prompt (FG-DM)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ..categories import CONDITION_MAPS
from ..types import Conditioning, FinesseFactor
from .control import PARENT, FactorControl, LoadedFactor, controlled

MOST_PARENTS = 8


class ApplyFactor(io.ComfyNode):
    """Conditioning under which any sampler draws the factor's map."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseApplyFactor",
            display_name="Apply Factor",
            category=CONDITION_MAPS,
            description=(
                "Makes any sampler draw a condition map of the prompt instead of a picture. Use the base "
                "model and the size that the factor was trained for, which is 256 pixels for SD1.x."
            ),
            search_aliases=["FG-DM", "factor graph", "condition map", "segmentation from prompt"],
            inputs=[
                io.Conditioning.Input("positive", tooltip="What the map should show."),
                io.Conditioning.Input("negative", tooltip="What the map must not show."),
                FinesseFactor.Input("factor", tooltip="The factor from Load Factor."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip=(
                        "Strength of the factor: 1 is as trained; 0 is the plain model, which draws pictures."
                    ),
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="When the factor starts, as a fraction of the steps; 0 is the start.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.001,
                    tooltip="When the factor ends, as a fraction of the steps; 1 is the end.",
                ),
                io.Autogrow.Input(
                    "parents",
                    optional=True,
                    template=io.Autogrow.TemplatePrefix(
                        io.Latent.Input(
                            PARENT, tooltip="The latent of a finished map that the factor reads."
                        ),
                        prefix=PARENT,
                        min=0,
                        max=MOST_PARENTS,
                    ),
                    tooltip=(
                        "The latents of the finished maps that the factor reads, in the order given in "
                        "Load Factor's report. The factor works without those that are not linked."
                    ),
                ),
            ],
            outputs=[
                io.Conditioning.Output("positive", tooltip="Positive conditioning for the sampler."),
                io.Conditioning.Output("negative", tooltip="Negative conditioning for the sampler."),
            ],
        )

    @classmethod
    @override
    def execute(
        cls,
        positive: Conditioning,
        negative: Conditioning,
        factor: LoadedFactor,
        strength: float,
        start_percent: float,
        end_percent: float,
        parents: Mapping[str, dict[str, Any]] | None = None,
    ) -> io.NodeOutput:
        latents = finished_parents(factor, parents or {})
        made: dict[Any, FactorControl] = {}
        settings = (factor, strength, start_percent, end_percent, latents, made)
        return io.NodeOutput(controlled(positive, *settings), controlled(negative, *settings))


def finished_parents(factor: LoadedFactor, given: Mapping[str, dict[str, Any]]) -> list[Tensor | None]:
    """The samples of the factor's parents, in its order, from latents named parent0, parent1, ….

    None for one that is missing. Raises ValueError for one that the factor does not read or that is no
    latent of a picture.
    """
    names = [f"{PARENT}{i}" for i in range(len(factor.info.parents))]
    linked = {name: latent["samples"] for name, latent in given.items() if latent is not None}
    for name, samples in linked.items():
        if name not in names:
            raise ValueError(
                f"{name}: {factor.name} does not read it; its parents are"
                f" {', '.join(factor.info.parents) or 'none'}; unlink it or load another factor"
            )
        if samples.ndim != 4:
            raise ValueError(
                f"{name}: got a latent of {list(samples.shape)}; link the latent of a picture, (B, C, h, w)"
            )
    return [linked.get(name) for name in names]
