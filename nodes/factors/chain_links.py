"""A chain of factors, as *Chain Factor* builds it and *Sample Condition Maps* reads it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import comfy.utils
from torch import Tensor

from ...core.factors.chain import check_chain
from ...core.factors.files import SEGMENTATION, FactorInfo
from ..types import Conditioning
from .control import LoadedFactor


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
