"""*Chain Factor*: which condition maps are sampled, in which order, under which prompts."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.images import check_image
from ..categories import CONDITION_MAPS
from ..types import Conditioning, FinesseFactor, FinesseFactorChain
from .chain_links import Chain, ChainLink, check_links
from .control import LoadedFactor


class ChainFactor(io.ComfyNode):
    """A chain with one factor more."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseChainFactor",
            display_name="Chain Factor",
            category=CONDITION_MAPS,
            description=(
                "Puts factors in a row for Sample Condition Maps: first segmentation, say, then depth, "
                "which reads it. Parents come before the factors that read them. A factor can have a "
                "prompt of its own, or be replaced by a map of yours."
            ),
            search_aliases=[
                "FG-DM",
                "factor graph",
                "factor chain",
                "condition maps",
                "depth from segmentation",
            ],
            inputs=[
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
                FinesseFactorChain.Input(
                    "chain",
                    optional=True,
                    tooltip="The chain of factors before this one; unlinked, this factor is the first.",
                ),
                io.Conditioning.Input(
                    "positive",
                    optional=True,
                    tooltip=(
                        "A prompt for this factor alone. If unlinked, Sample Condition Maps' prompt is used."
                    ),
                ),
                io.Image.Input(
                    "map",
                    optional=True,
                    tooltip=(
                        "A map of yours to use instead of sampling this factor; the factors after it "
                        "read it. Give one map for all candidates, or one for each."
                    ),
                ),
            ],
            outputs=[
                FinesseFactorChain.Output(
                    "chain",
                    tooltip=(
                        "The chain with this factor; link it to the next Chain Factor, or to Sample "
                        "Condition Maps."
                    ),
                )
            ],
        )

    @classmethod
    @override
    def execute(
        cls,
        factor: LoadedFactor,
        strength: float,
        chain: Chain = (),
        positive: Conditioning | None = None,
        map: Tensor | None = None,
    ) -> io.NodeOutput:
        if map is not None:
            check_image(map, "map")
        longer = (*(chain or ()), ChainLink(factor, positive, map, strength))
        check_links(longer)
        return io.NodeOutput(longer)
