"""*Get Factor Maps*: one factor's maps out of all that were sampled."""

from __future__ import annotations

from comfy_api.latest import io
from typing_extensions import override

from ..categories import CONDITION_MAPS
from ..types import FactorMaps, FinesseFactorMaps

ALL = -1


class GetFactorMaps(io.ComfyNode):
    """The maps of one condition."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseGetFactorMaps",
            display_name="Get Factor Maps",
            category=CONDITION_MAPS,
            description=(
                "Takes the maps of one factor, such as depth, out of all that Sample Condition Maps "
                "drew, for all candidates or for one."
            ),
            search_aliases=["FG-DM", "factor graph", "depth map", "pick map", "get map from batch"],
            inputs=[
                FinesseFactorMaps.Input("all_maps", tooltip="All maps from Sample Condition Maps."),
                io.String.Input(
                    "condition",
                    default="depth",
                    tooltip=(
                        "Which factor's maps to take: segmentation, depth, normal, sketch, pose, or a "
                        "name of your own."
                    ),
                ),
                io.Int.Input(
                    "index",
                    default=ALL,
                    min=ALL,
                    max=4095,
                    optional=True,
                    tooltip=(
                        "The candidate's index, from 0, such as index of Select Seed by Recall; -1 takes all."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output("maps", tooltip="The maps, for a ControlNet or an editor."),
                io.Latent.Output("latents", tooltip="The maps' latents, as a parent for Apply Factor."),
                io.Array.Output("seeds", tooltip="The seeds that the maps were drawn with, in their order."),
            ],
        )

    @classmethod
    @override
    def execute(cls, all_maps: FactorMaps, condition: str, index: int = ALL) -> io.NodeOutput:
        condition, count = condition.strip(), len(all_maps.seeds)
        if condition not in all_maps.maps:
            raise ValueError(
                f"condition is {condition!r}, but the maps are of {', '.join(all_maps.maps)}; write one of"
                " these."
            )
        if not ALL <= index < count:
            raise ValueError(
                f"index is {index}, but there are {count} candidates; give 0 to {count - 1}, or -1 for all."
            )
        rows = slice(None) if index == ALL else slice(index, index + 1)
        return io.NodeOutput(
            all_maps.maps[condition][rows],
            {"samples": all_maps.latents[condition][rows]},
            list(all_maps.seeds[rows]),
        )
