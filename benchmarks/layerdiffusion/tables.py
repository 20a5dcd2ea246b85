"""LayerDiffusion's tables in miniature: its ablation, its peers on the same edits, how many steps it takes.

    python -m finesse.benchmarks.layerdiffusion
    python -m finesse.benchmarks.layerdiffusion --tables ablation --edits 20

Writes docs/results/layerdiffusion.json and the grid docs/results/layerdiffusion.png. What is drawn is kept in
`--work`, so that a stopped run goes on. An edit changes what a person does, or the colour of a thing, and
puts it in another place, two seeds each. `action`: the subject does, or has the colour of, what was asked;
`background`: it is in that place; `identity`: it is the same thing, a person of the same skin and hair;
`success`: all three at once. `text` is the share of subject, action and place in the prompt that are right,
`similarity` how near the background is to the reference's pixels.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from ...core.files import file_hash
from ...core.images import to_bytes
from ...training.loop.cache import cached, code_hash
from ...training.loop.config import option, parse, words
from ...training.loop.measure import timed
from ...training.models import sampling
from ..results import FOLDER, chosen_device, write_results
from .methods import ABLATION, FULL, PEERS, SEEDS, EditStudio, EditStudioConfig
from .scene_edits import EditJury, SceneEdit, edits_of

PART = 4  # edits whose texts are fitted together, and that are then kept
SHOWN = 8  # edits of the grid
EMBEDDING_STEPS, FINE_TUNING_STEPS = (20, 50, 100, 200), (10, 25, 50, 100)


@dataclass
class Arguments:
    """Settings: what to measure."""

    tables: str = option("ablation, peer, steps, speed", "tables to make")
    edits: int = option(100, "edits of scenes that training never saw")
    swept: int = option(20, "of them, those of the tables of steps")
    timed: int = option(3, "of them, those that are timed against Imagic")
    work: str = option("runs/layerdiffusion", "folder that keeps what was drawn")
    processes: int = option(os.cpu_count() or 1, "processes that draw, on a CPU")


@dataclass(frozen=True)
class Job:
    """A part of the edits, and what to draw of it: "ablation", "full" or the name of a peer."""

    method: str
    config: EditStudioConfig
    numbers: tuple[int, ...]
    work: Path

    def kept(self) -> dict[str, Tensor]:
        """Pictures uint8 (edits, len(SEEDS), 3, H, W) by name."""
        base = Path(self.config.base)
        networks = [base / part / "diffusion_pytorch_model.safetensors" for part in ("unet", "vae")]
        if self.config.lora:
            networks.append(Path(self.config.lora))
        causes = {
            "networks": file_hash(*networks),
            "config": {
                key: value for key, value in asdict(self.config).items() if key not in ("base", "lora")
            },
            "code": code_hash(__name__),
            "edits": list(self.numbers),
        }
        return cached(self.work, f"{self.method}-{self.numbers[0]}", causes, self._draw)

    def _draw(self) -> dict[str, Tensor]:
        studio = EditStudio(self.config, chosen_device())
        edits = edits_of(self.numbers[-1] + 1)[self.numbers[0] :]
        if self.method in PEERS:
            drawn = {self.method: PEERS[self.method](studio, edits)}
        else:
            variants = ABLATION if self.method == "ablation" else {"full": FULL}
            rows = [
                studio.variants(edit, fitted, variants)
                for edit, fitted in zip(edits, studio.fit(edits), strict=True)
            ]
            drawn = {name: [row[name] for row in rows] for name in variants}
        return {name: to_bytes(torch.stack(rows)).cpu() for name, rows in drawn.items()}


def draw(
    arguments: Arguments, config: EditStudioConfig, methods: Sequence[str], count: int
) -> dict[str, Tensor]:
    """Pictures uint8 (count, len(SEEDS), 3, H, W) by name, drawn by all processes in parts."""
    parts = [tuple(range(start, min(start + PART, count))) for start in range(0, count, PART)]
    jobs = [Job(method, config, part, Path(arguments.work)) for part in parts for method in methods]
    processes = 1 if torch.cuda.is_available() else arguments.processes
    with ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), initializer=torch.set_num_threads, initargs=(1,)
    ) as pool:
        found = list(tqdm(pool.map(Job.kept, jobs), total=len(jobs), desc=" ".join(methods), mininterval=5))
    names = [name for name in (*ABLATION, *PEERS) if any(name in drawn for drawn in found)]
    return {name: torch.cat([drawn[name] for drawn in found if name in drawn]) for name in names}


class Table:
    """Judges pictures and gathers the metrics of a group."""

    def __init__(self, jury: EditJury, edits: list[SceneEdit]) -> None:
        self.jury, self.edits = jury, edits

    def metrics(self, drawn: Tensor) -> dict[str, float]:
        """The mean of each verdict over all edits and seeds."""
        rows = [
            self.jury.verdicts(pictures.to(self.jury.device).float() / 255, edit)
            for pictures, edit in zip(drawn, self.edits, strict=False)
        ]
        return {name: torch.cat([row[name] for row in rows]).mean().item() for name in rows[0]}

    def rows(self, group: str, drawn: dict[str, Tensor]) -> dict[str, float]:
        return {
            f"{group}.{row}.{name}": value
            for row, pictures in drawn.items()
            for name, value in self.metrics(pictures).items()
        }


def sweeps(arguments: Arguments, config: EditStudioConfig, table: Table) -> dict[str, float]:
    """Fewer and more steps of either kind than the config's (the paper's appendix B)."""
    metrics = {}
    for field, choices in (("embedding_steps", EMBEDDING_STEPS), ("fine_tuning_steps", FINE_TUNING_STEPS)):
        for steps in choices:
            changed = replace(config, **{field: steps})
            drawn = draw(arguments, changed, ["full"], arguments.swept)
            metrics |= table.rows("steps", {f"{field}_{steps}": drawn["full"]})
    return metrics


def speed(arguments: Arguments, config: EditStudioConfig, edits: list[SceneEdit]) -> dict[str, float]:
    """Imagic's time over ours with as many steps; the first edit warms up. Seconds on a GPU only."""
    studio = EditStudio(config, chosen_device())

    def ours(edit: SceneEdit) -> object:
        return studio.variants(edit, studio.fit([edit])[0], {"full": FULL})

    ways: dict[str, Callable[[SceneEdit], object]] = {"full": ours, "imagic": lambda e: studio.imagic([e])}
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number, edit in enumerate(edits[: arguments.timed + 1]):
        for name, way in ways.items():
            seconds = timed(lambda way=way, edit=edit: way(edit), studio.device)
            took[name] += [seconds] if number else []
    ours_took, theirs = (sum(values) / len(values) for values in took.values())
    seconds = {"speed.seconds": ours_took, "speed.seconds_imagic": theirs}
    return {"speed.ratio_imagic": theirs / ours_took} | (seconds if studio.device.type == "cuda" else {})


def grid(edits: list[SceneEdit], drawn: dict[str, Tensor]) -> None:
    """docs/results/layerdiffusion.png: a row an edit: photo, reference, ours twice, the peers'."""
    rows = []
    for number, edit in enumerate(edits[:SHOWN]):
        photo, reference = (
            torch.from_numpy(image).permute(2, 0, 1) for image in (edit.photo.image, edit.reference)
        )
        rows += [photo, reference, *drawn["full"][number]]
        rows += [drawn[name][number, 0] for name in ("no_iterative_guidance", *PEERS) if name in drawn]
    columns = len(rows) // min(SHOWN, len(edits))
    sampling.grid(torch.stack(rows).float() / 255, columns, 2).save(FOLDER / "layerdiffusion.png")


def main() -> None:
    arguments, config = parse([Arguments, EditStudioConfig], {})
    tables, edits = words(arguments.tables), edits_of(arguments.edits)
    table = Table(EditJury(Path(config.base), Path(arguments.work), chosen_device()), edits)
    metrics: dict[str, float] = {"edits": len(edits), "seeds": len(SEEDS)}
    drawn: dict[str, Tensor] = {}
    if "ablation" in tables:
        drawn |= draw(arguments, config, ["ablation"], len(edits))
        metrics |= table.rows("ablation", drawn)
    if "peer" in tables:
        peers = draw(arguments, config, list(PEERS), len(edits))
        metrics |= table.rows("peer", peers)
        drawn |= peers
    if "full" in drawn:
        grid(edits, drawn)
    if "steps" in tables:
        metrics |= sweeps(arguments, config, table)
    if "speed" in tables:
        metrics |= speed(arguments, config, edits)
    sys.stdout.write(f"{write_results('layerdiffusion', metrics)}\n")
