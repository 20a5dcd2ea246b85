"""The ways to draw an object in a small box that SOEDiff is measured against, and SOEDiff's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from ...core.images import to_bytes
from ...core.small_objects.losses import seen_from, windows
from ...miniature.model import networks
from ...training.loop.config import option
from ...training.models import lora, sampling
from ...training.models.base_model import Embedded, load_base
from ...training.models.inpainting import condition, draw_masks, snapped
from .box_pictures import BoxPictures

Method = Callable[[BoxPictures, Embedded, Tensor], Tensor]


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
            self.added = sampling.embeddings(self.empty.pooled[0], self.side)
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
        self.windowed = {"base": (self.base.unet, vae), "so_lora": (ours, vae), "soediff": (ours, tuned)}
        self.tuned = tuned

    def adapted(self, path: str) -> UNet2DConditionModel:
        """The base's UNet with the adapters of a SO-LoRA file in it."""
        return lora.merged(self.base.unet, path).eval().requires_grad_(False)

    @property
    def side(self) -> int:
        """Side in pixels of the pictures that the model knows."""
        return self.base.unet.config.sample_size * self.base.cell

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

    def scaled(
        self,
        unet: UNet2DConditionModel,
        decoder: AutoencoderKL,
        scale: float,
        part: BoxPictures,
        text: Embedded,
        noise: Tensor,
    ) -> Tensor:
        """Stock inpainting of a window around each box, enlarged `scale` times to the side the model knows.

        Windows are enlarged by Lanczos and made small again by means of areas; only the boxes are pasted.
        """
        near = windows(part.boxes, self.side, round(self.side / scale)).floor()
        places = near.int().tolist()
        cuts = (row[:, y:y2, x:x2] for row, (x, y, x2, y2) in zip(part.pixels, places, strict=True))
        boxes = snapped(seen_from(near, part.boxes, self.side), self.base.cell).clamp(0, self.side)
        enlarged = torch.stack([lanczos(cut, self.side) for cut in cuts])
        drawn = self.inpaint(unet, decoder, replace(part, pixels=enlarged, boxes=boxes), text, noise)
        pasted = part.pixels.clone()
        for row, (box, (x, y, x2, y2)) in enumerate(zip(part.boxes.int().tolist(), places, strict=True)):
            small = F.interpolate(drawn[row][None], size=(y2 - y, x2 - x), mode="area")[0]
            left, top, right, bottom = box
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


def lanczos(pixels: Tensor, side: int) -> Tensor:
    """Resize a picture (3, h, w) in [0, 1] to (3, side, side), in bytes."""
    resized = to_pil_image(to_bytes(pixels).cpu()).resize((side, side), Image.Resampling.LANCZOS)
    return pil_to_tensor(resized).to(pixels) / 255
