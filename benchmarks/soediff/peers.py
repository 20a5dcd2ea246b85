"""Compares Inpaint Small Box with other packs' nodes for inpainting, in one run of a real ComfyUI on the CPU.

    COMFYUI_PATH=... python -m finesse.benchmarks.soediff.peers --nodes FOLDER  # docs/results/peers.json

Every row draws the objects of the miniature's held-out boxes anew, from the same pictures, boxes, texts and
seeds. The boxes are emptied first, for ComfyUI's samplers start from a trace of what is in them.
`peers.<row>.accuracy` and `.fid` are the judge's verdict on boxes of 1/8 to 1/6 of the side, and
`peers.<row>.tiny.accuracy` on those of 1/16 to 1/8. `declined` is the share of boxes for which the prompt
failed or that came back unchanged; they count as wrong, and not for FID. `time_ratio` is the median, over the
boxes, of the processor time of a prompt to that of stock inpainting of the same box. The row guided is no
pack's: it is the method of SOEBench's authors.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from itertools import product
from pathlib import Path
from statistics import median
from typing import Literal

import numpy as np
import torch
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ...core.files import read_json
from ...core.images import to_bytes
from ...core.seeds import mix
from ...core.small_objects.boxes import Box
from ...core.small_objects.compositing import fill_from_around
from ...demo.client import ComfyClient
from ...demo.server import exit_on_kill
from ...miniature.small_object_set import samples
from ...miniature.stored import WEIGHTS
from ...training.loop.config import option, parse, script, words
from ...training.models import sampling
from ...training.models.inpainting import draw_masks
from ..frechet import frechet_distance
from ..kept import claim
from ..results import write_results
from .box_pictures import BoxPictures, held_out
from .juries import PROMPTS, MiniatureJury
from .peer_drawings import PeerDrawing, PeerDrawings
from .peer_prompts import ROWS, DrawingTask
from .peer_server import find_packs, peers_server

SIZES = {"small": (1 / 8, 1 / 6), "tiny": (1 / 16, 1 / 8)}
BLOCK = (
    10  # boxes that a row draws before the next row's turn, so that all rows see the machine's ups and downs
)
FREE = ("nodes", "rows", "sizes", "folder")  # settings that may change when a run goes on
SAME = 1 / 255  # a box that differs by less on average is unchanged


@dataclass
class Arguments:
    """What to compare, and how much."""

    nodes: str = option(
        "",
        "folder that holds the peers' node packs, ComfyUI-Inpaint-CropAndStitch 3.0.9 and LanPaint 2.1.0, a "
        "folder each, as they are unpacked into ComfyUI's custom_nodes; get them from the Comfy Registry or "
        "their GitHub pages",
    )
    rows: str = option(", ".join(ROWS), "which rows to draw; one that is left out needs no pack")
    sizes: str = option(
        ", ".join(SIZES), "sizes of boxes: small has 1/8 to 1/6 of the side, tiny 1/16 to 1/8"
    )
    boxes: int = option(500, "held-out boxes a size")
    seeds: int = option(1, "drawings of each box")
    prompt: str = option("label", "what the texts say: label, or color_label")
    steps: int = option(25, "sampling steps")
    guidance: float = option(3.0, "classifier-free guidance")
    sampler: str = option("euler", "sampler of all rows but guided, which has DDIM")
    scheduler: str = option("normal", "its scheduler")
    scale: Literal["auto", "none"] = option("auto", "scale of Inpaint Small Box")
    folder: str = option(
        "", "keeps what is drawn, so that a run that was killed goes on; empty keeps nothing"
    )


def all_drawings(arguments: Arguments, found: Mapping[str, BoxPictures]) -> list[PeerDrawing]:
    """All drawings in their order: blocks of boxes, every row in each."""
    return [
        PeerDrawing(row, size, seed, index)
        for size, seed in product(found, range(arguments.seeds))
        for start in range(0, len(found[size]), BLOCK)
        for row in words(arguments.rows)
        for index in range(start, min(start + BLOCK, len(found[size])))
    ]


def empty(boxes: BoxPictures) -> Tensor:
    """The pictures (N, 3, S, S), in whole bytes, with their boxes filled from around."""
    inside = draw_masks(boxes.boxes, boxes.pixels.shape[-1]).squeeze(1)
    filled = fill_from_around(boxes.pixels.movedim(1, -1), inside).movedim(-1, 1)  # BCHW -> BHWC -> BCHW
    return to_bytes(filled).float() / 255


def task_of(
    arguments: Arguments, client: ComfyClient, boxes: BoxPictures, drawing: PeerDrawing, cell: int
) -> DrawingTask:
    """Upload a picture with a hole for its box, as a user paints it, and say what is to be drawn there."""
    index = drawing.index
    left, top, right, bottom = boxes.boxes[index].int().tolist()
    box = Box(left, top, right - left, bottom - top)
    pixels = to_bytes(boxes.pixels[index]).movedim(0, -1).numpy()
    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    alpha[top:bottom, left:right] = 0
    data = BytesIO()
    Image.fromarray(np.concatenate([pixels, alpha], axis=-1)).save(data, "PNG")
    return DrawingTask(
        picture=client.upload(data.getvalue(), "peers.png"),
        side=pixels.shape[0],
        cell=cell,
        box=box,
        text=boxes.texts[index][PROMPTS.index(arguments.prompt)],
        label=boxes.things[index][0],
        seed=drawing.seed * len(boxes) + index,
        steps=arguments.steps,
        guidance=arguments.guidance,
        sampler=arguments.sampler,
        scheduler=arguments.scheduler,
        place=mix(drawing.seed, index) / 2**63,
        scale=arguments.scale,
    )


def metrics_of(
    arguments: Arguments,
    found: Mapping[str, BoxPictures],
    emptied: Mapping[str, Tensor],
    vae: AutoencoderKL,
    drawings: PeerDrawings,
) -> dict[str, float]:
    """The table: for each row and size the mean over the seeds and, of several, the spread."""
    metrics: dict[str, float] = {}
    for size, boxes in found.items():
        jury = MiniatureJury(boxes, WEIGHTS)
        infix = "" if size == "small" else f".{size}"
        metrics[f"peers.real{infix}.accuracy"] = jury.verdict(boxes.pixels, arguments.prompt)["accuracy"]
        given = emptied[size]
        by_vae = torch.cat([sampling.decode(vae, sampling.encode(vae, part)) for part in given.split(32)])
        for row in words(arguments.rows):
            verdicts = []
            for seed in range(arguments.seeds):
                made = drawings.pixels(drawings_of(row, size, seed, boxes), given)
                changed = is_changed(made, given, boxes) & is_changed(made, by_vae, boxes)
                verdicts.append(verdict(jury, made, changed, arguments.prompt))
            for name in verdicts[0]:
                values = torch.tensor([each[name] for each in verdicts])
                metrics[f"peers.{row}{infix}.{name}"] = values.mean().item()
                if arguments.seeds > 1:
                    metrics[f"peers.{row}{infix}.{name}.std"] = values.std(correction=0).item()
            if ratio := time_ratio(row, size, arguments.seeds, boxes, drawings):
                metrics[f"peers.{row}{infix}.time_ratio"] = ratio
    return metrics


def drawings_of(row: str, size: str, seed: int, boxes: BoxPictures) -> list[PeerDrawing]:
    return [PeerDrawing(row, size, seed, index) for index in range(len(boxes))]


def is_changed(made: Tensor, given: Tensor, boxes: BoxPictures) -> Tensor:
    """(N,): whether a box differs from the given picture's by more than rounding."""
    inside = draw_masks(boxes.boxes, made.shape[-1])
    difference = ((made - given).abs() * inside).sum(dim=(1, 2, 3)) / (3 * inside.sum(dim=(1, 2, 3)))
    return difference > SAME


def verdict(jury: MiniatureJury, made: Tensor, drawn: Tensor, prompt: str) -> dict[str, float]:
    """Accuracy and share declined of the boxes that were asked for, and FID of those that were drawn."""
    asked = jury.coloured if prompt == "color_label" else torch.ones_like(jury.coloured)
    found = {
        "accuracy": (jury.scores(made, prompt) * drawn)[asked].mean().item(),
        "declined": 1 - drawn[asked].float().mean().item(),
    }
    if int((asked & drawn).sum()) >= 2:
        found["fid"] = frechet_distance(jury.features(made)[asked & drawn], jury.real[asked])
    return found


def time_ratio(row: str, size: str, seeds: int, boxes: BoxPictures, drawings: PeerDrawings) -> float | None:
    """Median of a row's time to stock's for the same box; None where stock was not drawn."""
    ratios = []
    for seed in range(seeds):
        pairs = zip(*(drawings_of(each, size, seed, boxes) for each in (row, "stock")), strict=True)
        for pair in pairs:
            seconds = [drawings.seconds.get(each) for each in pair]
            if all(seconds):
                ratios.append(seconds[0] / seconds[1])
    return median(ratios) if ratios else None


def main() -> None:
    (arguments,) = parse([Arguments], {})
    check(arguments)
    exit_on_kill()
    packs = find_packs(arguments.nodes, words(arguments.rows))
    vae = AutoencoderKL.from_pretrained(WEIGHTS / "vae", local_files_only=True).eval()
    side = read_json(WEIGHTS / "unet_inpainting" / "config.json")["sample_size"] * sampling.cell_of(vae)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(arguments.folder or temporary)
        given = {name: value for name, value in asdict(arguments).items() if name not in FREE}
        claim(folder, given, sorted(WEIGHTS.rglob("*.safetensors")))
        found = {}
        for size in words(arguments.sizes):
            scenes = samples(Path(temporary), "test", 6 * arguments.boxes, side, SIZES[size])
            found[size] = held_out(scenes, arguments.boxes, side, sampling.cell_of(vae))
        drawings = PeerDrawings(folder)
        emptied = {size: empty(boxes) for size, boxes in found.items()}
        left = [each for each in all_drawings(arguments, found) if each not in drawings.seconds]
        if left:
            with peers_server(packs) as (client, clock):
                for drawing in tqdm(left):
                    boxes = replace(found[drawing.size], pixels=emptied[drawing.size])
                    task = task_of(arguments, client, boxes, drawing, sampling.cell_of(vae))
                    drawings.draw(client, clock, drawing, ROWS[drawing.row](task))
        metrics = metrics_of(arguments, found, emptied, vae, drawings)
    for drawing, failure in drawings.failures.items():
        sys.stdout.write(f"{drawing.file}: {failure}\n")
    sys.stdout.writelines(f"{name:36} {value:.4f}\n" for name, value in metrics.items())
    sys.stdout.write(f"{write_results('soediff.peers', metrics, 'peers')}\n")


def check(arguments: Arguments) -> None:
    """Raise ValueError for a row, a size or a prompt that is none."""
    for name, known in (("rows", ROWS), ("sizes", SIZES), ("prompt", PROMPTS)):
        for each in words(getattr(arguments, name)):
            if each not in known:
                raise ValueError(f"{name}: {each!r} is none of {', '.join(known)}.")


if __name__ == "__main__":
    script(main)
