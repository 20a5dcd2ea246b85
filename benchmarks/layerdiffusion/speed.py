"""Measures how long LayerDiffusion takes at full size, against Imagic in diffusers' community pipeline.

    python -m finesse.benchmarks.layerdiffusion.speed --random sd15    # writes docs/results/
    python -m finesse.benchmarks.layerdiffusion.speed --base sd15 --gradient_checkpointing
    python -m finesse.benchmarks.layerdiffusion.speed --base miniature/weights/64 --resolution 64

An edit is a photo encoded, its texts fitted, the UNet fitted, and one picture drawn and decoded; its
background's reference is given, and nothing is written to a file. `full` and `low_rank` are the parts of
training/layered.py. `imagic` is float32, since the pipeline's Accelerator, which is asked for fp16, prepares
neither model nor optimiser; Adam is plain, attention is diffusers' own, and each step's loss is read.

Ratios are Imagic's time over ours. `<way>.ratio_imagic` is of an edit with as many steps on both sides,
`ratio_imagic_defaults` gives Imagic the 500 + 1000 + 50 that are its pipeline's own; `<phase>.ratio_imagic`
is of one step, `ratio_imagic_low_rank` the same with low-rank weights. A GPU goes all 500 + 250 + 50 steps at
512 pixels in bf16, and seconds and peak memory, with all models loaded, are stored. A CPU, unless flags say
otherwise, has 128 pixels and goes three steps of each phase; its seconds are those that it computed for us,
since others may have a share of it. Steps that nobody went, on a GPU those of Imagic's defaults, count as
many measured seconds a step. What weights and pictures are does not matter to speed: the pictures are noise.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from diffusers import DDIMScheduler
from torch import Tensor
from torch.nn import functional as F

from ...core.layers.learning import FULL, RATES, fine_tune, interpolate, object_steps, optimise_embeddings
from ...core.layers.losses import split_layers
from ...training.layers.edit_learning import Editor, LayeredConfig
from ...training.loop.config import option, parse, script
from ...training.loop.measure import GIGA, timed
from ...training.models import sampling
from ...training.models.base_model import PLAIN, BaseModel, load_base
from ...training.models.edit_weights import as_denoiser, edit_weights
from ..full_size import write_base
from ..results import chosen_device, write_results

OBJECT, BACKGROUND = "a dog jumping", "a forest"
PROMPT = f"{OBJECT} in {BACKGROUND}"
PHASES = ("embedding", "fine_tuning", "sampling")
WARM_UP = dict.fromkeys(PHASES, 3)
IMAGIC_DEFAULTS = dict(zip(PHASES, (500, 1000, 50), strict=True))
IMAGIC_ALPHA = 1.2  # share of the target's embedding in the mixture
ON_GPU: dict[str, object] = {"precision": "bf16"}
ON_CPU: dict[str, object] = {"resolution": 128, "steps_timed": 2}

Counts = Mapping[str, int]  # steps of each phase
Paces = dict[str, float]  # seconds a step of each phase
Way = Callable[[Counts], Paces]
T = TypeVar("T")


@dataclass
class Arguments:
    """Settings: what to measure."""

    random: str = option("", "sd15: a full-size model with random weights in place of --base")
    steps_timed: int = option(0, "steps to time of each phase, after a first one; 0: all that are asked for")

    def __post_init__(self) -> None:
        if self.steps_timed < 0:
            raise ValueError(f"steps_timed is {self.steps_timed}; give at least 1, or 0 for all.")


@dataclass(frozen=True)
class Cost:
    """The cost of an edit: seconds done once, seconds a step of each phase, peak memory (0 on a CPU)."""

    once: float
    paces: Paces
    peak_gb: float

    def seconds(self, counts: Counts) -> float:
        return self.once + sum(counts[phase] * self.paces[phase] for phase in PHASES)


class LayerDiffusion:
    """An edit as training/layered.py makes it; the UNet is the same after it."""

    def __init__(self, config: LayeredConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.editor = Editor(config, load(config), device)

    def __call__(self, counts: Counts) -> Paces:
        config, editor, base = self.config, self.editor, self.editor.base
        denoiser, paces = as_denoiser(base.unet, half=editor.half), {}
        texts = base.embed([OBJECT, BACKGROUND]).context
        photo, reference, mask = pictures(config.resolution, self.device)
        layers = split_layers(sampling.encode(base.vae, photo), sampling.encode(base.vae, reference), mask)
        fitting = optimise_embeddings(
            denoiser,
            layers,
            texts.split(1),
            base.schedule,
            seed=config.seed,
            steps=counts["embedding"],
            learning_rate=config.embedding_rate,
        )
        paces["embedding"], progress = paced(fitting, self.device)
        mixture = interpolate(*progress.embeddings, config.alpha)
        with edit_weights(base.unet, config.low_rank, config.seed) as weights:
            tuning = fine_tune(
                denoiser,
                layers,
                [config.object_weight, config.background_weight],
                mixture,
                weights.parameters,
                base.schedule,
                seed=config.seed,
                steps=counts["fine_tuning"],
                learning_rate=config.rate,
            )
            paces["fine_tuning"], _ = paced(tuning, self.device)
            steps, drawn = counts["sampling"], []
            seconds = computing(lambda: drawn.append(self._draw(mixture, texts[:1], steps)), self.device)
            paces["sampling"] = seconds / steps
            sampling.decode(base.vae, drawn[0]).cpu()
        return paces

    def _draw(self, mixture: Tensor, of_object: Tensor, steps: int) -> Tensor:
        """The latent (1, 4, h, w) of a picture by iterative guidance."""
        config, base = self.config, self.editor.base
        side = config.resolution // base.cell
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.editor.half):
            return sampling.sample(
                base.unet,
                mixture,
                self.editor.empty.context[0],
                sampling.noise_for([config.seed], (PLAIN, side, side), self.device),
                scheduler=base.scheduler,
                turns=(of_object, None, object_steps([True] * steps, config.object_every)),
                steps=steps,
                guidance=config.guidance,
            )


class Imagic:
    """The peer: the target's text fitted to the photo, all weights to that, a mixture drawn by DDIM."""

    def __init__(self, config: LayeredConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.base = load(config).to(device, torch.float32)
        self.scheduler = DDIMScheduler.from_config(self.base.scheduler.config, clip_sample=False)

    def __call__(self, counts: Counts) -> Paces:
        base, paces = self.base, {}
        photo, _, _ = pictures(self.config.resolution, self.device)
        latent = sampling.encode(base.vae, photo)
        target = base.embed([PROMPT]).context
        text = target.clone().requires_grad_()
        fitting = self._fit(latent, text, [text], self.config.embedding_rate, counts["embedding"])
        paces["embedding"], _ = paced(fitting, self.device)
        text.requires_grad_(False)
        base.unet.requires_grad_(True).train()
        tuning = self._fit(latent, text, base.unet.parameters(), RATES[FULL], counts["fine_tuning"])
        paces["fine_tuning"], _ = paced(tuning, self.device)
        base.unet.requires_grad_(False).eval()
        mixture, drawn = interpolate(target, text, IMAGIC_ALPHA), []
        seconds = computing(lambda: drawn.append(self._draw(mixture, counts["sampling"])), self.device)
        paces["sampling"] = seconds / counts["sampling"]
        sampling.decode(base.vae, drawn[0]).cpu()
        return paces

    def _fit(
        self,
        latent: Tensor,
        text: Tensor,
        parameters: Iterable[Tensor],
        rate: float,
        steps: int,
    ) -> Iterator[float]:
        """Learn to see the noise in the one latent; yields each step's loss."""
        optimizer = torch.optim.Adam(parameters, lr=rate)
        for _ in range(steps):
            noise = torch.randn(latent.shape).to(self.device)
            timestep = torch.randint(1000, (1,), device=self.device)
            noisy = self.scheduler.add_noise(latent, noise, timestep)
            loss = F.mse_loss(self.base.unet(noisy, timestep, text).sample, noise)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            yield loss.item()

    @torch.no_grad()
    def _draw(self, mixture: Tensor, steps: int) -> Tensor:
        """The latent (1, 4, h, w) of a picture by classifier-free guidance."""
        side = self.config.resolution // self.base.cell
        texts = torch.cat([self.base.embed([""]).context, mixture])
        self.scheduler.set_timesteps(steps)
        latent = torch.randn(1, PLAIN, side, side, device=self.device) * self.scheduler.init_noise_sigma
        for timestep in self.scheduler.timesteps.to(self.device):
            without, with_text = self.base.unet(torch.cat([latent, latent]), timestep, texts).sample.chunk(2)
            guided = without + self.config.guidance * (with_text - without)
            latent = self.scheduler.step(guided, timestep, latent).prev_sample
        return latent


def load(config: LayeredConfig) -> BaseModel:
    """The base as it is in its folder. ValueError unless it is an SD1.x."""
    base = load_base(config.base, config.unet, PLAIN)
    if base.is_sdxl:
        raise ValueError(f"base: {config.base} is an SDXL; give an SD1.x.")
    base.check_side("resolution", config.resolution)
    return base


def pictures(side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """A photo and its background's reference, noise (1, 3, side, side), and a mask (side, side)."""
    photo, reference = torch.rand(2, 1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
    mask = torch.zeros(side, side)
    mask[side // 4 : -side // 4, side // 4 : -side // 4] = 1
    return photo, reference, mask


def paced(steps: Iterator[T], device: torch.device) -> tuple[float, T]:
    """Seconds a step after the first, which warms up, and what the last of them gave."""
    next(steps)
    rest: deque[tuple[int, T]] = deque(maxlen=1)
    seconds = computing(lambda: rest.extend(enumerate(steps, start=1)), device)
    ((count, last),) = rest
    return seconds / count, last


def computing(work: Callable[[], object], device: torch.device) -> float:
    """Seconds until `work` is done on a GPU, or that a CPU computes for it."""
    if device.type == "cuda":
        return timed(work, device)
    start = time.process_time()
    work()
    return time.process_time() - start


def cost_of(way: Way, counts: Counts, device: torch.device) -> Cost:
    """Measure the cost of an edit of so many steps; on a GPU another edit warms up first."""
    on_gpu, paces = device.type == "cuda", {}
    if on_gpu:
        way(WARM_UP)
        torch.cuda.reset_peak_memory_stats()
    seconds = computing(lambda: paces.update(way(counts)), device)
    peak = torch.cuda.max_memory_allocated() / GIGA if on_gpu else 0.0
    return Cost(seconds - sum(counts[phase] * paces[phase] for phase in PHASES), paces, peak)


def ratios(costs: Mapping[str, Cost], counts: Counts) -> dict[str, float]:
    """Imagic's time over ours."""
    peer, full, low_rank = (costs[name] for name in ("imagic", "full", "low_rank"))
    found = {}
    for name, cost in (("full", full), ("low_rank", low_rank)):
        found[f"{name}.ratio_imagic"] = peer.seconds(counts) / cost.seconds(counts)
        found[f"{name}.ratio_imagic_defaults"] = peer.seconds(IMAGIC_DEFAULTS) / cost.seconds(counts)
    for phase in PHASES:
        found[f"{phase}.ratio_imagic"] = peer.paces[phase] / full.paces[phase]
        found[f"{phase}.ratio_imagic_low_rank"] = peer.paces[phase] / low_rank.paces[phase]
    return found


def asked(config: LayeredConfig) -> dict[str, int]:
    """Steps of each phase. ValueError where there is none after the first."""
    counts = {}
    for phase in PHASES:
        counts[phase] = getattr(config, f"{phase}_steps")
        if counts[phase] < 2:
            raise ValueError(f"{phase}_steps is {counts[phase]}; give at least 2, since the first warms up.")
    return counts


def main() -> None:
    device = chosen_device()
    arguments, config = parse([Arguments, LayeredConfig], ON_GPU if device.type == "cuda" else ON_CPU)
    counts = asked(config)
    gone = {phase: min(count, 1 + (arguments.steps_timed or count)) for phase, count in counts.items()}
    costs = {}
    with tempfile.TemporaryDirectory() as folder:
        if arguments.random:
            config.base = str(write_base(arguments.random, Path(folder) / arguments.random))
        ways: dict[str, Callable[[], Way]] = {
            "full": lambda: LayerDiffusion(replace(config, weights="full"), device),
            "low_rank": lambda: LayerDiffusion(replace(config, weights="low-rank"), device),
            "imagic": lambda: Imagic(config, device),
        }
        for name, make in ways.items():
            gc.collect()  # the way before, whose models are as large
            costs[name] = cost_of(make(), gone, device)
            told = ", ".join(f"{phase} {pace:.3g} s" for phase, pace in costs[name].paces.items())
            sys.stdout.write(f"{name}: once {costs[name].once:.3g} s, a step of {told}\n")
    metrics = ratios(costs, counts)
    if device.type == "cuda":  # absolute numbers of a CPU say nothing
        metrics |= {f"{name}.seconds": cost.seconds(counts) for name, cost in costs.items()}
        metrics |= {f"{name}.peak_gb": cost.peak_gb for name, cost in costs.items()}
    for key, value in metrics.items():
        sys.stdout.write(f"{key}: {value:.3f}\n")
    sys.stdout.write(f"{write_results('layerdiffusion_speed', metrics)}\n")


if __name__ == "__main__":
    script(main)
