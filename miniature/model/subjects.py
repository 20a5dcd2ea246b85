"""Teaches the miniature LayerDiffusion's photos: one large subject, what it does, and an empty place.

The UNet that everything else here stands on draws many small things; a LoRA on it, as ordinary as those that
users put on their models, teaches it people who do what the prompt says, and places without anybody.
"""

from __future__ import annotations

import numpy as np
import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from ...core.schedule import NoiseSchedule
from ...training.loop.batches import Alternating, ShuffledRows
from ...training.loop.config import TrainConfig
from ...training.loop.trainer import train
from ...training.models import sampling
from ...training.models.denoising import DenoisingTask, use_plain_attention
from ...training.models.edit_weights import LowRankWeights
from ...training.models.lora import save_lora
from ..world.backgrounds import BACKGROUNDS, PLACES, draw_background
from ..world.tensors import caption_row, caption_text, load_scenes
from ..world.things import SUBJECTS, SUBJECTS_LORA, THINGS
from . import inpainting_examples, networks
from .stage_data import StageArguments, embed, frozen_vae, latents_of

SMALLEST = 0.3  # of the picture's side, from which on a thing is a subject
RANK = 16
EMPTY_PLACES = 1 / 10  # as many empty places as this part of the scenes
SHOWN = (("dancing", "grass"), ("running", "snow"), ("sitting", "room"), ("kneeling", "beach"))
EMPTY_SHOWN = ("on the beach", "grass")


def load_subjects(arguments: StageArguments) -> dict[str, Tensor]:
    """Scenes of one subject each, people twice, as from `load_scenes`."""
    scenes = load_scenes(arguments.cache, "train", arguments.scenes, arguments.size, 1, SUBJECTS)
    extent = (scenes["box"][:, 0, 2:] - scenes["box"][:, 0, :2]).amax(dim=-1)
    large = (extent >= SMALLEST * arguments.size).nonzero().flatten()
    people = large[scenes["thing"][large, 0] == THINGS.index("person")]
    rows = torch.cat([large, people])
    return {name: tensor[rows] for name, tensor in scenes.items()}


def empty_places(count: int, size: int, seed: int) -> dict[str, Tensor]:
    """pixels uint8 (N, 3, size, size) and caption rows of places with nothing there: "on grass", "grass"."""
    pixels, captions = [], []
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        place = PLACES[BACKGROUNDS[number % len(BACKGROUNDS)]]
        horizon = rng.uniform(*place.horizon)
        drawn = draw_background(BACKGROUNDS[number % len(BACKGROUNDS)], horizon, size, rng)
        pixels.append(drawn.pixels.transpose(2, 0, 1))  # HWC -> CHW
        captions.append(caption_row(place.phrase if rng.random() < 0.5 else place.phrase.split(" ", 1)[1]))
    return {"pixels": torch.from_numpy(np.stack(pixels)), "caption": torch.from_numpy(np.stack(captions))}


def train_subjects(arguments: StageArguments, config: TrainConfig, accelerator: Accelerator) -> None:
    """The stage `subjects` of `miniature.train`: a LoRA on the stored UNet, in `runs`/subjects."""
    device = accelerator.device
    vae, vae_hash = frozen_vae(arguments, device)
    tokenizer = CLIPTokenizer.from_pretrained(arguments.weights / "tokenizer")
    unet, text_encoder = networks.load_networks(arguments.weights, "unet", "text_encoder")
    text_encoder.to(device).eval().requires_grad_(False)
    LowRankWeights(unet, RANK, config.seed)
    if device.type == "cpu":
        use_plain_attention(unet)
    full = load_subjects(arguments)
    empty = empty_places(round(EMPTY_PLACES * len(full["pixels"])), arguments.size, config.seed)
    whole = {name: torch.cat([full[name], empty[name]]) for name in empty}
    causes = {"vae": vae_hash, "precision": config.precision}
    streams = []
    for scenes in (whole, inpainting_examples.around_objects(full, config.seed)):
        latents = latents_of(arguments, scenes["pixels"], vae, causes).to(device)
        context = contexts(scenes["caption"], tokenizer, text_encoder)
        streams.append(ShuffledRows({"latents": latents, "context": context}, config.batch_size, config.seed))
    nothing = embed([""], tokenizer, text_encoder)[0].float()
    texts = [f"a {action} person {PLACES[place].phrase}" for action, place in SHOWN] + list(EMPTY_SHOWN)
    shown = embed(texts, tokenizer, text_encoder).float()

    def preview() -> Image.Image:
        context = shown.repeat_interleave(2, dim=0)
        noise = sampling.noise_for(range(len(context)), (4, 16, 16), device)
        return sampling.grid(sampling.decode(vae, sampling.sample(unet, context, nothing, noise)).cpu(), 8, 2)

    task = DenoisingTask(unet, NoiseSchedule.scaled_linear(), nothing, make_preview=preview)
    train(task, Alternating(streams, (0, 1, 1)), config, arguments.runs / "subjects", accelerator)
    if accelerator.is_main_process:
        save_lora(unet, arguments.weights / SUBJECTS_LORA, {})


def contexts(captions: Tensor, tokenizer: CLIPTokenizer, text_encoder: CLIPTextModel) -> Tensor:
    """Embeddings (N, L, width) of caption rows, each different text encoded once."""
    rows, which = torch.unique(captions, dim=0, return_inverse=True)
    return embed([caption_text(row) for row in rows], tokenizer, text_encoder)[which.to(text_encoder.device)]
