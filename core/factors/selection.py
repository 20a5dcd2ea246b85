"""FG-DM's draw (section 4): candidates in passes, the weak dropped halfway, an early stop, the best of them.

Samplers count their steps by a *level* that falls from step to step: sigma in ComfyUI, timestep in diffusers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from torch import Tensor

from ..maps.palettes import Palette
from ..maps.recall import Candidate, ranked
from ..seeds import LARGEST_SEED

CLOSE = 1e-4  # samplers reckon the same level in several ways

Pass = TypeVar("Pass")
# From the predicted clean latents (B, C, h, w) to the rows to go on with.
Judge = Callable[[Tensor], Sequence[int]]


@dataclass(frozen=True)
class RecallJudge:
    """Judges candidates and decides which of them go on.

    wanted, minimal_area: see `ranked`. keep: how many of a pass go on after half of the steps; 0 for all.
    stop_at: no further pass is drawn once a map has this recall.
    """

    palette: Palette
    wanted: Mapping[str, Sequence[int]]
    minimal_area: float = 0.003
    keep: int = 0
    stop_at: float = math.inf

    def ranked(self, painted: np.ndarray, seeds: Sequence[int] | None = None) -> list[Candidate]:
        """Maps uint8 (N, H, W, 3), painted in the palette, the best first."""
        labels = np.stack([self.palette.decode(one) for one in painted])
        return ranked(labels, self.wanted, self.minimal_area, seeds)

    def survivors(self, painted: np.ndarray, seeds: Sequence[int] | None = None) -> list[int]:
        """The indices of the maps uint8 (N, H, W, 3) that go on, ascending."""
        return survivors(self.ranked(painted, seeds), self.keep)


def survivors(candidates: Sequence[Candidate], keep: int) -> list[int]:
    """Indices, ascending, of the `keep` best of ranked candidates; of all of them when `keep` is 0."""
    kept = candidates[:keep] if keep else candidates
    return sorted(candidate.index for candidate in kept)


def candidate_seeds(seed: int, count: int) -> list[int]:
    """Candidate i has seed + i, beginning anew at 0 after 2^64 - 1."""
    return [(seed + i) % (LARGEST_SEED + 1) for i in range(count)]


def passes(count: int, size: int) -> Iterator[range]:
    """The candidates that are sampled at once, at most `size`."""
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def until_found(drawn: Iterable[Pass], recall: Callable[[Pass], float], stop_at: float) -> list[Pass]:
    """Passes as they are drawn, up to the first whose best map has a recall of at least `stop_at`."""
    found = []
    for one in drawn:
        found.append(one)
        if recall(one) >= stop_at:
            break
    return found


class Trajectory:
    """A batch's latents (B, C, h, w) while it was sampled, as its children read them.

    levels: where the steps start, descending. final: the latents after the last step. Of a map that was not
    recorded, children read the final latents at every step.
    """

    def __init__(self, levels: Sequence[float] = (), final: Tensor | None = None) -> None:
        self.levels, self.final = tuple(levels), final
        self.states: dict[float, Tensor] = {}

    def record(self, level: float, latents: Tensor) -> None:
        """Keep what the model is asked at `level`; of several the last, which is the sampler's state."""
        self.states[level] = latents

    def after(self, level: float) -> Tensor:
        """The latents after the step in which `level` lies: z_{t-1} of eq. 5."""
        step_end = next((start for start in self.levels if start < level * (1 - CLOSE)), -1.0)
        reached = [state for state in self.states if state <= step_end * (1 + CLOSE)]
        return self.states[max(reached)] if reached else self.final

    def take(self, rows: Sequence[int]) -> Trajectory:
        """The trajectory of some rows."""
        taken = Trajectory(self.levels, self.final[rows])
        taken.states = {level: latents[rows] for level, latents in self.states.items()}
        return taken


class Rows:
    """The rows of a batch while it is sampled: which go on, and where they have been.

    levels: where the steps start, descending. recorded: whether children read the latents along the way.
    judge: asked once, when half of the steps are done; None keeps all rows.
    """

    def __init__(
        self, count: int, levels: Sequence[float], *, recorded: bool = False, judge: Judge | None = None
    ) -> None:
        self.kept, self.count = list(range(count)), count
        self.recorded, self.judge = recorded, judge
        self.trajectory = Trajectory(levels)
        self.judged_at = levels[max(1, len(levels) // 2) - 1]
        self.level = math.inf

    def reach(self, level: float, latents: Callable[[], Tensor]) -> None:
        """Take down that the model is asked about these latents (B, C, h, w), as children read them."""
        self.level = level
        if self.recorded:
            self.trajectory.record(level, latents())

    @property
    def is_whole(self) -> bool:
        """True while all rows still go on."""
        return len(self.kept) == self.count

    def spread(self, part: Tensor) -> Tensor:
        """Predictions for the kept rows as predictions for all rows; the dropped ones get zeros."""
        whole = part.new_zeros(self.count, *part.shape[1:])
        whole[self.kept] = part
        return whole

    @property
    def is_due(self) -> bool:
        """True when it is time to judge."""
        return self.judge is not None and self.level <= self.judged_at * (1 + CLOSE)

    def drop(self, clean: Tensor) -> None:
        """Ask the judge, once, about the predicted clean latents (B, C, h, w)."""
        judge, self.judge = self.judge, None
        self.kept = sorted(judge(clean))

    def reading(self, parent: Trajectory) -> Callable[[float], Tensor]:
        """The latents of a parent that the kept rows read, by level; the parent has one for each row."""
        return lambda level: parent.after(level)[self.kept]
