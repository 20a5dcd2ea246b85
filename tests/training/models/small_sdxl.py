"""A small SDXL of random weights: two text encoders, pooled text and size embeddings."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

PROJECTED = 24  # width of the pooled text


def write_small_sdxl(folder: Path, miniature: Path, in_channels: int) -> Path:
    """Write it to `folder` as diffusers does, with the miniature's VAE, scheduler and tokenizer."""
    for part in ("vae", "scheduler", "tokenizer"):
        shutil.copytree(miniature / part, folder / part)
    shutil.copytree(folder / "tokenizer", folder / "tokenizer_2")
    torch.manual_seed(0)
    settings = CLIPTextConfig.from_pretrained(miniature / "text_encoder").to_dict() | {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "projection_dim": PROJECTED,
    }
    for part, kind in (("text_encoder", CLIPTextModel), ("text_encoder_2", CLIPTextModelWithProjection)):
        kind(CLIPTextConfig(**settings)).save_pretrained(folder / part)
    UNet2DConditionModel(
        sample_size=16,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        cross_attention_dim=64,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=PROJECTED + 6 * 8,
    ).save_pretrained(folder / "unet")
    return folder
