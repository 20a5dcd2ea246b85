"""Measures how fast SO-LoRA trains, against a loop like the one that the paper's authors published.

    python -m finesse.benchmarks.soediff.speed --random sd15-inpainting    # writes docs/results/speed.json
    python -m finesse.benchmarks.soediff.speed --base sd15-inpainting --batch_size 16
    python -m finesse.benchmarks.soediff.speed --base miniature/weights/64 --unet unet_inpainting \\
        --resolution 64 --crop 32 --rank 32 --batch_size 32

The peer has a second UNet for the teacher, and the VAE and the text encoders in the loop: diffusers and peft
as they come. Adapters, losses, optimiser, batch and precision are the same. Speed does not depend on what the
weights or the pictures are, so both may be random; a ratio is of one run, ours over the peer's.
"""

from __future__ import annotations

import copy
import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from diffusers import UNet2DConditionModel
from PIL import Image
from torch import Tensor

from ...training import so_lora
from ...training.data.samples import Sample, SampleRecord, SmallObject, read_shard, write_shard
from ...training.loop import measure
from ...training.loop.batches import Draw
from ...training.loop.config import TrainConfig, option, parse
from ...training.models import sampling
from ...training.models.base_model import BaseModel, load_base
from ...training.models.inpainting import condition, draw_masks
from ...training.models.sampling import encode
from ...training.small_objects.examples import CachedExamples, prepare
from ...training.small_objects.task import SmallObjectTask
from ...training.small_objects.views import Views, views_of
from ..full_size import UNETS, write_base
from ..results import write_results

LABELS = ("dog", "cup", "car", "kite")


@dataclass
class Arguments:
    """Settings: how long to measure, and on what."""

    random: str = option("", f"a full-size model with random weights in place of --base: {', '.join(UNETS)}")
    steps_timed: int = option(20, "steps to time of each loop, after a warm-up")


class PeerTask(SmallObjectTask):
    """The same losses with a second UNet as the teacher, from pictures and texts.

    A batch has `pixels`, `near_pixels`, uint8 (B, 3, S, S), `box`, `near_box` (B, 4) in pixels, and `texts`.
    """

    def __init__(
        self, base: BaseModel, student: UNet2DConditionModel, *settings: Any, **options: Any
    ) -> None:
        super().__init__(student, *settings, **options)
        self.base, self.frozen = base, base.unet

    def forward(self, batch: dict[str, Any], draw: Draw) -> dict[str, Tensor]:
        with torch.no_grad():
            text = self.base.embed(batch["texts"])
            encoded = {"context": text.context}
            if text.pooled is not None:
                encoded["pooled"] = text.pooled
            for view in ("", "near_"):
                pixels, box = batch[view + "pixels"].float() / 255, batch[view + "box"]
                extra = condition(self.base.vae, pixels, draw_masks(box, pixels.shape[-1]))
                encoded[view + "latents"] = encode(self.base.vae, pixels)
                encoded[view + "mask"], encoded[view + "masked_latents"] = extra[:, :1], extra[:, 1:]
                encoded[view + "box"] = box / self.base.cell
        return super().forward(encoded, draw)

    @contextmanager
    def teacher(self) -> Iterator[None]:
        student, self.unet = self.unet, self.frozen
        try:
            yield
        finally:
            self.unet = student


class Pictures:
    """The peer's batches: what a data loader hands over, all in memory."""

    def __init__(self, shard: Path, settings: Views, cell: int, device: torch.device) -> None:
        views = [view for sample in read_shard(shard) for view in views_of(sample, settings, cell)]
        self.columns = {
            "pixels": torch.stack([view.pixels for view in views]).to(device),
            "near_pixels": torch.cat([view.near_pixels for view in views]).to(device),
            "box": torch.cat([view.boxes for view in views]).to(device),
            "near_box": torch.cat([view.near_boxes for view in views]).to(device),
        }
        self.texts = [text for view in views for text, _ in view.texts]

    def __call__(self, step: int, rows: slice) -> dict[str, Any]:
        return {name: column[rows] for name, column in self.columns.items()} | {"texts": self.texts[rows]}


def write_pictures(folder: Path, count: int, size: int) -> Path:
    """A shard of `count` pictures of noise, with one small object each."""
    random = np.random.default_rng(0)
    samples = []
    for i in range(count):
        picture = Image.fromarray(random.integers(0, 256, (size, size, 3), np.uint8))
        data = io.BytesIO()
        picture.save(data, "JPEG")
        left, top = random.uniform(0, 0.8, 2).tolist()
        thing = SmallObject(LABELS[i % len(LABELS)], (left, top, left + 0.12, top + 0.12), None)
        record = SampleRecord("noise", str(i), size, size, (thing,))
        samples.append(Sample(record, data.getvalue(), picture))
    write_shard(folder / "train-000000.tar", samples)
    return folder / "train-000000.tar"


def measure_ours(
    config: so_lora.SoLoraConfig, settings: TrainConfig, shard: Path, steps: int, accelerator: Accelerator
) -> dict[str, float]:
    base = _base(config, accelerator)
    found = prepare([shard], base, config.views, shard.parent / "cache", accelerator)
    base.text_encoders.clear()
    base.vae.cpu()  # only previews need it
    batches = CachedExamples(*found, settings.batch_size, accelerator.device)
    task = so_lora.build_task(config, base, batches, settings.seed)
    return measure.timing(task, batches, settings, steps, accelerator)


def measure_peer(
    config: so_lora.SoLoraConfig, settings: TrainConfig, shard: Path, steps: int, accelerator: Accelerator
) -> dict[str, float]:
    base = _base(config, accelerator)
    batches = Pictures(shard, config.views, base.cell, accelerator.device)
    return measure.timing(build_peer(config, base), batches, settings, steps, accelerator)


def build_peer(config: so_lora.SoLoraConfig, base: BaseModel) -> PeerTask:
    """Adapters on a copy of the base's UNet, which itself stays the teacher."""
    student, empty = copy.deepcopy(base.unet), base.embed([""])
    config.adapt(student)
    return PeerTask(
        base,
        student,
        base.schedule,
        empty.context[0].float(),
        csd_weight=config.csd_weight,
        added=sampling.embeddings(empty.pooled[0], config.resolution) if base.is_sdxl else None,
    )


def _base(config: so_lora.SoLoraConfig, accelerator: Accelerator) -> BaseModel:
    half = accelerator.mixed_precision == "bf16" and accelerator.device.type == "cuda"
    return load_base(config.base, config.unet).to(
        accelerator.device, torch.bfloat16 if half else torch.float32
    )


def main() -> None:
    arguments, config, settings = parse([Arguments, so_lora.SoLoraConfig, TrainConfig], so_lora.PLAN)
    accelerator = Accelerator(mixed_precision=settings.precision)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.random:
            config.base = str(write_base(arguments.random, Path(folder) / arguments.random))
        shard = write_pictures(Path(folder), settings.batch_size, config.resolution)
        timed = (config, settings, shard, arguments.steps_timed, accelerator)
        peer, ours = measure_peer(*timed), measure_ours(*timed)
    metrics = {"train.speed_ratio": ours["pictures_per_second"] / peer["pictures_per_second"]}
    if accelerator.device.type == "cuda":  # absolute numbers of a CPU say nothing
        metrics["train.memory_ratio"] = ours["peak_memory_gb"] / peer["peak_memory_gb"]
        for name, values in (("ours", ours), ("peer", peer)):
            metrics |= {f"train.{name}.{key}": value for key, value in values.items()}
    for key, value in metrics.items():
        sys.stdout.write(f"{key}: {value:.3f}\n")
    sys.stdout.write(f"{write_results('speed', metrics)}\n")


if __name__ == "__main__":
    main()
