"""A chain of factors (FG-DM, eqs. 4 and 5): its order, its passes, and what a child reads of its parents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from ..maps.recall import Candidate
from ..seeds import LARGEST_SEED
from .files import SEGMENTATION, FactorInfo

CLOSE = 1e-4  # samplers reckon the same sigma in several ways


def check_chain(infos: Sequence[FactorInfo]) -> None:
    """Raise ValueError for a condition that is there twice or stands before one of its parents.

    A parent that is not in the chain counts as dropped, as in training.
    """
    order = [info.condition for info in infos]
    for name in order:
        if order.count(name) > 1:
            raise ValueError(f"chain: {name} is in it twice; leave one of them out.")
    for place, info in enumerate(infos):
        if late := sorted(set(info.parents) & set(order[place:])):
            raise ValueError(f"chain: {info.condition} comes before its parent {', '.join(late)}; swap them.")


def judged_place(infos: Sequence[FactorInfo], given: Sequence[bool]) -> int:
    """The place of the first segmentation that is sampled, by which candidates are judged.

    given: whether a map takes the factor's place. Raises ValueError when there is none.
    """
    for place, (info, is_given) in enumerate(zip(infos, given, strict=True)):
        if info.condition == SEGMENTATION and not is_given:
            return place
    conditions = ", ".join(info.condition for info in infos)
    raise ValueError(
        f"objects: only segmentations that are sampled are judged by them, and the chain of {conditions}"
        " samples none; clear objects, or add a segmentation factor without a map."
    )


def judged_first(infos: Sequence[FactorInfo], judged: int) -> list[int]:
    """The places of a checked chain, the judged factor as early as its ancestors allow.

    What comes after it is then sampled for the surviving candidates alone.
    """
    needed = {infos[judged].condition}
    for info in reversed(infos[: judged + 1]):
        if info.condition in needed:
            needed |= set(info.parents)
    early = [place for place in range(judged + 1) if infos[place].condition in needed]
    return early + [place for place in range(len(infos)) if place not in early]


def candidate_seeds(seed: int, count: int) -> list[int]:
    """Candidate i has seed + i, beginning anew at 0 after 2^64 - 1."""
    return [(seed + i) % (LARGEST_SEED + 1) for i in range(count)]


def passes(count: int, size: int) -> Iterator[range]:
    """The candidates that are sampled at once, at most `size`."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def survivors(candidates: Sequence[Candidate], keep: int) -> list[int]:
    """Indices, ascending, of the `keep` best of ranked candidates; of all of them when `keep` is 0."""
    kept = candidates[:keep] if keep else candidates
    return sorted(candidate.index for candidate in kept)


class Trajectory:
    """A batch's latents (B, C, h, w) while it was sampled, as its children read them.

    sigmas: where the steps start, descending; none for a finished map, which children read at every step.
    `final` are the latents after the last step.
    """

    def __init__(self, sigmas: Sequence[float] = (), final: Tensor | None = None) -> None:
        self.sigmas, self.final = tuple(sigmas), final
        self.states: dict[float, Tensor] = {}

    def record(self, sigma: float, latent: Tensor) -> None:
        """Keep what the model is asked at `sigma`; of several the last, which is the sampler's state."""
        self.states[sigma] = latent

    def after(self, sigma: float) -> Tensor:
        """The latents after the step in which `sigma` lies: z_{t-1} of eq. 5."""
        step_end = next((s for s in self.sigmas if s < sigma * (1 - CLOSE)), 0.0)
        reached = [s for s in self.states if s <= step_end * (1 + CLOSE)]
        return self.states[max(reached)] if reached else self.final

    def take(self, rows: Sequence[int]) -> Trajectory:
        """That of some rows."""
        taken = Trajectory(self.sigmas, self.final[rows])
        taken.states = {sigma: latent[rows] for sigma, latent in self.states.items()}
        return taken
