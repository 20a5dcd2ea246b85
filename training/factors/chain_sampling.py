"""Maps from a chain of factors in plain diffusers (FG-DM, eqs. 4 and 5): for data sets and benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from ...core.factors.adapter import Factor
from ...core.factors.chain import check_chain
from ...core.factors.files import FactorInfo
from ...core.factors.selection import Rows, Trajectory
from ...core.schedule import NoiseSchedule
from ..models.factor_unet import FactoredUNet
from ..models.sampling import sample, timesteps


@dataclass(frozen=True)
class Link:
    """A factor of a chain, and what its header says."""

    factor: Factor
    info: FactorInfo


class RowsUNet:
    """A UNet under classifier-free guidance that samples `rows`; called as the UNet itself.

    It takes down the latents, lets the judge look at its own predictions midway, and then computes only the
    rows worth going on with. parents: for a later factor's UNet, each parent's trajectory or None.
    schedule, guidance: those that the rows are sampled with; read only for a judge.
    """

    def __init__(
        self,
        unet: FactoredUNet,
        rows: Rows,
        *,
        parents: Sequence[Trajectory | None] = (),
        schedule: NoiseSchedule | None = None,
        guidance: float = 1.0,
    ) -> None:
        self.unet, self.rows, self.schedule, self.guidance = unet, rows, schedule, guidance
        self.parents = [parent and rows.reading(parent) for parent in parents]

    def __call__(
        self, latents: Tensor, timestep: Tensor, context: Tensor, added_cond_kwargs: Any = None
    ) -> Any:
        half, level = len(latents) // 2, float(timestep)
        own = latents[:half]  # read without text; the other half, read with text, is the same
        self.rows.reach(level, lambda: own)
        if self.parents:
            self.unet.parents = [read and read(level) for read in self.parents]
        if self.rows.is_whole:
            found = self.unet(latents, timestep, context, added_cond_kwargs=added_cond_kwargs)
        else:
            kept = [*self.rows.kept, *(row + half for row in self.rows.kept)]
            added = added_cond_kwargs and {name: value[kept] for name, value in added_cond_kwargs.items()}
            found = self.unet(latents[kept], timestep, context[kept], added_cond_kwargs=added)
            found.sample = torch.cat([self.rows.spread(part) for part in found.sample.chunk(2)])
        if self.rows.is_due:
            without, with_text = found.sample.float().chunk(2)
            noise = without + self.guidance * (with_text - without)
            self.rows.drop(self.schedule.predict_clean(own, noise, timestep.long().expand(half)))
        return found


def sample_chain(
    unet: UNet2DConditionModel,
    chain: Sequence[Link],
    context: Tensor,
    empty: Tensor,
    noises: Mapping[str, Tensor],
    *,
    given: Mapping[str, Tensor] | None = None,
    recorded: Mapping[str, Trajectory] | None = None,
    together: bool = True,
    steps: int = 25,
    **settings: Any,
) -> dict[str, Tensor]:
    """Latents (B, C, h, w) of each factor's map by condition, those of `given` as they are.

    chain: parents before their children; a parent that is neither in it nor given counts as dropped. noises:
    what each factor starts from. given: finished maps, which take the place of their factors. recorded: how
    some of them were sampled. together: children read z_{t-1} of their parents (eq. 5), which do not depend
    on them, so that one may be recorded after the other; else, and of a map without record, the finished
    maps. settings: as of `sample`. Errors as of `check_chain`.
    """
    found = dict(given or {})
    read = {name: Trajectory(final=latents) for name, latents in found.items()}
    if together:
        read |= recorded or {}
    chain = [link for link in chain if link.info.condition not in found]
    check_chain([link.info for link in chain])
    for link in chain:
        name, parents = link.info.condition, [read.get(parent) for parent in link.info.parents]
        rows = Rows(len(noises[name]), timesteps(steps, settings.get("scheduler")), recorded=together)
        with FactoredUNet(unet, link.factor, is_first=not parents).attached() as factored:
            sampled = RowsUNet(factored, rows, parents=parents)
            found[name] = sample(sampled, context, empty, noises[name], steps=steps, **settings)
        rows.trajectory.final, read[name] = found[name], rows.trajectory
    return found
