"""Train the miniature from nothing, in eight stages; each is the project's own trainer on scenes made here.

    python -m finesse.miniature.train --stage vae --folder runs/64
    python -m finesse.miniature.train --stage classifier --folder runs/64
    python -m finesse.miniature.train --stage segmenter --folder runs/64
    python -m finesse.miniature.train --stage text_to_image --folder runs/64
    python -m finesse.miniature.train --stage inpainting --folder runs/64
    python -m finesse.miniature.train --stage image_factor --folder runs/64
    python -m finesse.miniature.train --stage segformer --folder runs/64
    python -m finesse.miniature.train --stage subjects --folder runs/64

The weights gather in FOLDER/weights as a diffusers folder. Every field of TrainConfig is a flag; the defaults
are meant for a data centre GPU, `--steps` and `--batch_size` suit them to less.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers import ControlNetModel
from diffusers.models.attention_processor import AttnProcessor
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTokenizer

from ..core.files import write_json
from ..core.schedule import NoiseSchedule
from ..training.loop.batches import Alternating, Crops, ShuffledRows
from ..training.loop.config import TrainConfig, parse, script
from ..training.loop.trainer import Task, train
from ..training.models import sampling
from ..training.models.controlled_unet import ControlledUNet
from ..training.models.denoising import DenoisingTask, use_plain_attention
from ..training.vae import AutoencoderTask
from .model import (
    image_factor,
    inpainting_examples,
    judges,
    networks,
    segformer,
    subjects,
)
from .model.stage_data import StageArguments, example_streams, frozen_vae, latents_of, tokens_of
from .world.tensors import caption_text, load_scenes


def train_vae(arguments: StageArguments, config: TrainConfig, accelerator: Accelerator) -> None:
    device = accelerator.device
    vae = networks.build_vae(arguments.size)
    if arguments.start:
        (vae,) = networks.load_networks(Path(arguments.start), "vae")
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
    networks.save(vae, arguments.weights / "vae")
    linear = sampling.linear_preview(latents[:1024].cpu() * scale, full.tensors["pixels"][:1024].cpu() / 255)
    write_json(arguments.weights / "vae" / "latent_preview.json", linear)


def train_judge(
    name: str,
    judge: nn.Module,
    task: Task,
    arguments: StageArguments,
    config: TrainConfig,
    accelerator: Accelerator,
) -> None:
    if arguments.start:
        stored = Path(arguments.start) / "judges" / f"{name}.safetensors"
        judges.load_judge(judge, stored).train().requires_grad_(True)
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


def train_text_to_image(arguments: StageArguments, config: TrainConfig, accelerator: Accelerator) -> None:
    device = accelerator.device
    vae, vae_hash = frozen_vae(arguments, device)
    full = load_scenes(arguments.cache, "train", arguments.scenes, arguments.size)
    if arguments.start:
        start = Path(arguments.start)
        copied = shutil.copytree(start / "tokenizer", arguments.weights / "tokenizer", dirs_exist_ok=True)
        tokenizer = CLIPTokenizer.from_pretrained(copied)
        text_encoder, unet = networks.load_networks(start, "text_encoder", "unet")
    else:
        texts = [caption_text(row) for row in full["caption"][:20_000]]
        tokenizer = networks.build_tokenizer(texts, arguments.weights / "tokenizer")
        text_encoder, unet = networks.build_text_encoder(tokenizer), networks.build_unet()
    if device.type == "cpu":
        use_plain_attention(unet, text_encoder)
    half = load_scenes(arguments.cache, "train", arguments.scenes // 2, arguments.size // 2)
    views = {"full": full, "half": half, "near": inpainting_examples.around_objects(full, config.seed)}
    streams = []
    for name, scenes in views.items():
        causes = {
            "view": [name, arguments.scenes, arguments.size, config.seed],
            "vae": vae_hash,
            "precision": config.precision,
        }
        latents = latents_of(arguments, scenes["pixels"], vae, causes).to(device)
        tokens = tokens_of(arguments, scenes["caption"], tokenizer, causes).to(device)
        streams.append(ShuffledRows({"latents": latents, "tokens": tokens}, config.batch_size, config.seed))
    empty = networks.tokenize(tokenizer, [""])[0].to(device)
    prompts = [
        caption_text(row) for row in load_scenes(arguments.cache, "validation", 32, arguments.size)["caption"]
    ]
    shown = networks.tokenize(tokenizer, prompts).to(device)

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
    networks.save(text_encoder, arguments.weights / "text_encoder")
    networks.save(unet, arguments.weights / "unet")
    networks.save(sampling.build_scheduler(), arguments.weights / "scheduler")


def train_inpainting(arguments: StageArguments, config: TrainConfig, accelerator: Accelerator) -> None:
    make = partial(inpainting_examples.make_examples, seed=config.seed, fast=config.precision != "no")

    def near(scenes: dict[str, Tensor], *parts: Any) -> dict[str, Tensor]:
        return make(inpainting_examples.around_objects(scenes, config.seed), *parts, objects=1.0)

    makers = {"inpainting": make, "inpainting-near": near}
    streams, empty = example_streams(arguments, config, accelerator.device, makers)
    if arguments.start:
        (unet,) = networks.load_networks(Path(arguments.start), "unet_inpainting")
    else:
        unet = inpainting_examples.widened(networks.build_unet(9), arguments.weights / "unet")
    if accelerator.device.type == "cpu":
        use_plain_attention(unet)
    task = DenoisingTask(unet, NoiseSchedule.scaled_linear(), empty)
    train(task, Alternating(streams, (0, 1, 1, 1)), config, arguments.runs / "inpainting", accelerator)
    networks.save(unet, arguments.weights / "unet_inpainting")


def train_image_factor(arguments: StageArguments, config: TrainConfig, accelerator: Accelerator) -> None:
    device = accelerator.device
    vae, vae_hash = frozen_vae(arguments, device)
    tokenizer = CLIPTokenizer.from_pretrained(arguments.weights / "tokenizer")
    frozen = [
        network.to(device).eval().requires_grad_(False)
        for network in networks.load_networks(arguments.weights, "text_encoder", "unet")
    ]
    text_encoder, unet = frozen
    if arguments.start:
        control = ControlNetModel.from_pretrained(arguments.start).float()
    else:
        control = ControlNetModel.from_unet(unet)
    if device.type == "cpu":
        use_plain_attention(unet, text_encoder)
        control.set_attn_processor(AttnProcessor())
    pairs = image_factor.load_pairs(arguments.cache, arguments.scenes, arguments.size)
    causes = {"view": ["image_factor", arguments.scenes, arguments.size], "vae": vae_hash}
    causes["precision"] = config.precision
    tensors = {
        "latents": latents_of(arguments, pairs["pixels"], vae, causes),
        "tokens": tokens_of(arguments, pairs["caption"], tokenizer, causes),
        "labels": pairs["labels"],
    }
    rows = ShuffledRows(
        {key: value.to(device) for key, value in tensors.items()}, config.batch_size, config.seed
    )
    empty = networks.tokenize(tokenizer, [""])[0].to(device)
    controlled = ControlledUNet(unet, control.to(device).train().requires_grad_(True))
    shown = {key: value[:16] for key, value in rows.tensors.items()}

    @torch.no_grad()
    def preview() -> Image.Image:
        controlled.hint = image_factor.painted(shown["labels"])
        texts = (shown["tokens"].long(), empty[None])
        context, nothing = (text_encoder(text).last_hidden_state for text in texts)
        made = sampling.sample(
            controlled, context, nothing[0], sampling.noise_for(range(16), (4, 16, 16), device)
        )
        hints = torch.nn.functional.interpolate(controlled.hint, size=[arguments.size] * 2)
        return sampling.grid(torch.cat([hints.cpu(), sampling.decode(vae, made).cpu()]), 16, 2)

    task = image_factor.ImageFactorTask(
        controlled,
        NoiseSchedule.scaled_linear(),
        empty,
        text_encoder=text_encoder,
        text_dropout=0.3,
        make_preview=preview,
    )
    train(task, rows, config, arguments.runs / "image_factor", accelerator)
    networks.save(control, arguments.weights / "controlnet")


def train_segformer(arguments: StageArguments, config: TrainConfig, accelerator: Accelerator) -> None:
    pairs = image_factor.load_pairs(arguments.cache, arguments.scenes, arguments.size)
    tensors = {key: pairs[key].to(accelerator.device) for key in ("pixels", "labels")}
    network = segformer.build_segformer(arguments.size)
    rows = ShuffledRows(tensors, config.batch_size, config.seed)
    train(segformer.SegformerTask(network), rows, config, arguments.runs / "segformer", accelerator)
    segformer.save_segformer(network, arguments.size, arguments.weights / "segformer")


STAGES: dict[str, Callable[[StageArguments, TrainConfig, Accelerator], None]] = {
    "vae": train_vae,
    "classifier": train_classifier,
    "segmenter": train_segmenter,
    "text_to_image": train_text_to_image,
    "inpainting": train_inpainting,
    "image_factor": train_image_factor,
    "segformer": train_segformer,
    "subjects": subjects.train_subjects,
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
    "segformer": _plan(steps=6_000, batch_size=256, learning_rate=3e-3, preview_every=0),
    "image_factor": _plan(steps=4_000, batch_size=512, learning_rate=2e-3, ema_decay=0.999),
    "subjects": _plan(steps=4_000, batch_size=512, learning_rate=3e-3, weight_decay=0.0, ema_decay=0.999),
}


def plan_of(flags: Any) -> dict[str, Any]:
    """The settings of a stage. ValueError for an unknown one."""
    if flags.stage not in STAGES:
        raise ValueError(f"stage: got {flags.stage!r}; use one of {', '.join(STAGES)}.")
    return asdict(PLANS[flags.stage])


def main() -> None:
    arguments, config = parse([StageArguments, TrainConfig], plan_of)
    if torch.cuda.is_available():
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    STAGES[arguments.stage](arguments, config, Accelerator(mixed_precision=config.precision))


if __name__ == "__main__":
    script(main)
