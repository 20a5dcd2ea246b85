"""*Chain Factor*: which condition maps are sampled, in which order, under which prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import comfy.utils
from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.factors.chain import check_chain
from ...core.factors.files import SEGMENTATION, FactorInfo
from ...core.images import check_image
from ..categories import CONDITION_MAPS
from ..types import Conditioning, FinesseFactor
from .control import LoadedFactor

FinesseFactorChain = io.Custom("FINESSE_FACTOR_CHAIN")


@dataclass(frozen=True)
class ChainLink:
    """A factor of a chain.

    positive: its own prompt, or None for the common one. map: an IMAGE in the factor's place, or None.
    """

    factor: LoadedFactor
    positive: Conditioning | None = None
    map: Tensor | None = None
    strength: float = 1.0

    @property
    def info(self) -> FactorInfo:
        return self.factor.info

    def resized_map(self, width: int, height: int) -> Tensor:
        """The map (B, height, width, 3); a segmentation keeps its colours."""
        method = "nearest-exact" if self.info.condition == SEGMENTATION else "lanczos"
        pixels = self.map[..., :3].movedim(-1, 1)  # BHWC -> BCHW
        return comfy.utils.common_upscale(pixels, width, height, method, "disabled").movedim(1, -1)


Chain = tuple[ChainLink, ...]


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
                "Puts factors in a row for Sample Condition Maps, parents before the factors that read them: "
                "say segmentation, then depth. A factor can have a prompt of its own, or a map of yours in "
                "its place."
            ),
            search_aliases=[
                "FG-DM",
                "factor graph",
                "factor chain",
                "condition maps",
                "depth from segmentation",
            ],
            inputs=[
                FinesseFactor.Input("factor", tooltip="From Load Factor."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=0.0,
                    max=10.0,
                    step=0.01,
                    tooltip="1 is as trained; 0 is the plain model, which draws pictures.",
                ),
                FinesseFactorChain.Input("chain", optional=True, tooltip="The factors before this one."),
                io.Conditioning.Input(
                    "positive",
                    optional=True,
                    tooltip="A prompt for this factor alone. Without, it has that of Sample Condition Maps.",
                ),
                io.Image.Input(
                    "map",
                    optional=True,
                    tooltip=(
                        "A map of yours in the factor's place: it is not sampled, and what comes after "
                        "reads it. One for all candidates, or one for each."
                    ),
                ),
            ],
            outputs=[
                FinesseFactorChain.Output(
                    "chain", tooltip="Link it to the next Chain Factor, or to Sample Condition Maps."
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


def check_links(chain: Sequence[ChainLink]) -> None:
    """Raise ValueError for what `check_chain` finds, and for factors of different base models."""
    check_chain([link.info for link in chain])
    first = chain[0].factor
    for link in chain[1:]:
        widths = link.factor.patcher.model.widths
        if widths != first.patcher.model.widths:
            raise ValueError(
                f"factor: {link.factor.name} is for {link.info.base} with levels of {list(widths)} channels,"
                f" and {first.name} for {first.info.base} with {list(first.patcher.model.widths)}; chain"
                " factors of one base model"
            )


def as_chain(given: Chain | LoadedFactor) -> Chain:
    """A chain, or a single factor as one."""
    return (ChainLink(given),) if isinstance(given, LoadedFactor) else given
