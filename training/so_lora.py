"""Train SO-LoRA (SOEDiff): adapters with which an inpainting model draws objects a few dozen pixels wide.

    python -m finesse.training.so_lora --base sd15-inpainting --data DATA/train --dry_run
    accelerate launch -m finesse.training.so_lora --base sd15-inpainting --data DATA/train
    accelerate launch -m finesse.training.so_lora --config sdxl_so_lora --base sdxl --data DATA/train

DATA is what `finesse.training.data.small_objects` makes. FOLDER/so_lora.safetensors is the result: put it
into ComfyUI's models/loras. A run that was stopped goes on when started again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from PIL import Image
from torch import Tensor

from ..core.files import read_json
from .data.samples import shards
from .loop import measure
from .loop.config import TrainConfig, option, parse, script, words
from .loop.trainer import train
from .loop.validation import split
from .models import lora, sampling
from .models.base_model import BaseModel, load_base
from .models.denoising import use_plain_attention
from .provenance import git_commit, settings_json
from .small_objects.examples import CachedExamples, prepare
from .small_objects.task import SmallObjectTask
from .small_objects.views import Views

SHOWN = 4  # number of rows of the preview
PLAN = {
    "steps": 100_000,
    "batch_size": 8,
    "learning_rate": 1e-4,
    "warmup_steps": 500,
    "ema_decay": 0.0,
    "checkpoint_every": 1000,
    "preview_every": 1000,
}


@dataclass
class SoLoraConfig:
    """Settings of SO-LoRA: what it learns, on which base and from which data."""

    base: str = option("", "folder of the inpainting model, in diffusers' layout")
    data: str = option("", "a split of the data: DATA/train stands for the shards that DATA/train.json lists")
    folder: str = option("runs/so_lora", "where checkpoints, previews, log, cache and result go")
    unet: str = option("unet", "subfolder of the base's UNet")
    resolution: int = option(512, "side of the pictures in pixels; 1024 for SDXL")
    crop: str = option(
        "256", "side of the teacher's window in pixels, or its smallest and largest side: 192, 320"
    )
    rank: int = option(64, "rank of the adapters")
    modules: str = option(", ".join(lora.MODULES), "ends of the names of the layers to adapt")
    blocks: str = option(", ".join(lora.BLOCKS), "beginnings of these names")
    by_area: bool = option(
        True, "average L_denoise over the box; false takes the paper's mean over the picture"
    )
    csd_weight: float = option(0.01, "weight of L_csd; 0 drops it")
    colour_share: float = option(0.5, "how often the prompt names the colour, where it is known")
    gradient_checkpointing: bool = option(
        False, "save memory: compute parts of the forward pass again in the backward pass"
    )
    dry_run: bool = option(False, "say what would be trained, on how much, with how much memory, and stop")
    bench: int = option(0, "time this many steps, print the speed, and stop")

    @property
    def views(self) -> Views:
        sizes = words(self.crop)
        if len(sizes) not in (1, 2) or not all(size.isdigit() for size in sizes):
            raise ValueError(f"crop: got {self.crop!r}; give one size in pixels or two, such as '192, 320'.")
        return Views(self.resolution, (int(sizes[0]), int(sizes[-1])))

    def adapt(self, unet: UNet2DConditionModel) -> list[str]:
        """Put the adapters on `unet`; -> the names of the adapted layers."""
        return lora.add_lora(unet, self.rank, words(self.modules), words(self.blocks))


def run(config: SoLoraConfig, settings: TrainConfig, accelerator: Accelerator) -> None:
    """Train, and write FOLDER/so_lora.safetensors; or only plan or time it."""
    base, folder = load_base(config.base, config.unet), Path(config.folder)
    base.check_side("resolution", config.resolution)
    if config.dry_run:
        sys.stdout.write(plan(config, settings, base, accelerator.num_processes))
        return
    half = accelerator.device.type == "cuda" and settings.precision == "bf16"
    base.to(accelerator.device, torch.bfloat16 if half else torch.float32)
    examples, texts = prepare(shards(config.data), base, config.views, folder / "cache", accelerator)
    base.text_encoders.clear()
    batches = CachedExamples(
        examples,
        texts,
        settings.batch_size,
        accelerator.device,
        colour_share=config.colour_share,
        seed=settings.seed,
    )
    trained, held_out = split(batches, settings)
    task = build_task(config, base, trained, settings.seed)
    if config.bench:
        timed = measure.timing(task, trained, settings, config.bench, accelerator)
        sys.stdout.write(f"{json.dumps(timed, indent=2)}\n")
        return
    train(task, trained, settings, folder, accelerator, held_out)
    if accelerator.is_main_process:
        told = header(config, settings, base, accelerator.num_processes)
        lora.save_lora(base.unet, folder / "so_lora.safetensors", told)


def build_task(config: SoLoraConfig, base: BaseModel, batches: CachedExamples, seed: int) -> SmallObjectTask:
    """Put adapters on the base's UNet, and make the task that they learn."""
    torch.manual_seed(seed)  # the adapters start at random
    config.adapt(base.unet)
    if base.vae.device.type == "cpu":
        use_plain_attention(base.unet)
    if config.gradient_checkpointing:
        base.unet.enable_gradient_checkpointing()
    task = SmallObjectTask(
        base.unet,
        base.schedule,
        batches.texts["context"][0].float(),
        by_area=config.by_area,
        csd_weight=config.csd_weight,
        added=sampling.embeddings(batches.texts["pooled"][0], config.resolution) if base.is_sdxl else None,
    )
    task.make_preview = lambda: preview(task, base, batches)
    return task


@torch.no_grad()
def preview(task: SmallObjectTask, base: BaseModel, batches: CachedExamples) -> Image.Image:
    """Draw a row for each of some fixed examples: the picture, its hole, the base's drawing, ours."""
    batch = batches(0, slice(0, SHOWN))
    side = batch["latents"].shape[-1]
    noise = sampling.noise_for(range(len(batch["mask"])), (4, side, side), batch["mask"].device)
    extra = torch.cat([batch["mask"].float(), batch["masked_latents"].float()], dim=1)
    added = task.added and sampling.guided(task.added, batch["pooled"])
    half = torch.autocast(noise.device.type, torch.bfloat16, enabled=task.unet.dtype == torch.bfloat16)

    def drawn() -> Tensor:
        context = batch["context"].float()
        with half:
            latents = sampling.sample(
                task.unet,
                context,
                task.empty,
                noise,
                scheduler=base.scheduler,
                extra=extra,
                added=added,
            )
        return sampling.decode(base.vae, latents)

    with task.teacher():
        plain = drawn()
    known = [sampling.decode(base.vae, batch[name].float()) for name in ("latents", "masked_latents")]
    return sampling.grid(torch.stack([*known, plain, drawn()], dim=1).flatten(0, 1).cpu(), 4)


def header(config: SoLoraConfig, settings: TrainConfig, base: BaseModel, processes: int) -> dict[str, str]:
    """Metadata of the file."""
    return {
        "modelspec.title": "SO-LoRA",
        "finesse.base": base.name,
        "finesse.in_channels": str(base.unet.config.in_channels),
        "finesse.config": settings_json(asdict(config) | asdict(settings)),
        "finesse.processes": str(processes),
        "finesse.commit": git_commit(),
    }


def plan(config: SoLoraConfig, settings: TrainConfig, base: BaseModel, processes: int) -> str:
    """Describe what `run` would do: layers, data, memory a process and disk."""
    files, side = shards(config.data), config.resolution // base.cell
    listed = read_json(Path(f"{config.data}.json"))
    pictures, boxes = listed["pictures"]["kept"], listed["objects"]
    with torch.device("meta"):
        unet = type(base.unet).from_config(base.unet.config)
        layers = config.adapt(unet)
    if config.gradient_checkpointing:
        unet.train().enable_gradient_checkpointing()
    learnt = sum(p.numel() for p in unet.parameters() if p.requires_grad)
    rest = sum(p.numel() for p in unet.parameters()) - learnt
    number = torch.bfloat16 if settings.precision == "bf16" else torch.float32
    share = settings.batch_size // (settings.accumulate * processes)
    memory = {
        "base": rest * number.itemsize,
        "adapters, gradients and moments": learnt * 16,
        "kept for the backward pass": measure.saved_bytes(
            unet, measure.empty_inputs(unet, share, side), number
        ),
    }
    latent = 4 * side * side * 2
    epochs = settings.steps * settings.batch_size / max(1, boxes - settings.held_out)
    held_out = f", {settings.held_out} of them held out" if settings.held_out else ""
    parts = ", ".join(f"{name} {size / measure.GIGA:.1f}" for name, size in memory.items())
    return (
        f"SO-LoRA of rank {config.rank} on {base.name}: {len(layers)} layers, {learnt / 1e6:.1f} M of "
        f"{rest / 1e6:.1f} M parameters\n"
        f"{len(files)} shards, {pictures} pictures, {boxes} boxes{held_out}; {settings.steps} steps of "
        f"{settings.batch_size} on {processes} processes are {epochs:.1f} epochs\n"
        f"about {sum(memory.values()) / measure.GIGA:.1f} GB a process: {parts}\n"
        f"about {(pictures + 3 * boxes) * latent / measure.GIGA:.1f} GB of cache in {config.folder}\n"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    config, settings = parse([SoLoraConfig, TrainConfig], PLAN, arguments)
    run(config, settings, Accelerator(mixed_precision=settings.precision))


if __name__ == "__main__":
    script(main)
