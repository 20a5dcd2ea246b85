"""How long a prompt takes: stock pictures under a segmenter, and FG-DM's maps with one picture."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import torch
from torch import Tensor

from ..training.measure import timed
from .fgdm_methods import Prompt, Studio, recalls

MOST_SEEDS = 10
STEPS = (10, 20)
SEEDS_OF_TABLE3 = (1, 5, 10)
PER_PASS = 5  # candidates of an early-stopping pass


def timings(studio: Studio, prompts: list[Prompt]) -> dict[str, float]:
    """Seconds of a prompt by each method, all methods in turn for each prompt; the first one warms up."""
    found: dict[str, list[float]] = {}

    def maps(prompt: Prompt, n: int, steps: int) -> Tensor:
        made = studio.maps([prompt.text] * n, list(range(n)), steps)
        recalls(studio.decoded(made), [prompt] * n)
        return made[:1]

    def early(prompt: Prompt) -> Tensor:
        def judge(pixels: Tensor, _: slice) -> Tensor:
            recall = recalls(studio.decoded(pixels), [prompt] * len(pixels))
            alive = torch.zeros(len(pixels), dtype=torch.bool, device=pixels.device)
            alive[recall.argsort(descending=True, stable=True)[: studio.config.keep]] = True
            return alive

        for start in range(0, MOST_SEEDS, PER_PASS):
            seeds = list(range(start, start + PER_PASS))
            made = studio.maps([prompt.text] * PER_PASS, seeds, 10, judge)
            best = recalls(studio.decoded(made), [prompt] * PER_PASS).max().item()
            if best >= studio.config.stop_at:
                break
        return made[:1]

    def pictures(prompt: Prompt, n: int, hint: Tensor | None = None) -> Tensor:
        return studio.pictures([prompt.text] * n, list(range(n)), hint)

    def stock(prompt: Prompt, n: int) -> None:
        recalls(studio.segmented(pictures(prompt, n)), [prompt] * n)

    ways: dict[str, Callable[[Prompt], object]] = {
        f"n{n}_t{steps}": lambda p, n=n, steps=steps: maps(p, n, steps)
        for n in SEEDS_OF_TABLE3
        for steps in STEPS
    } | {
        "stock_n1": lambda p: pictures(p, 1),
        "stock_n10": lambda p: stock(p, MOST_SEEDS),
        "fgdm_n1": lambda p: pictures(p, 1, maps(p, 1, 20)),
        "fgdm_n10_t10": lambda p: pictures(p, 1, maps(p, MOST_SEEDS, 10)),
        "fgdm_n10_t20": lambda p: pictures(p, 1, maps(p, MOST_SEEDS, 20)),
        "fgdm_early": lambda p: pictures(p, 1, early(p)),
    }
    for number, prompt in enumerate(prompts):
        for name, way in ways.items():
            took = timed(lambda way=way, prompt=prompt: way(prompt), studio.device)
            if number:
                found.setdefault(name, []).append(took)
    return {name: mean(values) for name, values in found.items()}
