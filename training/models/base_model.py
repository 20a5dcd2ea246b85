"""Loads a base model from its diffusers folder: SD1.x, SDXL, their inpainting models, or smaller ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from ...core.files import read_json
from ...core.schedule import NoiseSchedule
from .sampling import cell_of

INPAINTING, PLAIN = 9, 4  # by the number of channels that a UNet reads
KINDS = {
    INPAINTING: "an inpainting model, which reads 9 (noisy latent, mask, masked latent)",
    PLAIN: "a plain text-to-image model, which reads the 4 of the noisy latent",
}
TEXT_ENCODERS = ("text_encoder", "text_encoder_2")  # SDXL has both encoders, the second with a projection


@dataclass
class Embedded:
    """Texts as a UNet reads them: `context` (B, L, width) and, for an SDXL, `pooled` (B, width)."""

    context: Tensor
    pooled: Tensor | None


@dataclass
class BaseModel:
    """The parts of a Stable Diffusion that training needs; all are frozen."""

    folder: Path
    unet: UNet2DConditionModel
    vae: AutoencoderKL
    tokenizers: list[CLIPTokenizer]
    text_encoders: list[nn.Module]
    scheduler: DDPMScheduler

    @cached_property
    def schedule(self) -> NoiseSchedule:
        return NoiseSchedule(self.scheduler.alphas_cumprod)

    @property
    def is_sdxl(self) -> bool:
        return self.unet.config.addition_embed_type == "text_time"

    @property
    def name(self) -> str:
        """Name of the base for the headers of files trained on it."""
        kind = "SDXL" if self.is_sdxl else {768: "SD1.x", 1024: "SD2.x"}.get(self.width, "Stable Diffusion")
        inpaints = "-inpainting" if self.unet.config.in_channels == INPAINTING else ""
        return f"{kind}{inpaints} ({self.folder.name})"

    @property
    def width(self) -> int:
        return self.unet.config.cross_attention_dim

    @property
    def cell(self) -> int:
        """Side of a latent cell in pixels."""
        return cell_of(self.vae)

    def check_side(self, name: str, side: int) -> None:
        """Raise ValueError, with the setting's name, for a picture's side that is not whole latent cells."""
        if side < self.cell or side % self.cell:
            raise ValueError(
                f"{name} is {side}; give a multiple of {self.cell}, the pixels of a latent cell."
            )

    @torch.no_grad()
    def embed(self, texts: list[str]) -> Embedded:
        """Encode texts as the UNet reads them, on the text encoders' device.

        An SDXL reads the last layer but one of both encoders, side by side; others the last of their one.
        """
        parts, pooled = [], None
        for tokenizer, encoder in zip(self.tokenizers, self.text_encoders, strict=True):
            ids = tokenizer(
                texts,
                padding="max_length",
                truncation=True,
                max_length=encoder.config.max_position_embeddings,
                return_tensors="pt",
            ).input_ids.to(encoder.device)
            found = encoder(ids, output_hidden_states=self.is_sdxl)
            parts.append(found.hidden_states[-2] if self.is_sdxl else found.last_hidden_state)
            pooled = found.text_embeds if "text_embeds" in found else None
        return Embedded(torch.cat(parts, dim=-1), pooled)

    def to(self, device: torch.device, dtype: torch.dtype) -> BaseModel:
        """Move the base; the VAE stays float32, since SDXL's overflows in half precision."""
        self.vae.to(device)
        for part in (self.unet, *self.text_encoders):
            part.to(device, dtype)
        return self


def load_base(folder: str | Path, unet: str = "unet", channels: int = INPAINTING) -> BaseModel:
    """Load the model in a diffusers folder; `unet` is the subfolder of its UNet.

    Raises ValueError when a part is missing, the UNet does not read `channels`, or the base is of a kind that
    would train without an error and wrongly (see `_check_kind`).
    """
    folder = Path(folder)
    wanted = [unet, "vae", "scheduler", "tokenizer", "text_encoder"]
    if missing := [part for part in wanted if not (folder / part).is_dir()]:
        raise ValueError(
            f"base: {folder} has no {', '.join(missing)}; give a model in diffusers' layout, for example a "
            "folder that a pipeline's save_pretrained has written."
        )
    configs = {part: read_json(folder / part / "config.json") for part in (unet, "vae")}
    reads = configs[unet]["in_channels"]
    if reads != channels:
        raise ValueError(f"base: the UNet in {folder / unet} reads {reads} channels; give {KINDS[channels]}.")
    _check_kind(folder, configs[unet], configs["vae"])
    encoders = [name for name in TEXT_ENCODERS if (folder / name).is_dir()]
    parts = [_text_encoder(folder / name) for name in encoders]
    tokenizers = [name.replace("text_encoder", "tokenizer") for name in encoders]
    scheduler = DDPMScheduler.from_pretrained(folder, subfolder="scheduler", local_files_only=True)
    return BaseModel(
        folder,
        _frozen(UNet2DConditionModel, folder / unet),
        _frozen(AutoencoderKL, folder / "vae"),
        [CLIPTokenizer.from_pretrained(folder / name, local_files_only=True) for name in tokenizers],
        parts,
        scheduler,
    )


def _check_kind(folder: Path, unet: dict[str, Any], vae: dict[str, Any]) -> None:
    """Raise ValueError for a base that was not trained to predict noise by betas, as Stable Diffusion was."""
    scheduler = read_json(folder / "scheduler" / "scheduler_config.json")
    predicts = scheduler.get("prediction_type", "epsilon")
    has_betas = scheduler.get("trained_betas") or "beta_schedule" in scheduler
    found = ""
    if predicts != "epsilon":
        found = f"predicts {predicts}"
    elif not has_betas:
        found = f"has no betas in its scheduler, {scheduler.get('_class_name', 'which has no name')}"
    elif scheduler.get("rescale_betas_zero_snr"):
        found = "ends in noise without any signal (rescale_betas_zero_snr)"
    elif unet.get("time_cond_proj_dim"):
        found = "is distilled: its UNet reads the guidance (time_cond_proj_dim)"
    elif vae.get("latents_mean") or vae.get("shift_factor"):
        found = "has a VAE whose latents are shifted (latents_mean or shift_factor)"
    if found:
        raise ValueError(
            f"base: {folder} {found}; give a model that predicts noise (epsilon), such as SD1.5 or SDXL 1.0."
        )


def _text_encoder(folder: Path) -> nn.Module:
    projects = "CLIPTextModelWithProjection" in read_json(folder / "config.json").get("architectures", [])
    return _frozen(CLIPTextModelWithProjection if projects else CLIPTextModel, folder)


def _frozen(kind: Any, folder: Path) -> Any:
    model = kind.from_pretrained(
        folder, torch_dtype=torch.float32, local_files_only=True, use_safetensors=True
    )
    return model.eval().requires_grad_(False)
