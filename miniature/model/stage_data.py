"""Scenes and maps for the miniature's stages of training, encoded once and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from diffusers import AutoencoderKL
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from ...core.files import file_hash
from ...training.loop.batches import ShuffledRows
from ...training.loop.cache import cached, code_hash, tensor_hash
from ...training.loop.config import TrainConfig, option
from ...training.models import sampling
from ..world.tensors import caption_text, load_maps, load_scenes
from . import inpainting_examples, networks


@dataclass
class StageArguments:
    """Settings: where and on what to train."""

    stage: str = option("", "what to train, one of the stages above")
    folder: str = option("runs/64", "checkpoints, previews, logs, caches and weights")
    size: int = option(64, "side of the scenes in pixels: 64 or 128")
    scenes: int = option(200_000, "scenes to train on")
    start: str = option("", "a folder of weights to go on from; empty starts from nothing")

    @property
    def runs(self) -> Path:
        return Path(self.folder)

    @property
    def weights(self) -> Path:
        return self.runs / "weights"

    @property
    def cache(self) -> Path:
        return self.runs / "cache"

    def scenes_and_maps(self, size: int) -> Tensor:
        """Pictures of scenes and half as many maps, uint8 (N, 3, size, size)."""
        scenes = load_scenes(self.cache, "train", self.scenes, size)["pixels"]
        return torch.cat([scenes, load_maps(self.cache, "train", self.scenes // 2, size)["pixels"]])


def example_streams(
    arguments: StageArguments,
    config: TrainConfig,
    device: torch.device,
    makers: dict[str, Callable[..., dict[str, Tensor]]],
) -> tuple[list[ShuffledRows], Tensor]:
    """Cached examples for inpainting, a stream a maker, and the embedding (L, width) of no text.

    A maker is called with the training scenes, the VAE and a function that embeds texts.
    """
    vae, vae_hash = frozen_vae(arguments, device)
    tokenizer = CLIPTokenizer.from_pretrained(arguments.weights / "tokenizer")
    (text_encoder,) = networks.load_networks(arguments.weights, "text_encoder")
    text_encoder.to(device).eval().requires_grad_(False)
    scenes = load_scenes(arguments.cache, "train", arguments.scenes, arguments.size)

    def embedded(texts: list[str]) -> Tensor:
        return embed(texts, tokenizer, text_encoder).cpu()

    causes = {
        "vae": vae_hash,
        "text": file_hash(arguments.weights / "text_encoder" / "model.safetensors"),
        "scenes": [arguments.scenes, arguments.size, config.precision, config.seed],
        "code": code_hash(__name__, inpainting_examples.__name__),
        "pixels": tensor_hash(scenes["pixels"]),
    }
    streams = []
    for name, make in makers.items():
        examples = cached(arguments.cache, name, causes, partial(make, scenes, vae, embedded))
        examples = {name: tensor.to(device) for name, tensor in examples.items()}
        streams.append(ShuffledRows(examples, config.batch_size, config.seed))
    return streams, embedded([""])[0].float()


def latents_of(
    arguments: StageArguments, pixels: Tensor, vae: AutoencoderKL, causes: dict[str, object]
) -> Tensor:
    """Cached scaled latents fp16 (N, 4, h, w) of scenes' pixels uint8 (N, 3, H, W)."""
    device, fast = vae.device, causes["precision"] != "no"

    def make() -> dict[str, Tensor]:
        parts = pixels.split(sampling.CHUNK)
        latents = [sampling.encode(vae, part.to(device).float() / 255, fast=fast).half() for part in parts]
        return {"latents": torch.cat(latents).cpu()}

    causes = causes | {"pixels": tensor_hash(pixels), "code": code_hash(__name__)}
    return cached(arguments.cache, "latents", causes, make)["latents"]


def tokens_of(
    arguments: StageArguments, captions: Tensor, tokenizer: CLIPTokenizer, causes: dict[str, object]
) -> Tensor:
    """Cached tokens int16 (N, 32) of caption rows."""

    def make() -> dict[str, Tensor]:
        return {"tokens": networks.tokenize(tokenizer, [caption_text(row) for row in captions]).short()}

    vocabulary = file_hash(arguments.weights / "tokenizer" / "vocab.json")
    causes = causes | {"vocabulary": vocabulary, "captions": tensor_hash(captions)}
    causes["code"] = code_hash(__name__)
    return cached(arguments.cache, "tokens", causes, make)["tokens"]


@torch.no_grad()
def embed(texts: list[str], tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> Tensor:
    """Embeddings (N, L, width) fp16 on the text encoder's device, some texts at a time."""
    parts = networks.tokenize(tokenizer, texts).to(text_encoder.device).split(512)
    return torch.cat([text_encoder(part).last_hidden_state.half() for part in parts])


def frozen_vae(arguments: StageArguments, device: torch.device) -> tuple[AutoencoderKL, str]:
    """The trained VAE, and the hash of its weights as a cause."""
    (vae,) = networks.load_networks(arguments.weights, "vae")
    weights = arguments.weights / "vae" / "diffusion_pytorch_model.safetensors"
    return vae.to(device).eval().requires_grad_(False), file_hash(weights)
