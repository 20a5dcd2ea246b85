"""Maps from a chain of factors in plain diffusers (FG-DM, eqs. 4 and 5): for data sets and benchmarks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from ...core.factors.adapter import Factor
from ...core.factors.chain import check_chain
from ...core.factors.files import FactorInfo
from ...core.schedule import NoiseSchedule
from ..models.factor_unet import FactoredUNet
from ..models.sampling import sample


@dataclass(frozen=True)
class Link:
    """A factor of a chain, and what its header says."""

    factor: Factor
    info: FactorInfo


class Recorder:
    """A UNet that keeps the latents it is called with, by timestep; called as the UNet itself."""

    def __init__(self, unet: Callable[..., Any]) -> None:
        self.unet, self.seen = unet, dict[float, Tensor]()

    def __call__(self, latents: Tensor, timestep: Tensor, *inputs: Any, **named: Any) -> Any:
        self.seen[float(timestep)] = latents[: len(latents) // 2]  # the other half is without text
        return self.unet(latents, timestep, *inputs, **named)

    def after(self, timestep: Tensor, last: Tensor) -> Tensor:
        """The latents after the step at `timestep`; `last` are those after the last one."""
        earlier = sorted(self.seen)
        place = bisect_left(earlier, float(timestep))
        return self.seen[earlier[place - 1]] if place else last

    def row(self, index: int) -> Recorder:
        """The record of one row alone."""
        alone = Recorder(self.unet)
        alone.seen = {timestep: latents[index : index + 1] for timestep, latents in self.seen.items()}
        return alone


class Follower:
    """A later factor's UNet that reads its parents as they are after each step, or finished."""

    def __init__(self, unet: FactoredUNet, parents: Sequence[tuple[Recorder | None, Tensor] | None]) -> None:
        self.unet, self.parents = unet, parents

    def __call__(self, latents: Tensor, timestep: Tensor, *inputs: Any, **named: Any) -> Any:
        self.unet.parents = [
            parent and (parent[0].after(timestep, parent[1]) if parent[0] else parent[1])
            for parent in self.parents
        ]
        return self.unet(latents, timestep, *inputs, **named)


class Dropping:
    """A UNet that looks at its predictions once, midway, and then computes only the rows worth going on with.

    judge: from the predicted clean latents (B, C, h, w) to the rows to keep, bool (B,); asked at step `at`,
    counted from 0. The dropped rows are predicted to be free of noise, and are of no use.
    """

    def __init__(
        self,
        unet: Callable[..., Any],
        schedule: NoiseSchedule,
        guidance: float,
        at: int,
        judge: Callable[[Tensor], Tensor],
    ) -> None:
        self.unet, self.schedule, self.guidance, self.at, self.judge = unet, schedule, guidance, at, judge
        self.step, self.alive = 0, None

    def __call__(
        self, latents: Tensor, timestep: Tensor, context: Tensor, added_cond_kwargs: Any = None
    ) -> Any:
        rows = slice(None) if self.alive is None else self.alive.repeat(2)
        added = added_cond_kwargs and {name: value[rows] for name, value in added_cond_kwargs.items()}
        found = self.unet(latents[rows], timestep, context[rows], added_cond_kwargs=added)
        if self.alive is not None:
            whole = torch.zeros_like(latents)
            whole[rows] = found.sample.to(whole)
            found.sample = whole
        elif self.step == self.at:
            without, with_text = found.sample.float().chunk(2)
            noise = without + self.guidance * (with_text - without)
            times = timestep.long().expand(len(noise))
            self.alive = self.judge(self.schedule.predict_clean(latents[: len(noise)], noise, times))
        self.step += 1
        return found


def sample_chain(
    unet: UNet2DConditionModel,
    chain: Sequence[Link],
    context: Tensor,
    empty: Tensor,
    noises: Mapping[str, Tensor],
    *,
    given: Mapping[str, Tensor] | None = None,
    recorded: Mapping[str, Recorder] | None = None,
    together: bool = True,
    **settings: Any,
) -> dict[str, Tensor]:
    """Latents (B, C, h, w) of each factor's map by condition, those of `given` as they are.

    chain: parents before their children; a parent that is neither in it nor given counts as dropped. noises:
    what each factor starts from. given: finished maps, which take the place of their factors. recorded: how
    some of them were sampled. together: children read z_{t-1} of their parents (eq. 5), which do not depend
    on them, so that one may be recorded after the other; else, and of a map without record, the finished
    maps. settings: as of `sample`. Errors as of `check_chain`.
    """
    found, recorders = dict(given or {}), dict(recorded or {})
    chain = [link for link in chain if link.info.condition not in found]
    check_chain([link.info for link in chain])
    for link in chain:
        name = link.info.condition
        with FactoredUNet(unet, link.factor, is_first=not link.info.parents).attached() as factored:
            parents = [
                (recorders.get(parent) if together else None, found[parent]) if parent in found else None
                for parent in link.info.parents
            ]
            follower = Follower(factored, parents) if parents else factored
            recorders[name] = Recorder(follower)
            found[name] = sample(recorders[name], context, empty, noises[name], **settings)
    return found
