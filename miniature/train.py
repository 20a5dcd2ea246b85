"""Train the miniature from nothing, in five stages; each is the project's own trainer on scenes made here.

    python -m finesse.miniature.train --stage vae --folder runs/64
    python -m finesse.miniature.train --stage classifier --folder runs/64
    python -m finesse.miniature.train --stage segmenter --folder runs/64
    python -m finesse.miniature.train --stage text_to_image --folder runs/64
    python -m finesse.miniature.train --stage inpainting --folder runs/64

The weights gather in FOLDER/weights as a diffusers folder. Every field of TrainConfig is a flag; the defaults
suit a data centre GPU (about half an hour in all), `--steps` and `--batch_size` suit them to less.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTokenizer, HfArgumentParser

from ..core.files import write_json
from ..core.schedule import NoiseSchedule
from ..training.batches import Alternating, Crops, ShuffledRows
from ..training.cache import cached, file_hash
from ..training.config import TrainConfig, option
from ..training.denoising import DenoisingTask, use_plain_attention
from ..training.trainer import Task, train
from ..training.vae import AutoencoderTask
from . import inpainting, judges, models, sampling
from .data import caption_text, load_maps, load_scenes


@dataclass
class Arguments:
    """Where and on what to train."""

    stage: str = option("", "vae, classifier, segmenter, text_to_image or inpainting")
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


def train_vae(arguments: Arguments, config: TrainConfig, accelerator: Accelerator) -> None:
    device = accelerator.device
    vae = models.build_vae(arguments.size)
    if arguments.start:
        (vae,) = models.load_networks(Path(arguments.start), "vae")
    vae.to(device, memory_format=torch.channels_last).train()
    shown = load_scenes(arguments.cache, "validation", 16, arguments.size)["pixels"].float().to(device) / 255

    def preview() -> Image.Image:
        return sampling.grid(torch.cat([shown, sampling.decode(vae, sampling.encode(vae, shown))]), 16, 2)

    full, half = (
        ShuffledRows({"pixels": arguments.scenes_and_maps(size).to(device)}, config.batch_size, config.seed)
        for size in (arguments.size, arguments.size // 2)
    )
    scenes = load_scenes(arguments.cache, "train", arguments.scenes, arguments.size)
    scenes = {name: scenes[name].to(device) for name in ("pixels", "box", "seen")}
    objects = ShuffledRows(scenes, config.batch_size, config.seed)
    # More objects for the same work: a crop costs a quarter of a picture.
    parts = Crops(objects, arguments.size // 2, config.batch_size, config.seed)
    batches = Alternating((full, half, parts), (0, 2, 2, 2, 1, 2, 2, 2))
    train(AutoencoderTask(vae, make_preview=preview), batches, config, arguments.runs / "vae", accelerator)
    some = full.tensors["pixels"][:4096].split(sampling.CHUNK)
    latents = torch.cat([sampling.encode(vae, part.to(device).float() / 255) for part in some])
    scale = 1.0 / latents.std().item()
    vae.register_to_config(scaling_factor=scale)
    models.save(vae, arguments.weights / "vae")
    linear = sampling.linear_preview(latents[:1024].cpu() * scale, full.tensors["pixels"][:1024].cpu() / 255)
    write_json(arguments.weights / "vae" / "latent_preview.json", linear)


def train_judge(
    name: str,
    judge: nn.Module,
    task: Task,
    arguments: Arguments,
    config: TrainConfig,
    accelerator: Accelerator,
) -> None:
    scenes = load_scenes(arguments.cache, "train", arguments.scenes, arguments.size)
    scenes = {key: tensor.to(accelerator.device) for key, tensor in scenes.items() if key != "caption"}
    rows = ShuffledRows(scenes, config.batch_size, config.seed)
    train(task, rows, config, arguments.runs / name, accelerator)
    judges.save_judge(judge, arguments.weights / "judges" / f"{name}.safetensors")


def train_classifier(*settings: Any) -> None:
    judge = judges.Classifier()
    train_judge("classifier", judge, judges.ClassifierTask(judge), *settings)


def train_segmenter(*settings: Any) -> None:
    judge = judges.Segmenter()
    train_judge("segmenter", judge, judges.SegmenterTask(judge), *settings)


def train_text_to_image(arguments: Arguments, config: TrainConfig, accelerator: Accelerator) -> None:
    device = accelerator.device
    vae, vae_hash = _vae(arguments, device)
    full = load_scenes(arguments.cache, "train", arguments.scenes, arguments.size)
    texts = [caption_text(row) for row in full["caption"][:20_000]]
    tokenizer = models.build_tokenizer(texts, arguments.weights / "tokenizer")
    text_encoder, unet = models.build_text_encoder(tokenizer), models.build_unet()
    if arguments.start:
        text_encoder, unet = models.load_networks(Path(arguments.start), "text_encoder", "unet")
    if device.type == "cpu":
        use_plain_attention(unet, text_encoder)
    half = load_scenes(arguments.cache, "train", arguments.scenes // 2, arguments.size // 2)
    views = {"full": full, "half": half, "near": inpainting.around_objects(full, config.seed)}
    streams = []
    for name, scenes in views.items():
        causes = {
            "view": [name, arguments.scenes, arguments.size, config.seed],
            "code": file_hash(Path(inpainting.__file__)),
            "vae": vae_hash,
            "precision": config.precision,
        }
        latents = latents_of(arguments, scenes["pixels"], vae, causes).to(device)
        tokens = tokens_of(arguments, scenes["caption"], tokenizer, causes).to(device)
        streams.append(ShuffledRows({"latents": latents, "tokens": tokens}, config.batch_size, config.seed))
    empty = tokenize(tokenizer, [""])[0].to(device)
    prompts = [
        caption_text(row) for row in load_scenes(arguments.cache, "validation", 32, arguments.size)["caption"]
    ]
    shown = tokenize(tokenizer, prompts).to(device)

    def preview() -> Image.Image:
        with torch.no_grad():
            context, nothing = (text_encoder(t).last_hidden_state for t in (shown, empty[None]))
        noise = sampling.noise_for(range(32), (4, 16, 16), device)
        return sampling.grid(sampling.decode(vae, sampling.sample(unet, context, nothing[0], noise)), 8, 2)

    task = DenoisingTask(
        unet, NoiseSchedule.scaled_linear(), empty, text_encoder=text_encoder, make_preview=preview
    )
    batches = Alternating(streams, (0, 2, 2, 0, 2, 1))
    train(task, batches, config, arguments.runs / "text_to_image", accelerator)
    models.save(text_encoder, arguments.weights / "text_encoder")
    models.save(unet, arguments.weights / "unet")
    models.save(models.build_scheduler(), arguments.weights / "scheduler")


def train_inpainting(arguments: Arguments, config: TrainConfig, accelerator: Accelerator) -> None:
    make = partial(inpainting.make_examples, seed=config.seed, fast=config.precision != "no")

    def near(scenes: dict[str, Tensor], *parts: Any) -> dict[str, Tensor]:
        return make(inpainting.around_objects(scenes, config.seed), *parts, objects=1.0)

    makers = {"inpainting": make, "inpainting-near": near}
    streams, empty = example_streams(arguments, config, accelerator.device, makers)
    if arguments.start:
        (unet,) = models.load_networks(Path(arguments.start), "unet_inpainting")
    else:
        unet = inpainting.widened(models.build_unet(9), arguments.weights / "unet")
    if accelerator.device.type == "cpu":
        use_plain_attention(unet)
    task = DenoisingTask(unet, NoiseSchedule.scaled_linear(), empty)
    train(task, Alternating(streams, (0, 1, 1, 1)), config, arguments.runs / "inpainting", accelerator)
    models.save(unet, arguments.weights / "unet_inpainting")


def example_streams(
    arguments: Arguments,
    config: TrainConfig,
    device: torch.device,
    makers: dict[str, Callable[..., dict[str, Tensor]]],
) -> tuple[list[ShuffledRows], Tensor]:
    """Cached examples for inpainting, a stream a maker, and the embedding (L, width) of no text.

    A maker is called with the training scenes, the VAE and a function that embeds texts.
    """
    vae, vae_hash = _vae(arguments, device)
    tokenizer = CLIPTokenizer.from_pretrained(arguments.weights / "tokenizer")
    (text_encoder,) = models.load_networks(arguments.weights, "text_encoder")
    text_encoder.to(device).eval().requires_grad_(False)
    scenes = load_scenes(arguments.cache, "train", arguments.scenes, arguments.size)

    @torch.no_grad()
    def embed(texts: list[str]) -> Tensor:
        parts = tokenize(tokenizer, texts).to(device).split(512)
        return torch.cat([text_encoder(part).last_hidden_state.half().cpu() for part in parts])

    causes = {
        "vae": vae_hash,
        "text": file_hash(arguments.weights / "text_encoder" / "model.safetensors"),
        "scenes": [arguments.scenes, arguments.size, config.precision, config.seed],
        "code": file_hash(Path(inpainting.__file__)),
    }
    streams = []
    for name, make in makers.items():
        examples = cached(arguments.cache, name, causes, partial(make, scenes, vae, embed))
        examples = {name: tensor.to(device) for name, tensor in examples.items()}
        streams.append(ShuffledRows(examples, config.batch_size, config.seed))
    return streams, embed([""])[0].float()


def latents_of(arguments: Arguments, pixels: Tensor, vae: AutoencoderKL, causes: dict[str, object]) -> Tensor:
    """Cached scaled latents fp16 (N, 4, h, w) of scenes' pixels uint8 (N, 3, H, W)."""
    device, fast = vae.device, causes["precision"] != "no"

    def make() -> dict[str, Tensor]:
        parts = pixels.split(sampling.CHUNK)
        latents = [sampling.encode(vae, part.to(device).float() / 255, fast=fast).half() for part in parts]
        return {"latents": torch.cat(latents).cpu()}

    return cached(arguments.cache, "latents", causes, make)["latents"]


def tokens_of(
    arguments: Arguments, captions: Tensor, tokenizer: CLIPTokenizer, causes: dict[str, object]
) -> Tensor:
    """Cached tokens int16 (N, 32) of caption rows."""

    def make() -> dict[str, Tensor]:
        return {"tokens": tokenize(tokenizer, [caption_text(row) for row in captions]).short()}

    vocabulary = file_hash(arguments.weights / "tokenizer" / "vocab.json")
    return cached(arguments.cache, "tokens", causes | {"vocabulary": vocabulary}, make)["tokens"]


def tokenize(tokenizer: CLIPTokenizer, texts: list[str]) -> Tensor:
    """Token ids (len(texts), 32), padded as Stable Diffusion pads them."""
    ids = tokenizer(texts, padding="max_length", truncation=True, max_length=models.TEXT_LENGTH).input_ids
    return torch.tensor(ids)


def _vae(arguments: Arguments, device: torch.device) -> tuple[AutoencoderKL, str]:
    (vae,) = models.load_networks(arguments.weights, "vae")
    weights = arguments.weights / "vae" / "diffusion_pytorch_model.safetensors"
    return vae.to(device).eval().requires_grad_(False), file_hash(weights)


STAGES: dict[str, Callable[[Arguments, TrainConfig, Accelerator], None]] = {
    "vae": train_vae,
    "classifier": train_classifier,
    "segmenter": train_segmenter,
    "text_to_image": train_text_to_image,
    "inpainting": train_inpainting,
}
_plan = partial(TrainConfig, optimizer="muon")
PLANS = {
    "vae": _plan(steps=6_000, batch_size=256, learning_rate=4e-3, weight_decay=0.0, ema_decay=0.998),
    "classifier": _plan(steps=6_000, batch_size=256, learning_rate=3e-3, preview_every=0),
    "segmenter": _plan(steps=6_000, batch_size=256, learning_rate=3e-3, preview_every=0),
    "text_to_image": _plan(steps=20_000, batch_size=512, learning_rate=4e-3, ema_decay=0.9995),
    "inpainting": _plan(
        steps=8_000, batch_size=512, learning_rate=3e-3, ema_decay=0.9995, preview_every=0, seed=1
    ),
}


def main() -> None:
    first = HfArgumentParser(Arguments)
    stage = first.parse_known_args()[0].stage
    if stage not in STAGES:
        first.error(f"--stage: got {stage!r}; use one of {', '.join(STAGES)}")
    parser = HfArgumentParser((Arguments, TrainConfig))
    parser.set_defaults(**asdict(PLANS[stage]))
    arguments, config = parser.parse_args_into_dataclasses()
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    STAGES[stage](arguments, config, Accelerator(mixed_precision=config.precision))


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
