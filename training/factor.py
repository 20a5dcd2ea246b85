"""Train a factor of FG-DM: an adapter with which a frozen Stable Diffusion samples condition maps.

    python -m finesse.training.factor --base sd15 --data DATA/train --condition segmentation --dry_run
    accelerate launch -m finesse.training.factor --base sd15 --data DATA/train --condition segmentation
    accelerate launch -m finesse.training.factor --base sd15 --data DATA/train --condition pose \\
        --parents segmentation

DATA is what `finesse.training.data.maps` makes. FOLDER/CONDITION.safetensors is the result: put it into
ComfyUI's models/finesse_factors. A factor is trained by itself and touches no other; a run that was stopped
goes on when started again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from PIL import Image

from ..core.factors.adapter import Factor
from ..core.factors.files import SEGMENTATION, FactorInfo, read_factor, write_factor
from ..core.files import read_json
from .data.samples import shards
from .factors.examples import CachedMaps, prepare
from .factors.task import FactorTask
from .loop import measure
from .loop.config import TrainConfig, option, parse, script, words
from .loop.trainer import train
from .loop.validation import split
from .models import sampling
from .models.base_model import PLAIN, BaseModel, load_base
from .models.denoising import use_plain_attention
from .models.factor_unet import KINDS, FactoredUNet, build_factor
from .provenance import git_commit, settings_json

SHOWN = 4  # number of columns of the preview
PLAN = {
    "steps": 100_000,
    "batch_size": 8,
    "learning_rate": 1e-5,
    "warmup_steps": 10_000,
    "checkpoint_every": 1000,
    "preview_every": 1000,
}


@dataclass
class FactorConfig:
    """Settings of a factor: which maps it learns to make, on which base and from which data."""

    base: str = option("", "folder of the text-to-image model, in diffusers' layout")
    data: str = option("", "a split of the data: DATA/train stands for the shards that DATA/train.json lists")
    condition: str = option("segmentation", "which maps to make: segmentation, depth, normal, sketch or pose")
    parents: str = option(
        "", "conditions whose maps the factor reads, in order; without any it is a first factor"
    )
    folder: str = option("runs/factor", "where checkpoints, previews, log, cache and result go")
    start: str = option("", "a factor file to go on from; empty starts from nothing")
    kind: str = option("timestep", f"kind of adapter: {' or '.join(KINDS)}")
    unet: str = option("unet", "subfolder of the base's UNet")
    resolution: int = option(256, "side of the maps in pixels, which an SDXL reads")
    text_dropout: float = option(0.2, "how often the text is dropped")
    parent_dropout: float = option(0.2, "how often a parent is dropped")
    clean_parents: float = option(
        0.5, "how often the parents are finished maps; otherwise they are as noisy as in sampling"
    )
    by_area: bool = option(
        True, "for segmentation: a label of n pixels weighs sqrt(n); false takes the paper's mean"
    )
    min_snr: float = option(
        0.0, "gamma of min-SNR weights (Hang et al. 2023), 5 there; 0 is the paper's loss, without weights"
    )
    distill_weight: float = option(0.1, "weight of the attention distillation; 0 drops it")
    distill_every: int = option(10, "every so many steps, one has distillation")
    gradient_checkpointing: bool = option(
        False, "save memory: compute parts of the forward pass again in the backward pass"
    )
    dry_run: bool = option(False, "say what would be trained, on how much, with how much memory, and stop")
    bench: int = option(0, "time this many steps, print the speed, and stop")

    def __post_init__(self) -> None:
        if self.distill_every < 1:
            raise ValueError(f"distill_every is {self.distill_every}; give at least 1.")
        if self.min_snr < 0:
            raise ValueError(f"min_snr is {self.min_snr}; give 0 for no weights, or a gamma such as 5.")

    @property
    def conditions(self) -> list[str]:
        return [self.condition, *words(self.parents)]


def run(config: FactorConfig, settings: TrainConfig, accelerator: Accelerator) -> None:
    """Train, and write FOLDER/CONDITION.safetensors; or only plan or time it."""
    files, listed = shards(config.data), read_json(Path(f"{config.data}.json"))
    if missing := [name for name in config.conditions if name not in listed["conditions"]]:
        raise ValueError(
            f"data: {config.data} has no {', '.join(missing)} maps, only {', '.join(listed['conditions'])}; "
            "make them with finesse.training.data.maps."
        )
    base, folder = load_base(config.base, config.unet, PLAIN), Path(config.folder)
    info = FactorInfo(
        condition=config.condition,
        palette=listed["palette"] if config.condition == SEGMENTATION else "",
        base=base.name,
        parents=tuple(words(config.parents)),
        trained={
            **json.loads(settings_json(asdict(config) | asdict(settings))),
            "commit": git_commit(),
            "processes": accelerator.num_processes,
        },
    )
    unet = build_unet(config, base, settings.seed)
    if config.dry_run:
        sys.stdout.write(plan(config, settings, base, unet, listed, accelerator.num_processes))
        return
    half = accelerator.device.type == "cuda" and settings.precision == "bf16"
    base.to(accelerator.device, torch.bfloat16 if half else torch.float32)
    examples, texts = prepare(files, base, config.conditions, folder / "cache", accelerator)
    base.text_encoders.clear()
    batches = CachedMaps(
        examples, texts, config.conditions, settings.batch_size, accelerator.device, settings.seed
    )
    trained, held_out = split(batches, settings)
    task = build_task(config, base, unet, trained)
    if config.bench:
        timed = measure.timing(task, trained, settings, config.bench, accelerator)
        sys.stdout.write(f"{json.dumps(timed, indent=2)}\n")
        return
    train(task, trained, settings, folder, accelerator, held_out)
    if accelerator.is_main_process:
        write_factor(folder / f"{config.condition}.safetensors", unet.factor, info)


def build_unet(config: FactorConfig, base: BaseModel, seed: int) -> FactoredUNet:
    """Put a factor, new or from the file `start`, on the frozen base."""
    torch.manual_seed(seed)  # the adapters start at random
    parents = words(config.parents)
    factor = _started(config.start, parents) or build_factor(base.unet, config.kind, len(parents))
    if base.vae.device.type == "cpu":
        use_plain_attention(base.unet)
    if config.gradient_checkpointing:
        base.unet.train().enable_gradient_checkpointing()
    return FactoredUNet(base.unet, factor, is_first=not parents)


def _started(path: str, parents: list[str]) -> Factor | None:
    """Read a factor to train further; ValueError when it reads other parents."""
    if not path:
        return None
    factor, info = read_factor(path)
    if info.parents != tuple(parents):
        raise ValueError(
            f"start: {path} reads {', '.join(info.parents) or 'no parents'}, but parents is "
            f"{', '.join(parents) or 'empty'}; give the same."
        )
    return factor.float()


def build_task(config: FactorConfig, base: BaseModel, unet: FactoredUNet, batches: CachedMaps) -> FactorTask:
    """Make the task that the factor learns."""
    task = FactorTask(
        unet,
        base.schedule,
        batches.texts["context"][0].float(),
        text_dropout=config.text_dropout,
        parent_dropout=config.parent_dropout,
        clean_parents=config.clean_parents,
        distill_every=config.distill_every,
        distill_weight=config.distill_weight,
        by_area=config.by_area and config.condition == SEGMENTATION,
        min_snr=config.min_snr,
        added=sampling.embeddings(batches.texts["pooled"][0], config.resolution) if base.is_sdxl else None,
    )
    task.make_preview = lambda: preview(task, base, batches)
    return task


@torch.no_grad()
def preview(task: FactorTask, base: BaseModel, batches: CachedMaps) -> Image.Image:
    """Draw a column for each of some fixed examples: the parents' maps, the data's own map, the factor's."""
    batch = batches(0, slice(0, SHOWN))
    latents = batch["latents"].float()
    noise = sampling.noise_for(range(len(latents)), latents.shape[1:], latents.device)
    parents = list(batch["parents"].float().unbind(1)) if "parents" in batch else []
    task.unet.parents = parents
    added = task.added and sampling.guided(task.added, batch["pooled"])
    context = batch["context"].float()
    with torch.autocast(noise.device.type, torch.bfloat16, enabled=task.unet.unet.dtype == torch.bfloat16):
        made = sampling.sample(task.unet, context, task.empty, noise, scheduler=base.scheduler, added=added)
    shown = [sampling.decode(base.vae, part) for part in (*parents, latents, made)]
    return sampling.grid(torch.cat(shown).cpu(), len(latents))


def plan(
    config: FactorConfig,
    settings: TrainConfig,
    base: BaseModel,
    unet: FactoredUNet,
    listed: dict[str, object],
    processes: int,
) -> str:
    """Describe what `run` would do: weights, data, memory of what is learnt and disk."""
    learnt = sum(p.numel() for p in unet.factor.parameters())
    frozen = sum(p.numel() for p in base.unet.parameters())
    pictures, side = listed["pictures"]["kept"], config.resolution // base.cell
    number = 2 if settings.precision == "bf16" else 4
    cache = len(config.conditions) * pictures * 8 * side**2
    epochs = settings.steps * settings.batch_size / max(1, pictures - settings.held_out)
    held_out = f", {settings.held_out} of them held out" if settings.held_out else ""
    return (
        f"{config.condition} factor, {len(unet.factor.adapters)} {unet.factor.kind} adapter(s) on "
        f"{base.name}: {learnt / 1e6:.1f} M learnt, {frozen / 1e6:.1f} M frozen\n"
        f"{len(listed['shards'])} shards, {pictures} pictures{held_out}; {settings.steps} steps of "
        f"{settings.batch_size} on {processes} processes are {epochs:.1f} epochs\n"
        f"adapters, gradients and moments {learnt * 16 / measure.GIGA:.1f} GB, base "
        f"{frozen * number / measure.GIGA:.1f} GB a process, and what the backward pass keeps\n"
        f"about {cache / measure.GIGA:.1f} GB of cache in {config.folder}\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    config, settings = parse([FactorConfig, TrainConfig], PLAN, arguments)
    run(config, settings, Accelerator(mixed_precision=settings.precision))


if __name__ == "__main__":
    script(main)
