"""Measures how long FG-DM takes at full size, against stock pictures that a segmenter judges.

    python -m finesse.benchmarks.fgdm.speed --random sd15    # writes docs/results/fgdm_speed.json
    python -m finesse.benchmarks.fgdm.speed --base sd15 --picture_steps 50
    python -m finesse.benchmarks.fgdm.speed --base miniature/weights/64 --resolution 64 --map_resolution 64

`table4` is a prompt's time: one stock picture; ten and the segmenter; N maps of T steps, decoded and ranked,
and one picture under a ControlNet. `time` is in times of stock_n10. fgdm_n1 makes its map in the most of the
steps. `growth` is sampling alone, in the fewest of the steps: of N maps of one factor, and of one seed
through a chain of K factors; `time` is over that of N or K times one, less than 1 where it grows less than
linearly. Seconds and the peak memory, with all models loaded, are of a GPU only. Speed does not depend on
what the weights are: the ControlNet, the segmenter and the factors are untrained ones.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from diffusers import ControlNetModel
from torch import Tensor, nn
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from ...core.factors.files import SEGMENTATION, FactorInfo
from ...core.maps.palettes import COCO_STUFF
from ...core.maps.recall import ranked
from ...training.factors.chain_sampling import Link, sample_chain
from ...training.loop.config import option, parse, script, words
from ...training.loop.measure import GIGA, timed
from ...training.models import sampling
from ...training.models.base_model import PLAIN, BaseModel, load_base
from ...training.models.controlled_unet import ControlledUNet
from ...training.models.factor_unet import build_factor
from ..full_size import write_base
from ..results import chosen_device, write_results

PROMPT = "a dog left of a car and a cup on a table"
WANTED = {name: [COCO_STUFF.index(name)] for name in ("dog", "car", "cup", "table")}
SEEDS = 10  # of a prompt in Table 4
CHAIN = {SEGMENTATION: (), **dict.fromkeys(("depth", "normal", "sketch"), (SEGMENTATION,))}
SEGFORMER: dict[str, Any] = {  # SegFormer-B5 for ADE20K, as published
    "num_labels": 150,
    "hidden_sizes": [64, 128, 320, 512],
    "depths": [3, 6, 40, 3],
    "decoder_hidden_size": 768,
}
DECODED = 10 * 256**2  # pixels at a time: ten maps, or two pictures
GRAIN = 64  # pixels that the sides are multiples of, so that the UNet halves them without a rest

Ways = Mapping[str, Callable[[], object]]


@dataclass
class Arguments:
    """Settings: what to measure, and how often."""

    base: str = option("", "folder of the text-to-image model, in diffusers' layout")
    random: str = option("", "sd15: a full-size model with random weights in place of --base")
    resolution: int = option(512, "pixels a side of the pictures")
    map_resolution: int = option(256, "pixels a side of the maps")
    picture_steps: int = option(20, "sampling steps of a picture")
    map_steps: str = option("10, 20", "sampling steps of the maps; fgdm_n10_t10 is of 10")
    most_seeds: int = option(64, "growth with N: 1, 2, 4 and so on up to this many maps")
    repeats: int = option(3, "rounds to take the median of, after one to warm up")
    precision: Literal["no", "bf16"] = option("bf16", "of the networks: autocast, on a GPU of bf16 weights")

    def __post_init__(self) -> None:
        for name in ("picture_steps", "most_seeds", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; give at least 1.")
        for name in ("resolution", "map_resolution"):
            if getattr(self, name) < GRAIN or getattr(self, name) % GRAIN:
                raise ValueError(f"{name} is {getattr(self, name)}; give a multiple of {GRAIN}.")
        if not self.steps_of_maps or min(self.steps_of_maps) < 1:
            raise ValueError(f"map_steps is {self.map_steps!r}; give whole numbers of at least 1.")

    @property
    def steps_of_maps(self) -> list[int]:
        return [int(word) if word.isdecimal() else 0 for word in words(self.map_steps)]


class FullSizeStudio:
    """The models, and the ways to a picture."""

    def __init__(self, arguments: Arguments, device: torch.device) -> None:
        self.arguments, self.device = arguments, device
        half = arguments.precision == "bf16" and device.type == "cuda"
        dtype = torch.bfloat16 if half else torch.float32
        base = self.base = load_base(arguments.base, channels=PLAIN)
        if base.is_sdxl:
            raise ValueError(f"base: {arguments.base} is an SDXL; give an SD1.x.")
        control = ControlNetModel.from_unet(base.unet)
        segmenter = SegformerForSemanticSegmentation(SegformerConfig(**SEGFORMER))
        self.links = [untrained(condition, parents, base) for condition, parents in CHAIN.items()]
        for network in (control, segmenter, *(link.factor for link in self.links)):
            network.eval().requires_grad_(False).to(device, dtype)
        base.to(device, dtype)
        self.segmenter, self.controlled = segmenter, ControlledUNet(base.unet, control)
        self.empty = base.embed([""]).context[0]

    def chain(self, seeds: int, steps: int, factors: int = 1) -> dict[str, Tensor]:
        """Latents (N, 4, h, w) of the maps that the first factors of the chain make."""
        context, empty, noise = self._inputs(seeds, self.arguments.map_resolution)
        noises = dict.fromkeys(CHAIN, noise)
        inputs = (self.base.unet, self.links[:factors], context, empty, noises)
        return sample_chain(*inputs, scheduler=self.base.scheduler, steps=steps)

    def pictures(self, seeds: int, unet: nn.Module | None = None) -> Tensor:
        """Pictures (N, 3, H, W) of the base alone, or of another UNet."""
        inputs, steps = self._inputs(seeds, self.arguments.resolution), self.arguments.picture_steps
        made = sampling.sample(unet or self.base.unet, *inputs, scheduler=self.base.scheduler, steps=steps)
        return self._decoded(made)

    @torch.no_grad()
    def judged(self, seeds: int) -> Tensor:
        """The picture (3, H, W) of most recall, as the segmenter sees them."""
        pictures = self.pictures(seeds)
        return pictures[ranked(self.segmenter(pictures).logits.argmax(dim=1).cpu(), WANTED)[0].index]

    def factored(self, seeds: int, steps: int) -> Tensor:
        """One picture (1, 3, H, W) of the map of most recall."""
        maps = self._decoded(self.chain(seeds, steps)[SEGMENTATION])
        labels = COCO_STUFF.decode(sampling.to_arrays(maps))
        self.controlled.hint = maps[ranked(labels, WANTED)[0].index][None]
        return self.pictures(1, self.controlled)

    def _decoded(self, latents: Tensor) -> Tensor:
        rows = max(1, DECODED // (self.base.cell**2 * latents[0, 0].numel()))
        return torch.cat([sampling.decode(self.base.vae, part) for part in latents.split(rows)])

    def _inputs(self, seeds: int, resolution: int) -> tuple[Tensor, Tensor, Tensor]:
        """The inputs of `sample`: the text, the empty text, and noise."""
        side = resolution // self.base.cell
        noise = sampling.noise_for(range(seeds), (PLAIN, side, side), self.device)
        return self.base.embed([PROMPT]).context.expand(seeds, -1, -1), self.empty, noise


def untrained(condition: str, parents: tuple[str, ...], base: BaseModel) -> Link:
    """A link of the chain whose factor has learnt nothing."""
    palette = COCO_STUFF.name if condition == SEGMENTATION else ""
    info = FactorInfo(condition=condition, palette=palette, base=base.name, parents=parents)
    return Link(build_factor(base.unet, "timestep", len(parents)), info)


def that_fit(ways: Ways) -> Ways:
    """The ways before the first that runs out of memory, each run once."""
    fitting = {}
    for name, way in ways.items():
        try:
            way()
        except torch.OutOfMemoryError:
            sys.stderr.write(f"{name} needs more memory than there is: left out, with what is larger.\n")
            break
        fitting[name] = way
    return fitting


def seconds_of(ways: Ways, repeats: int, device: torch.device) -> dict[str, float]:
    """The median of each way's seconds, all of them in turn; each has run before."""
    rounds = [{name: timed(way, device) for name, way in ways.items()} for _ in range(repeats)]
    return {name: median(seconds[name] for seconds in rounds) for name in ways}


def table4(studio: FullSizeStudio) -> dict[str, float]:
    """A prompt's time by each method, in times of stock_n10."""
    arguments, device = studio.arguments, studio.device
    ways: dict[str, Callable[[], object]] = {
        "stock_n1": lambda: studio.pictures(1),
        "stock_n10": lambda: studio.judged(SEEDS),
        "fgdm_n1": lambda: studio.factored(1, max(arguments.steps_of_maps)),
    } | {f"fgdm_n10_t{t}": lambda t=t: studio.factored(SEEDS, t) for t in arguments.steps_of_maps}
    for way in ways.values():  # to warm up
        way()
    seconds = seconds_of(ways, arguments.repeats, device)
    metrics = {f"{name}.time": value / seconds["stock_n10"] for name, value in seconds.items()}
    if device.type == "cuda":  # absolute numbers of a CPU say nothing
        metrics |= {f"{name}.seconds": value for name, value in seconds.items()}
        for name in ("stock_n10", f"fgdm_n10_t{arguments.steps_of_maps[0]}"):
            torch.cuda.reset_peak_memory_stats()
            ways[name]()
            metrics[f"{name}.memory_gb"] = torch.cuda.max_memory_allocated() / GIGA
    return metrics


def growth(studio: FullSizeStudio) -> dict[str, float]:
    """The time of N maps, and of K factors, over N or K times the time of one."""
    arguments, device = studio.arguments, studio.device
    steps, doublings = min(arguments.steps_of_maps), range(arguments.most_seeds.bit_length())
    seeds = {f"n{2**i}": lambda n=2**i: studio.chain(n, steps) for i in doublings}
    factors = {f"factors{k}": lambda k=k: studio.chain(1, steps, k) for k in range(1, 1 + len(CHAIN))}
    metrics = {}
    for kind, ways in (("n", seeds), ("factors", factors)):
        seconds = seconds_of(that_fit(ways), arguments.repeats, device)
        for name, value in seconds.items():
            metrics[f"{name}.time"] = value / (int(name.removeprefix(kind)) * seconds[f"{kind}1"])
            if device.type == "cuda":
                metrics[f"{name}.seconds"] = value
    return metrics


def main() -> None:
    (arguments,) = parse([Arguments], {})
    device = chosen_device()
    with tempfile.TemporaryDirectory() as folder:
        if arguments.random:
            arguments.base = str(write_base(arguments.random, Path(folder) / arguments.random))
        studio = FullSizeStudio(arguments, device)
    with torch.autocast(device.type, torch.bfloat16, enabled=arguments.precision == "bf16"):
        found = {"table4": table4(studio), "growth": growth(studio)}
    metrics = {f"{group}.{key}": value for group, part in found.items() for key, value in part.items()}
    for key, value in metrics.items():
        sys.stdout.write(f"{key}: {value:.3f}\n")
    sys.stdout.write(f"{write_results('fgdm_speed', metrics)}\n")


if __name__ == "__main__":
    script(main)
