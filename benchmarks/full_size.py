"""Full-size base models with random weights: what speed and file formats are measured on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from ..miniature.model import networks
from ..training.models.sampling import build_scheduler

UNETS: dict[str, dict[str, Any]] = {  # unet/config.json as published with each model
    "sd15-inpainting": {
        "in_channels": 9,
        "sample_size": 64,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    "sdxl-inpainting": {
        "in_channels": 9,
        "sample_size": 128,
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "block_out_channels": (320, 640, 1280),
        "transformer_layers_per_block": (1, 2, 10),
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    },
    "sd15": {
        "in_channels": 4,
        "sample_size": 64,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
}
_CLIP_L = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
}
_CLIP_G = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
ENCODERS = {
    "sd15-inpainting": [(CLIPTextModel, _CLIP_L)],
    "sdxl-inpainting": [(CLIPTextModel, _CLIP_L), (CLIPTextModelWithProjection, _CLIP_G)],
    "sd15": [(CLIPTextModel, _CLIP_L)],
}
VAE = {
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 2,
    "scaling_factor": 0.18215,
}


def write_base(kind: str, folder: Path) -> Path:
    """A diffusers folder of a published kind with random weights; its tokenizer is the miniature's."""
    if kind not in UNETS:
        raise ValueError(f"random: got {kind!r}; give one of {', '.join(UNETS)}.")
    torch.manual_seed(0)
    UNet2DConditionModel(**UNETS[kind]).save_pretrained(folder / "unet")
    AutoencoderKL(latent_channels=4, sample_size=512, **VAE).save_pretrained(folder / "vae")
    build_scheduler().save_pretrained(folder / "scheduler")
    for end, (encoder, settings) in zip(("", "_2"), ENCODERS[kind], strict=False):
        encoder(CLIPTextConfig(**settings)).save_pretrained(folder / f"text_encoder{end}")
        shutil.copytree(networks.WEIGHTS / "tokenizer", folder / f"tokenizer{end}")
    return folder
