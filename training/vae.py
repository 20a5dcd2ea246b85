"""Train an image autoencoder from scratch, or tune one so that small objects survive it (SOEDiff).

    accelerate launch -m finesse.training.vae --vae sd15-inpainting/vae --data DATA/train --part decoder

DATA is what `finesse.training.data.small_objects` makes. FOLDER/vae.safetensors is the result, an ordinary
VAE file for ComfyUI's models/vae. With --part decoder latents stay what they are, so that every UNet of the
base goes on working with it; --part whole may change them and keeps more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..core.files import file_hash, write_tensors
from ..core.small_objects.losses import pseudo_huber
from .data.ahead import ahead
from .data.samples import read_shard, shards
from .loop.batches import Draw, ShardedRows
from .loop.cache import cached, code_hash, shared
from .loop.config import TrainConfig, option, parse, script
from .loop.trainer import Task, train
from .loop.validation import split
from .models import sampling
from .provenance import git_commit, settings_json
from .small_objects.views import Views, crops_of

DECODER = ("decoder.", "post_quant_conv.")
SHOWN = 8
THREADS = 4
HERE = Path(__file__).parent
PLAN = {"steps": 20_000, "batch_size": 16, "learning_rate": 1e-5, "ema_decay": 0.999, "preview_every": 1000}


class AutoencoderTask(Task):
    """Training from scratch by L1 + MSE + KL. A batch holds `pixels`, uint8 (B, 3, H, W)."""

    def __init__(
        self,
        vae: AutoencoderKL,
        *,
        kl_weight: float = 1e-6,
        make_preview: Callable[[], Image.Image | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.vae, self.kl_weight, self.make_preview = vae, kl_weight, make_preview

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        pixels = batch["pixels"].float() / 127.5 - 1.0
        posterior = self.vae.encode(pixels).latent_dist
        latents = posterior.mean + posterior.std * draw.normal(*posterior.mean.shape[1:])
        decoded = self.vae.decode(latents).sample.float()
        return {
            "l1": F.l1_loss(decoded, pixels),
            "mse": F.mse_loss(decoded, pixels),
            "kl": self.kl_weight * posterior.kl().mean(),
        }

    def preview(self) -> Image.Image | None:
        return self.make_preview()


class TuningTask(Task):
    """Tuning by L_vae = H(D(E(x)), x) on crops around small objects. A batch: `pixels`, uint8 (B, 3, H, W).

    part: "decoder" leaves the encoder, and so all latents, as they are; "whole" tunes both.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        *,
        part: str = "whole",
        make_preview: Callable[[], Image.Image | None] = lambda: None,
    ) -> None:
        super().__init__()
        self.vae, self.make_preview = vae, make_preview
        for name, parameter in vae.named_parameters():
            parameter.requires_grad_(part == "whole" or name.startswith(DECODER))

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        pixels = batch["pixels"].float() / 127.5 - 1.0
        decoded = self.vae.decode(self.vae.encode(pixels).latent_dist.mean).sample.float()
        return {"huber": pseudo_huber(decoded - pixels).mean()}

    def preview(self) -> Image.Image | None:
        return self.make_preview()


@dataclass
class VaeConfig:
    """Settings: which VAE to tune, and on which data."""

    vae: str = option("", "folder of the VAE, in diffusers' layout")
    data: str = option("", "a split of the data: DATA/train stands for the shards that DATA/train.json lists")
    folder: str = option("runs/vae", "where checkpoints, previews, log, cache and result go")
    resolution: int = option(512, "shorter side of the pictures in pixels, as the UNet sees them")
    crop: int = option(256, "side of the crops around small objects in pixels")
    part: Literal["decoder", "whole"] = option(
        "decoder", "which part to tune; decoder leaves latents as they are"
    )


def run(config: VaeConfig, settings: TrainConfig, accelerator: Accelerator) -> None:
    """Tune, and write FOLDER/vae.safetensors."""
    if not (Path(config.vae) / "config.json").is_file():
        raise ValueError(
            f"vae: {config.vae!r} holds no config.json; give a VAE's folder in diffusers' layout."
        )
    vae = AutoencoderKL.from_pretrained(config.vae, torch_dtype=torch.float32, local_files_only=True)
    vae.to(accelerator.device)
    rows = ShardedRows(
        _crops(config, settings.seed, accelerator),
        ("pixels",),
        settings.batch_size,
        settings.seed,
        accelerator.device,
    )
    trained, held_out = split(rows, settings)
    shown = trained(0, slice(0, SHOWN))["pixels"].float() / 255

    def preview() -> Image.Image:
        return sampling.grid(torch.cat([shown, sampling.decode(vae, sampling.encode(vae, shown))]), SHOWN)

    task = TuningTask(vae, part=config.part, make_preview=preview)
    train(task, trained, settings, Path(config.folder), accelerator, held_out)
    if accelerator.is_main_process:
        told = {"finesse.config": settings_json(asdict(config))}
        save_vae(vae, Path(config.folder) / "vae.safetensors", told)


def save_vae(vae: AutoencoderKL, path: Path, metadata: dict[str, str]) -> None:
    """Write the VAE as one file, in fp16, as stock *Load VAE* takes it."""
    halves = {name: tensor.half() for name, tensor in vae.state_dict().items()}
    header = {"modelspec.title": "VAE tuned for small objects", "finesse.commit": git_commit()}
    write_tensors(path, halves, header | metadata)


def _crops(config: VaeConfig, seed: int, accelerator: Accelerator) -> list[dict[str, Tensor]]:
    """Cut a crop around each small object, uint8 (N, 3, crop, crop) a shard; processes share the shards."""
    views = Views(config.resolution, (config.crop, config.crop), seed)
    code = code_hash(__name__)

    def load(path: Path) -> dict[str, Tensor]:
        def make() -> dict[str, Tensor]:
            found = ahead(lambda sample: list(crops_of(sample, views)), read_shard(path), THREADS)
            return {"pixels": torch.stack(list(chain.from_iterable(found)))}

        causes = {"shard": file_hash(path), "views": asdict(views), "code": code}
        return cached(Path(config.folder) / "cache", f"crops-{path.stem}", causes, make)

    return shared(shards(config.data), load, accelerator, "cutting crops")


def main(arguments: Sequence[str] | None = None) -> None:
    config, settings = parse([VaeConfig, TrainConfig], PLAN, arguments)
    run(config, settings, Accelerator(mixed_precision=settings.precision))


if __name__ == "__main__":
    script(main)
