"""The ways to draw an object in a small box that SOEDiff is measured against, and SOEDiff's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from torch.nn import functional as F

from ...miniature.model import networks
from ...training.loop.config import option
from ...training.models import lora, sampling
from ...training.models.base_model import Embedded, load_base
from ...training.models.inpainting import condition, draw_masks

Method = Callable[["BoxPictures", Embedded, Tensor], Tensor]


@dataclass
class BoxPictures:
    """Held-out pictures with one small box each, N of them."""

    pixels: Tensor  # (N, 3, S, S) in [0, 1]
    boxes: Tensor  # (N, 4) in pixels, on the latent grid
    near_pixels: Tensor  # (N, 3, S, S): the windows around the boxes, enlarged
    near_boxes: Tensor  # (N, 4)
    texts: list[tuple[str, str]]  # without and with the colour
    things: list[tuple[str, str | None]]  # label and colour

    def part(self, rows: slice) -> BoxPictures:
        return BoxPictures(*(value[rows] for value in vars(self).values()))

    def __len__(self) -> int:
        return len(self.texts)


@dataclass
class BoxStudioConfig:
    """Which weights draw, and how."""

    base: str = option(str(networks.WEIGHTS), "folder of the inpainting model")
    unet: str = option("unet_inpainting", "subfolder of its inpainting UNet")
    plain: str = option(
        "unet", "the text-to-image UNet, for Blended Diffusion: a folder in base, or any other"
    )
    so_lora: str = option(str(networks.WEIGHTS / "so_lora" / "so_lora.safetensors"), "SO-LoRA file")
    without_csd: str = option("", "another, trained without L_csd: two more rows of Table 3")
    tuned_vae: str = option(str(networks.WEIGHTS / "vae_tuned"), "folder of the tuned VAE")
    steps: int = option(20, "sampling steps")
    guidance: float = option(3.0, "classifier-free guidance")
    precision: Literal["no", "bf16"] = option("no", "autocast of the UNets")


class BoxStudio:
    """The models, and the methods that draw with them: each maps boxes, texts and noise to pictures."""

    def __init__(self, arguments: BoxStudioConfig, device: torch.device) -> None:
        self.arguments, self.device = arguments, device
        folder = Path(arguments.base)
        self.base = load_base(folder, arguments.unet).to(device, torch.float32)
        plain = UNet2DConditionModel.from_pretrained(folder / arguments.plain, local_files_only=True).float()
        tuned = AutoencoderKL.from_pretrained(arguments.tuned_vae, local_files_only=True).float()
        for network in (plain, tuned):
            network.to(device).eval().requires_grad_(False)
        ours = self.adapted(arguments.so_lora)
        self.empty = self.base.embed([""])
        self.added = None
        if self.base.is_sdxl:
            side = self.base.unet.config.sample_size * self.base.cell
            self.added = sampling.embeddings(self.empty.pooled[0], side)
        stock, vae = partial(self.inpaint, self.base.unet), self.base.vae
        self.peers = {
            "blended": partial(self.blended, plain),
            "base": partial(stock, vae),
            "crop_paste": self.crop_paste,
        }
        self.ablation = {"base": partial(stock, vae)}
        if arguments.without_csd:
            without_csd = self.adapted(arguments.without_csd)
            self.ablation["so_lora"] = partial(self.inpaint, without_csd, vae)
            self.ablation["so_lora_vt"] = partial(self.inpaint, without_csd, tuned)
        self.ablation["so_lora_csd"] = partial(self.inpaint, ours, vae)
        self.ablation["all"] = partial(self.inpaint, ours, tuned)
        self.tuned = tuned

    def adapted(self, path: str) -> UNet2DConditionModel:
        """The base's UNet with the adapters of a SO-LoRA file in it."""
        return lora.merged(self.base.unet, path).eval().requires_grad_(False)

    def noise(self, seeds: range) -> Tensor:
        side = self.base.unet.config.sample_size
        return sampling.noise_for(seeds, (4, side, side), self.device)

    def inpaint(
        self,
        unet: UNet2DConditionModel,
        decoder: AutoencoderKL,
        part: BoxPictures,
        text: Embedded,
        noise: Tensor,
    ) -> Tensor:
        """Stock inpainting of the whole picture."""
        extra = condition(self.base.vae, part.pixels, draw_masks(part.boxes, part.pixels.shape[-1]))
        return sampling.decode(decoder, self.sample(unet, text, noise, extra=extra))

    def blended(self, unet: UNet2DConditionModel, part: BoxPictures, text: Embedded, noise: Tensor) -> Tensor:
        """Blended Latent Diffusion: a text-to-image model, the surroundings put back after every step."""
        known = (
            sampling.encode(self.base.vae, part.pixels),
            draw_masks(part.boxes / self.base.cell, noise.shape[-1]),
        )
        return sampling.decode(self.base.vae, self.sample(unet, text, noise, known=known))

    def crop_paste(self, part: BoxPictures, text: Embedded, noise: Tensor) -> Tensor:
        """Stock inpainting of the enlarged window, which is then made small again and pasted."""
        near = replace(part, pixels=part.near_pixels, boxes=part.near_boxes)
        drawn = self.inpaint(self.base.unet, self.base.vae, near, text, noise)
        pasted = part.pixels.clone()
        for row, (box, enlarged) in enumerate(zip(part.boxes, part.near_boxes, strict=True)):
            left, top, right, bottom = box.int().tolist()
            scale = (enlarged[2] - enlarged[0]) / (box[2] - box[0])
            side = round(drawn.shape[-1] / scale.item())
            small = F.interpolate(drawn[row][None], size=(side, side), mode="bilinear", antialias=True)[0]
            x, y = (box[:2] - enlarged[:2] / scale).round().int().tolist()
            pasted[row, :, top:bottom, left:right] = small[:, top - y : bottom - y, left - x : right - x]
        return pasted

    def sample(self, unet: UNet2DConditionModel, text: Embedded, noise: Tensor, **options: object) -> Tensor:
        settings = {"steps": self.arguments.steps, "guidance": self.arguments.guidance}
        half = self.arguments.precision == "bf16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            return sampling.sample(
                unet,
                text.context,
                self.empty.context[0],
                noise,
                scheduler=self.base.scheduler,
                added=self.added and sampling.guided(self.added, text.pooled),
                **settings,
                **options,
            )
