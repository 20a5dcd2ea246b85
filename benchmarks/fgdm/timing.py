"""Times a prompt: stock pictures with a segmenter, and FG-DM's maps with one picture."""

from __future__ import annotations

from collections.abc import Callable
from statistics import mean

import torch
from torch import Tensor

from ...core.factors.selection import passes, survivors, until_found
from ...core.maps.recall import Candidate
from ...training.loop.measure import timed
from .methods import MapStudio, ScenePrompt, judged

MOST_SEEDS = 10
STEPS = (10, 20)
SEEDS_OF_TABLE3 = (1, 5, 10)
PER_PASS = 2  # candidates of an early-stopping pass


def timings(studio: MapStudio, prompts: list[ScenePrompt]) -> dict[str, float]:
    """Seconds of a prompt by each method, all methods in turn for each prompt; the first one warms up."""
    found: dict[str, list[float]] = {}

    def maps(prompt: ScenePrompt, n: int, steps: int) -> Tensor:
        made = studio.maps([prompt.text] * n, list(range(n)), steps)
        return made[judged(studio.decoded(made), prompt)[0].index][None]

    def early(prompt: ScenePrompt) -> Tensor:
        def drawn(part: range) -> Tensor:
            alive: list[int] = []

            def judge(pixels: Tensor) -> list[int]:
                alive[:] = survivors(judged(studio.decoded(pixels), prompt), studio.config.keep)
                return alive

            texts = [prompt.text] * len(part)
            return studio.maps(texts, list(part), studio.config.early_steps, judge)[alive]

        def best(maps: Tensor) -> Candidate:
            return judged(studio.decoded(maps), prompt)[0]

        drawing = map(drawn, passes(MOST_SEEDS, PER_PASS))
        maps = torch.cat(until_found(drawing, lambda kept: best(kept).recall, studio.config.stop_at))
        return maps[best(maps).index][None]

    def pictures(prompt: ScenePrompt, n: int, hint: Tensor | None = None) -> Tensor:
        return studio.pictures([prompt.text] * n, list(range(n)), hint)

    def stock(prompt: ScenePrompt, n: int) -> None:
        judged(studio.segmented(pictures(prompt, n)), prompt)

    ways: dict[str, Callable[[ScenePrompt], object]] = {
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
