"""FG-DM's tables in miniature: object recall of many seeds, early stop, attention distillation, made data.

    python -m finesse.benchmarks.fgdm
    python -m finesse.benchmarks.fgdm --tables 3,4 --prompts 100

Writes docs/results/fgdm.json and grids docs/results/fgdm_*.png. What is sampled is kept in `--work`, so that
a stopped run goes on. Recall is that of the map or, for stock pictures, of what the segmenter sees; `picture`
is that of the final picture as the segmenter sees it. Seconds are those of a prompt, the picture included.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from ..core.frechet import frechet_distance
from ..miniature.scenes import scene
from ..training import sampling
from ..training.cache import cached, file_hash
from ..training.config import option, parse, words
from .fgdm_downstream import downstream
from .fgdm_methods import Prompt, Studio, StudioConfig, mean_iou, prompts_of, recalls
from .fgdm_timing import MOST_SEEDS, PER_PASS, SEEDS_OF_TABLE3, STEPS, timings
from .results import FOLDER, write_results

LEVELS = (0.5, 0.75, 0.9)
SHOWN = 6  # prompts of the grid
SOURCES = [Path(__file__).with_name("fgdm_methods.py"), Path(sampling.__file__)]


@dataclass
class Arguments:
    """What to measure."""

    tables: str = option("2, 3, 4, downstream", "tables to make")
    prompts: int = option(500, "held-out prompts of 4 to 8 objects")
    drawn: int = option(200, "of them, those that final pictures are drawn of")
    timed: int = option(8, "of them, those that are timed, one after the other, all methods in turn")
    without_distillation: str = option("", "a factor trained without, for Table 2")
    with_distillation: str = option("", "one trained as long with it; empty is the factor")
    work: str = option("runs/fgdm", "folder that keeps what was sampled")


class Bench:
    """The prompts, the studio, and what was sampled so far."""

    def __init__(self, arguments: Arguments, config: StudioConfig) -> None:
        self.arguments, self.config = arguments, config
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.studio = Studio(config, self.device)
        self.prompts = prompts_of(arguments.prompts)
        weights = sorted(Path(config.base).rglob("*.safetensors"))
        self.causes = {"weights": file_hash(*weights, Path(config.factor)), "config": asdict(config)}
        self.causes |= {"code": file_hash(*SOURCES), "prompts": [prompt.text for prompt in self.prompts]}

    def kept(self, name: str, make: Callable[[], dict[str, Tensor]], **causes: object) -> dict[str, Tensor]:
        return cached(Path(self.arguments.work), name, self.causes | causes, make)

    def stock(self) -> Tensor:
        """(P, 10) recall of the plain model's pictures, as the segmenter sees them."""

        def make() -> dict[str, Tensor]:
            rows, seeds, asked = self._rows(MOST_SEEDS)
            seen = self._by_parts(rows, seeds, lambda t, s: self.studio.segmented(self.studio.pictures(t, s)))
            return {"recall": recalls(seen, asked).view(-1, MOST_SEEDS)}

        return self.kept("stock", make)["recall"]

    def maps(self, steps: int) -> dict[str, Tensor]:
        """recall and halfway (P, 10) of the factor's maps and of their prediction after half of the steps."""

        def make() -> dict[str, Tensor]:
            rows, seeds, asked = self._rows(MOST_SEEDS)
            halfway: list[Tensor] = []

            def look(pixels: Tensor, _: slice) -> Tensor:
                halfway.append(self.studio.decoded(pixels).byte())
                return torch.ones(len(pixels), dtype=torch.bool, device=pixels.device)

            final = self._by_parts(
                rows, seeds, lambda t, s: self.studio.decoded(self.studio.maps(t, s, steps, look)).byte()
            )
            shape = (-1, MOST_SEEDS)
            return {
                "recall": recalls(final.long(), asked).view(shape),
                "halfway": recalls(torch.cat(halfway).long(), asked).view(shape),
                "labels": final.view(*shape[:1], MOST_SEEDS, *final.shape[1:]),
            }

        return self.kept(f"maps-{steps}", make, steps=steps)

    def pictures(self, name: str, chosen: Tensor, steps: int) -> Tensor:
        """(D,) recall of the pictures of the first D prompts' chosen maps, as the segmenter sees them."""

        def make() -> dict[str, Tensor]:
            some = self.prompts[: self.arguments.drawn]
            labels = self.maps(steps)["labels"][torch.arange(len(some)), chosen[: len(some)]]
            hints = self.studio.table[labels.long()].movedim(-1, 1) / 255
            drawn = self.studio.pictures([p.text for p in some], chosen[: len(some)].tolist(), hints)
            return {"recall": recalls(self.studio.segmented(drawn), some), "pixels": (drawn * 255).byte()}

        return self.kept(f"pictures-{name}", make, chosen=chosen.tolist(), steps=steps)["recall"]

    def _rows(self, seeds: int) -> tuple[list[str], list[int], list[Prompt]]:
        """Each prompt with each seed, the seeds of a prompt behind one another."""
        asked = [prompt for prompt in self.prompts for _ in range(seeds)]
        return [p.text for p in asked], list(range(seeds)) * len(self.prompts), asked

    @staticmethod
    def _by_parts(
        texts: list[str], seeds: list[int], make: Callable[[list[str], list[int]], Tensor], part: int = 200
    ) -> Tensor:
        found = []
        for start in range(0, len(texts), part):
            found.append(make(texts[start : start + part], seeds[start : start + part]))
            sys.stderr.write(f"\r{start + part} of {len(texts)} ")
        return torch.cat(found)


def survivors(found: dict[str, Tensor], config: StudioConfig) -> tuple[Tensor, Tensor]:
    """What early stop ends with: the chosen seed of each prompt (P,), and how many steps it took (P,).

    Candidates do not depend on one another, so those of a full run tell it exactly.
    """
    chosen, steps = [], []
    for recall, halfway in zip(found["recall"], found["halfway"], strict=True):
        best, cost = -1, 0.0
        for start in range(0, MOST_SEEDS, PER_PASS):
            own = range(start, start + PER_PASS)
            kept = sorted(own, key=lambda i: (-halfway[i].item(), i))[: config.keep]
            cost += (PER_PASS + len(kept)) / 2
            pool = ([best] if best >= 0 else []) + sorted(kept)
            best = max(pool, key=lambda i: recall[i].item())
            if recall[best] >= config.stop_at:
                break
        chosen.append(best)
        steps.append(cost)
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
    stock = bench.stock()
    first = torch.zeros(len(stock), dtype=torch.long)
    drawn = slice(bench.arguments.drawn)
    metrics = {}
    for name, n in (("stock_n1", 1), ("stock_n10", MOST_SEEDS)):
        recall = stock[:, :n].amax(1)
        metrics |= {f"table4.{name}.recall": recall.mean().item()}
        metrics |= {f"table4.{name}.picture": recall[drawn].mean().item()}
    early, cost = survivors(bench.maps(10), bench.config)
    ways = {
        "fgdm_n1": (first, 20),
        "fgdm_n10_t10": (bench.maps(10)["recall"].argmax(1), 10),
        "fgdm_n10_t20": (bench.maps(20)["recall"].argmax(1), 20),
        "fgdm_early": (early, 10),
    }
    for name, (chosen, steps) in ways.items():
        recall = bench.maps(steps)["recall"].gather(1, chosen[:, None])
        metrics[f"table4.{name}.recall"] = recall.mean().item()
        metrics[f"table4.{name}.picture"] = bench.pictures(name, chosen, steps).mean().item()
    for name in [*ways, "stock_n1", "stock_n10"]:
        metrics[f"table4.{name}.seconds"] = seconds[name]
        metrics[f"table4.{name}.time"] = seconds[name] / seconds["stock_n10"]
    return metrics | {"table4.fgdm_early.evaluated": cost.mean().item() / MOST_SEEDS}


def table2(bench: Bench) -> dict[str, float]:
    """A factor with attention distillation and one without, a map and a picture a prompt."""
    arguments, metrics = bench.arguments, {}
    files = {"with": arguments.with_distillation or bench.config.factor}
    files["without"] = arguments.without_distillation
    real = torch.stack(
        [torch.from_numpy(scene(i, 64, split="held_out").image) for i in range(arguments.drawn)]
    )
    reference = bench.studio.features(real.movedim(-1, 1).to(bench.device).float() / 255)
    for name, file in files.items():
        if not file:
            continue
        other = Bench(replace(arguments, prompts=arguments.drawn), replace(bench.config, factor=file))

        def make(other: Bench = other) -> dict[str, Tensor]:
            texts, seeds, asked = other._rows(1)
            labels = other.studio.decoded(other.studio.maps(texts, seeds, 20))
            drawn = other.studio.pictures(texts, seeds, other.studio.table[labels].movedim(-1, 1) / 255)
            return {"recall": recalls(labels, asked), "labels": labels, "pixels": (drawn * 255).byte()}

        found = other.kept("distillation", make)
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
        order = found["recall"][number].argsort(descending=True, stable=True)
        maps = bench.studio.table[found["labels"][number][order].long()].movedim(-1, 1) / 255
        picture = bench.studio.pictures([bench.prompts[number].text], [int(order[0])], maps[:1])
        rows += [*torch.nn.functional.interpolate(maps, size=picture.shape[-2:]), picture[0]]
    sampling.grid(torch.stack(rows).cpu(), MOST_SEEDS + 1, 2).save(FOLDER / "fgdm.png")


def main() -> None:
    arguments, config = parse([Arguments, StudioConfig], {})
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
        metrics |= downstream(bench.studio, Path(arguments.work), bench.causes)
    sys.stdout.write(f"{write_results('fgdm', metrics)}\n")


if __name__ == "__main__":
    main()
