"""FG-DM's tables in miniature: object recall of many seeds, early stop, attention distillation, made data.

    python -m finesse.benchmarks.fgdm
    python -m finesse.benchmarks.fgdm --tables 3,4 --prompts 100

Writes docs/results/fgdm.json and the grid docs/results/fgdm.png. What is sampled is kept in `--work`, so that
a stopped run goes on. Recall is that of the map or, for stock pictures, of what the segmenter sees; `picture`
is that of the final picture as the segmenter sees it; `unasked` the share of the other things that show just
as well, which is chance. Seconds are those of a prompt, the picture included; `map_steps` those of all its
maps. fgdm_early_dropping keeps one map of each pass after half of the steps.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ...core.factors.selection import passes, until_found
from ...core.files import file_hash
from ...core.images import to_bytes
from ...miniature.world.scenes import scene
from ...miniature.world.things import ON_MAPS
from ...training.loop.cache import cached, code_hash
from ...training.loop.config import option, parse, words
from ...training.models import sampling
from ..frechet import frechet_distance
from ..results import FOLDER, chosen_device, write_results
from .downstream import downstream
from .methods import MapStudio, MapStudioConfig, ScenePrompt, judged, mean_iou, prompts_of, recalls, unasked
from .timing import MOST_SEEDS, PER_PASS, SEEDS_OF_TABLE3, STEPS, timings

LEVELS = (0.5, 0.75, 0.9)
SHOWN = 6  # prompts of the grid
PART = 20  # prompts that are sampled, and then kept, at a time
SAMPLING = ("guidance", "map_guidance", "picture_steps", "precision")  # settings that pictures depend on
NETWORKS = ("unet", "vae", "text_encoder", "judges")  # what all methods share


@dataclass
class Arguments:
    """Settings: what to measure."""

    tables: str = option("2, 3, 4, downstream", "tables to make")
    prompts: int = option(500, "held-out prompts of 4 to 8 objects")
    drawn: int = option(200, "of them, those that final pictures are drawn of")
    timed: int = option(8, "of them, those that are timed, one after the other, all methods in turn")
    without_distillation: str = option("", "a factor trained without, for Table 2")
    with_distillation: str = option("", "one trained as long with it; empty is the factor")
    work: str = option("runs/fgdm", "folder that keeps what was sampled")


class Bench:
    """The prompts, the studio, and what was sampled so far."""

    def __init__(self, arguments: Arguments, config: MapStudioConfig) -> None:
        self.arguments, self.config = arguments, config
        self.device = chosen_device()
        self.studio = MapStudio(config, self.device)
        self.prompts = prompts_of(arguments.prompts)
        self._maps: dict[int, dict[str, Tensor]] = {}
        base = Path(config.base)
        networks = [path for name in NETWORKS for path in sorted((base / name).glob("*.safetensors"))]
        settings = {name: value for name, value in asdict(config).items() if name in SAMPLING}
        self.causes = {
            "networks": file_hash(*networks),
            "config": settings,
            "code": code_hash(__name__),
            "prompts": [prompt.text for prompt in self.prompts],
        }
        self.of_maps = {"factor": file_hash(Path(config.factor))}
        self.of_pictures = self.of_maps | {"control": file_hash(*(base / "controlnet").glob("*.safetensors"))}

    def kept(self, name: str, make: Callable[[], dict[str, Tensor]], **causes: object) -> dict[str, Tensor]:
        return cached(Path(self.arguments.work), name, self.causes | causes, make)

    def rows(
        self, name: str, make: Callable[[list[ScenePrompt], list[int]], dict[str, Tensor]], **causes: object
    ) -> dict[str, Tensor]:
        """Call `make` for each prompt with each of MOST_SEEDS seeds, in parts; -> (P, MOST_SEEDS, …)."""
        parts = []
        for start in range(0, len(self.prompts), PART):
            some = self.prompts[start : start + PART]
            asked = [prompt for prompt in some for _ in range(MOST_SEEDS)]
            ready = partial(make, asked, list(range(MOST_SEEDS)) * len(some))
            parts.append(self.kept(f"{name}-{start}", ready, prompts=[p.text for p in some], **causes))
            sys.stderr.write(f"\r{name}: {start + len(some)} of {len(self.prompts)} prompts ")
        return {
            key: torch.cat([part[key] for part in parts]).unflatten(0, (-1, MOST_SEEDS)) for key in parts[0]
        }

    def stock(self) -> dict[str, Tensor]:
        """recall and unasked (P, 10) of the plain model's pictures, as the segmenter sees them."""

        def make(asked: list[ScenePrompt], seeds: list[int]) -> dict[str, Tensor]:
            drawn = self.studio.pictures([prompt.text for prompt in asked], seeds)
            seen = self.studio.segmented(drawn)
            return {"recall": recalls(seen, asked), "unasked": unasked(seen, asked)}

        return self.rows("stock", make)

    def maps(self, steps: int) -> dict[str, Tensor]:
        """Read the factor's maps: labels, recall, unasked, rank and, after half of the steps, halfway_rank.

        Each (P, 10), labels (P, 10, H, W).
        """

        def make(asked: list[ScenePrompt], seeds: list[int]) -> dict[str, Tensor]:
            halfway: list[Tensor] = []

            def look(pixels: Tensor) -> range:
                halfway.append(self.studio.decoded(pixels).byte())
                return range(len(pixels))

            drawn = self.studio.maps([prompt.text for prompt in asked], seeds, steps, look)
            labels = self.studio.decoded(drawn)
            others = unasked(labels, asked)
            return {"labels": labels.byte(), "halfway": torch.cat(halfway), "unasked": others}

        if steps not in self._maps:
            found = self.rows(f"maps-{steps}", make, steps=steps, **self.of_maps)
            recall, rank = self._ranked(found["labels"])
            _, halfway_rank = self._ranked(found["halfway"])
            ranks = {"recall": recall, "rank": rank, "halfway_rank": halfway_rank}
            self._maps[steps] = found | ranks
        return self._maps[steps]

    def pictures(self, name: str, chosen: Tensor, steps: int) -> Tensor:
        """(D,) recall of the pictures of the first D prompts' chosen maps, as the segmenter sees them."""

        def make() -> dict[str, Tensor]:
            some = self.prompts[: self.arguments.drawn]
            labels = self.maps(steps)["labels"][torch.arange(len(some)), chosen[: len(some)]]
            hints = self.studio.table[labels.long()].movedim(-1, 1) / 255
            drawn = self.studio.pictures([p.text for p in some], chosen[: len(some)].tolist(), hints)
            return {"recall": recalls(self.studio.segmented(drawn), some), "pixels": to_bytes(drawn)}

        causes = {"drawn": self.arguments.drawn, "chosen": chosen.tolist(), "steps": steps}
        return self.kept(f"pictures-{name}", make, **causes, **self.of_pictures)["recall"]

    def _ranked(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """recall and rank, 0 the best, (P, N) of labels (P, N, H, W)."""
        recall = torch.zeros(labels.shape[:2])
        rank = torch.zeros(labels.shape[:2], dtype=torch.long)
        for row, (maps, prompt) in enumerate(zip(labels, self.prompts, strict=True)):
            for place, candidate in enumerate(judged(maps.long(), prompt)):
                recall[row, candidate.index], rank[row, candidate.index] = candidate.recall, place
        return recall, rank


def early_stopped(found: dict[str, Tensor], config: MapStudioConfig) -> tuple[Tensor, Tensor]:
    """Stop early: the chosen seed of each prompt (P,), and the number of steps that it took (P,).

    Candidates do not depend on one another, so those of a full run tell it exactly.
    """
    chosen, steps = [], []
    for recall, rank, halfway in zip(
        *(found[name].tolist() for name in ("recall", "rank", "halfway_rank")), strict=True
    ):
        drawing = (
            sorted(part, key=halfway.__getitem__)[: config.keep] for part in passes(MOST_SEEDS, PER_PASS)
        )
        kept = until_found(drawing, lambda seeds, of=recall: max(of[i] for i in seeds), config.stop_at)
        chosen.append(min(itertools.chain(*kept), key=rank.__getitem__))
        steps.append(sum((PER_PASS + len(seeds)) / 2 for seeds in kept))
    return torch.tensor(chosen), torch.tensor(steps)


def table3(bench: Bench, seconds: dict[str, float]) -> dict[str, float]:
    """Recall of N maps a prompt: its least, most and median, averaged over prompts; maps above a level."""
    metrics = {}
    for steps in STEPS:
        for n in SEEDS_OF_TABLE3:
            recall = bench.maps(steps)["recall"][:, :n]
            name = f"table3.n{n}_t{steps}"
            metrics[f"{name}.min"] = recall.amin(1).mean().item()
            metrics[f"{name}.max"] = recall.amax(1).mean().item()
            metrics[f"{name}.median"] = recall.quantile(0.5, dim=1).mean().item()
            for level in LEVELS:
                metrics[f"{name}.above_{round(100 * level)}"] = (recall > level).sum(1).float().mean().item()
            metrics[f"{name}.seconds"] = seconds[f"n{n}_t{steps}"]
    return metrics


def table4(bench: Bench, seconds: dict[str, float]) -> dict[str, float]:
    """The best of N seeds: stock pictures under the segmenter against the factor's maps."""
    stock = bench.stock()["recall"]
    first = torch.zeros(len(stock), dtype=torch.long)
    drawn = slice(bench.arguments.drawn)
    metrics = {}
    for name, n in (("stock_n1", 1), ("stock_n10", MOST_SEEDS)):
        recall = stock[:, :n].amax(1)
        metrics |= {f"table4.{name}.recall": recall.mean().item()}
        metrics |= {f"table4.{name}.picture": recall[drawn].mean().item()}
    early_steps = bench.config.early_steps
    early, cost = early_stopped(bench.maps(early_steps), bench.config)
    ways = {
        "fgdm_n1": (first, 20),
        "fgdm_n10_t10": (bench.maps(10)["rank"].argmin(1), 10),
        "fgdm_n10_t20": (bench.maps(20)["rank"].argmin(1), 20),
        "fgdm_early": (early, early_steps),
    }
    for name, (chosen, steps) in ways.items():
        recall = bench.maps(steps)["recall"].gather(1, chosen[:, None])
        metrics[f"table4.{name}.recall"] = recall.mean().item()
        metrics[f"table4.{name}.picture"] = bench.pictures(name, chosen, steps).mean().item()
    for name in [*ways, "stock_n1", "stock_n10"]:
        metrics[f"table4.{name}.seconds"] = seconds[name]
        metrics[f"table4.{name}.time"] = seconds[name] / seconds["stock_n10"]
    for name, found in (("stock_n1", bench.stock()), ("fgdm_n1", bench.maps(20))):
        metrics[f"table4.{name}.unasked"] = found["unasked"][:, 0].mean().item()
    chosen, fewer = early_stopped(bench.maps(early_steps), replace(bench.config, keep=1))
    recall = bench.maps(early_steps)["recall"].gather(1, chosen[:, None])
    return metrics | {
        "table4.fgdm_early.map_steps": early_steps * cost.mean().item(),
        "table4.fgdm_early_dropping.recall": recall.mean().item(),
        "table4.fgdm_early_dropping.map_steps": early_steps * fewer.mean().item(),
    }


def table2(bench: Bench) -> dict[str, float]:
    """A factor with attention distillation and one without, a map and a picture a prompt."""
    arguments, metrics = bench.arguments, {}
    files = {"with": arguments.with_distillation or bench.config.factor}
    files["without"] = arguments.without_distillation
    real = [scene(i, split="held_out", things=ON_MAPS).image for i in range(arguments.drawn)]
    reference = bench.studio.features(sampling.from_arrays(real).to(bench.device))
    for name, file in files.items():
        if not file:
            continue
        other = Bench(replace(arguments, prompts=arguments.drawn), replace(bench.config, factor=file))

        def make(other: Bench = other) -> dict[str, Tensor]:
            texts, seeds = [prompt.text for prompt in other.prompts], [0] * len(other.prompts)
            labels = other.studio.decoded(other.studio.maps(texts, seeds, 20))
            drawn = other.studio.pictures(texts, seeds, other.studio.table[labels].movedim(-1, 1) / 255)
            return {
                "recall": recalls(labels, other.prompts),
                "labels": labels,
                "pixels": to_bytes(drawn),
            }

        found = other.kept("distillation", make, **other.of_pictures)
        pixels = found["pixels"].to(bench.device).float() / 255
        seen = bench.studio.segmented(pixels)
        asked = torch.nn.functional.interpolate(found["labels"][:, None].float(), size=seen.shape[1:])[:, 0]
        metrics |= {
            f"table2.{name}_distillation.recall": found["recall"].mean().item(),
            f"table2.{name}_distillation.miou": mean_iou(seen.cpu(), asked.long().cpu()),
            f"table2.{name}_distillation.fid": frechet_distance(bench.studio.features(pixels), reference),
        }
    return metrics


def grid(bench: Bench) -> None:
    """docs/results/fgdm.png: a row a prompt: its ten maps, the best first, then its picture."""
    found = bench.maps(10)
    rows = []
    for number in range(SHOWN):
        order = found["rank"][number].argsort()
        maps = bench.studio.table[found["labels"][number][order].long()].movedim(-1, 1) / 255
        picture = bench.studio.pictures([bench.prompts[number].text], [int(order[0])], maps[:1])
        rows += [*torch.nn.functional.interpolate(maps, size=picture.shape[-2:]), picture[0]]
    sampling.grid(torch.stack(rows).cpu(), MOST_SEEDS + 1, 2).save(FOLDER / "fgdm.png")


def main() -> None:
    arguments, config = parse([Arguments, MapStudioConfig], {})
    bench, tables = Bench(arguments, config), words(arguments.tables)
    seconds = timings(bench.studio, bench.prompts[: arguments.timed + 1]) if {"3", "4"} & set(tables) else {}
    metrics: dict[str, float] = {}
    if "2" in tables:
        metrics |= table2(bench)
    if "3" in tables:
        metrics |= table3(bench, seconds)
    if "4" in tables:
        metrics |= table4(bench, seconds)
        grid(bench)
    if "downstream" in tables:
        metrics |= downstream(bench.studio, Path(arguments.work), bench.causes | bench.of_pictures)
    sys.stdout.write(f"{write_results('fgdm', metrics)}\n")
