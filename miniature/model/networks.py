"""The miniature Stable Diffusion: SD1.x's topology in small, as ordinary diffusers and transformers modules.

Two sizes of one config: 64-pixel scenes with a VAE of 4x, and 128-pixel scenes with one of 8x. Both
denoise 16x16 latents, so an object of 1/8 of the side is two latent cells wide and half a cell at the
bottom of the UNet, as in the big models.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDPMScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from ...core.files import read_json, write_json
from ...training.models.sampling import build_scheduler
from ..stored import WEIGHTS

TEXT_WIDTH = 192
TEXT_LENGTH = 32
VAE_CHANNELS = {64: (32, 64, 128), 128: (32, 64, 128, 128)}  # a level halves the picture, but the last
NETWORKS = {
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
    "unet": UNet2DConditionModel,
    "unet_inpainting": UNet2DConditionModel,
}
START_TOKEN, END_TOKEN = "<|startoftext|>", "<|endoftext|>"


@dataclass
class Miniature:
    """The parts of one pipeline. `unet` denoises 4 channels, its twin `unet_inpainting` reads 9."""

    vae: AutoencoderKL
    tokenizer: CLIPTokenizer
    text_encoder: CLIPTextModel
    unet: UNet2DConditionModel
    unet_inpainting: UNet2DConditionModel
    scheduler: DDPMScheduler

    @torch.no_grad()
    def embed(self, texts: list[str]) -> Tensor:
        """Embeddings (N, L, width) of texts."""
        return self.text_encoder(
            tokenize(self.tokenizer, texts).to(self.text_encoder.device)
        ).last_hidden_state


def build_vae(size: int) -> AutoencoderKL:
    channels = VAE_CHANNELS[size]
    return AutoencoderKL(
        sample_size=size,
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        norm_num_groups=8,  # with the usual 32, 32 channels would each lose their mean: the colours
        scaling_factor=1.0,
    )


def build_unet(in_channels: int = 4) -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=in_channels,
        out_channels=4,
        block_out_channels=(64, 128, 128),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        attention_head_dim=4,  # diffusers' old name for the number of heads
        cross_attention_dim=TEXT_WIDTH,
    )


def build_text_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=TEXT_WIDTH,
        intermediate_size=4 * TEXT_WIDTH,
        projection_dim=TEXT_WIDTH,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=TEXT_LENGTH,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def build_tokenizer(texts: Iterable[str], folder: Path) -> CLIPTokenizer:
    """A CLIP tokenizer, written to `folder`, in which every word of `texts` is one token.

    Byte pairs are merged until nothing is left to merge; all 256 bytes stay, so any text can be read.
    """
    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    words = Regex(r"[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    vocabulary = sorted({word for text in texts for word in text.lower().replace(",", " ").split()})
    bpe.train_from_iterator(
        vocabulary,
        trainers.BpeTrainer(
            vocab_size=100_000, min_frequency=1, end_of_word_suffix="</w>", show_progress=False
        ),
    )
    merges = json.loads(bpe.to_str())["model"]["merges"]
    byte_tokens = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*byte_tokens, *(token + "</w>" for token in byte_tokens), *("".join(pair) for pair in merges)]
    tokens = list(dict.fromkeys([*tokens, START_TOKEN, END_TOKEN]))
    settings = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": TEXT_LENGTH,
        "bos_token": START_TOKEN,
        "eos_token": END_TOKEN,
        "pad_token": END_TOKEN,
        "unk_token": END_TOKEN,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    return CLIPTokenizer.from_pretrained(folder)


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Token ids (len(texts), 32), padded as Stable Diffusion pads them."""
    ids = tokenizer(texts, padding="max_length", truncation=True, max_length=TEXT_LENGTH).input_ids
    return torch.tensor(ids)


def load(folder: Path = WEIGHTS, *, device: str | torch.device = "cpu") -> Miniature:
    """The stored miniature in `folder`, in float32, ready to sample.

    Raises ValueError if `folder` holds no miniature.
    """
    if not (folder / "unet").is_dir():
        raise ValueError(f"{folder} holds no miniature; train one with `python -m finesse.miniature.train`.")
    networks = load_networks(folder, *NETWORKS)
    for network in networks:
        network.to(device).eval().requires_grad_(False)
    return Miniature(
        tokenizer=CLIPTokenizer.from_pretrained(folder / "tokenizer"),
        scheduler=DDPMScheduler.from_pretrained(folder / "scheduler"),
        **dict(zip(NETWORKS, networks, strict=True)),
    )


def load_networks(folder: Path, *names: str) -> list[nn.Module]:
    """The stored networks of these names, in float32, ready to train."""
    precision = {name: "dtype" if name == "text_encoder" else "torch_dtype" for name in names}
    return [
        NETWORKS[name].from_pretrained(folder / name, **{precision[name]: torch.float32}).train()
        for name in names
    ]


def save(part: object, folder: Path) -> None:
    """Store one part as diffusers does, networks in fp16."""
    if not isinstance(part, nn.Module):
        part.save_pretrained(folder)
        return
    part.config.save_pretrained(folder) if isinstance(part, CLIPTextModel) else part.save_config(folder)
    config = read_json(folder / "config.json")
    config.pop("_name_or_path", None)  # where it was loaded from is nobody's business
    write_json(folder / "config.json", config)
    weights = {name: tensor.half().contiguous() for name, tensor in part.state_dict().items()}
    if isinstance(part, CLIPTextModel):  # the prefix every reader of SD folders knows
        weights = {f"text_model.{name.removeprefix('text_model.')}": w for name, w in weights.items()}
    name = "model" if isinstance(part, CLIPTextModel) else "diffusion_pytorch_model"
    save_file(weights, folder / f"{name}.safetensors", metadata={"format": "pt"})


def random(folder: Path, size: int = 64) -> None:
    """Write a miniature with random weights to `folder`."""
    torch.manual_seed(0)
    tokenizer = build_tokenizer(["a red car left of a dog on grass"], folder / "tokenizer")
    parts = {
        "vae": build_vae(size),
        "text_encoder": build_text_encoder(tokenizer),
        "unet": build_unet(4),
        "unet_inpainting": build_unet(9),
        "scheduler": build_scheduler(),
    }
    for name, part in parts.items():
        save(part, folder / name)
