"""Learns one edit of one photo with a diffusers model (LayerDiffusion, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ...core.layers import learning
from ...core.layers.files import NAMES, POOLED
from ...core.layers.learning import FULL, LOW_RANK, RATES
from ...core.layers.losses import split_layers
from ..loop.config import option
from ..models import sampling
from ..models.base_model import PLAIN, BaseModel, Embedded
from ..models.denoising import use_plain_attention
from ..models.edit_weights import as_denoiser, edit_weights
from .photo_edits import PhotoEdit, read_mask, read_picture

AT_ONCE = 4  # pictures sampled in one batch


@dataclass
class LayeredConfig:
    """Settings of layered edits: what to learn from which photos, for how long, and what to draw of it."""

    base: str = option("", "folder of the text-to-image model, in diffusers' layout")
    edits: str = option("", "a file with one edit a line, see above")
    folder: str = option("runs/edits", "where the results go")
    unet: str = option("unet", "subfolder of the base's UNet")
    resolution: int = option(
        512, "side in pixels to which the middle square of a photo is scaled; 1024 for SDXL"
    )
    embedding_steps: int = option(500, "steps that fit the texts to object and background")
    embedding_rate: float = option(1e-3, "learning rate of the texts")
    alpha: float = option(0.7, "share of the object's text in the edit's text; the rest is the background's")
    weights: Literal["full", "low-rank"] = option(
        "full", "which weights of the model learn; low-rank needs less memory"
    )
    rank: int = option(16, "rank of low-rank weights")
    fine_tuning_steps: int = option(250, "steps that fit the model")
    learning_rate: float = option(
        0.0, f"learning rate of the weights; 0 takes {RATES[FULL]}, or {RATES[LOW_RANK]} for low-rank"
    )
    object_weight: float = option(2.0, "weight of the object's loss in fine-tuning; 3 for small objects")
    background_weight: float = option(1.0, "weight of the background's loss in fine-tuning")
    pictures: int = option(4, "pictures to draw of each edit, with the seeds 0, 1, ...")
    sampling_steps: int = option(50, "sampling steps of each picture, and of a drawn reference")
    guidance: float = option(7.5, "classifier-free guidance")
    object_every: int = option(
        2, "every so many sampling steps, one is guided by the object's text; 0 guides none by it"
    )
    seed: int = option(
        0, "noise and timesteps depend on it and on the step alone, so they are the same in every edit"
    )
    precision: Literal["no", "bf16"] = option("no", "precision of the UNet, by autocast")
    gradient_checkpointing: bool = option(
        False, "save memory: compute parts of the forward pass again in the backward pass"
    )
    dry_run: bool = option(False, "say what would be learnt, with how much memory and disk, and stop")

    def __post_init__(self) -> None:
        for name, low, high in (
            ("resolution", 1, 8192),
            ("embedding_steps", 1, 1_000_000),
            ("alpha", 0, 1),
            ("rank", 1, 1024),
            ("fine_tuning_steps", 1, 1_000_000),
            ("learning_rate", 0, 1),
            ("object_weight", 0, 1000),
            ("background_weight", 0, 1000),
            ("pictures", 0, 1000),
            ("sampling_steps", 2, 1000),
            ("object_every", 0, 1000),
            ("seed", 0, 2**63 - 1),
        ):
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"{name} is {getattr(self, name)}; give {low} to {high}.")
        if not 0 < self.embedding_rate <= 1:
            raise ValueError(f"embedding_rate is {self.embedding_rate}; give more than 0, at most 1.")
        if not self.object_weight and not self.background_weight:
            raise ValueError("object_weight and background_weight are both 0; give one of them above it.")

    @property
    def rate(self) -> float:
        return self.learning_rate or RATES[self.weights]

    @property
    def low_rank(self) -> int:
        """Rank of the low-rank weights; 0 for full weights."""
        return self.rank if self.weights == LOW_RANK else 0


@dataclass(frozen=True, eq=False)
class LearntEdit:
    """What was learnt. lora: weights under kohya's names. embeddings: as in `LayeredEdit`. losses: by step.

    strip: the photo, its background's reference and the pictures drawn, side by side.
    """

    lora: dict[str, Tensor]
    embeddings: dict[str, Tensor]
    losses: dict[str, list[float]]
    strip: Image.Image


class Editor:
    """Makes edits on one device, one after the other; between two edits the UNet is the base's own again."""

    def __init__(self, config: LayeredConfig, base: BaseModel, device: torch.device) -> None:
        self.config, self.base, self.device = config, base, device
        self.half = config.precision == "bf16"
        base.to(device, torch.float32)
        if self.half and device.type == "cuda" and config.low_rank:
            base.unet.to(torch.bfloat16)
        if device.type == "cpu":
            use_plain_attention(base.unet)
        if config.gradient_checkpointing:
            base.unet.enable_gradient_checkpointing()
        self.empty = base.embed([""])

    def make(self, edit: PhotoEdit, bar: tqdm) -> LearntEdit:
        """Fit the texts and then the weights to the photo, and draw what has been learnt."""
        config, base = self.config, self.base
        texts = base.embed([edit.object, edit.background])
        photo = read_picture(edit.image, config.resolution).to(self.device)
        shown, reference = self._reference(edit, row(texts, 1))
        mask = read_mask(edit.mask, config.resolution)
        layers = split_layers(sampling.encode(base.vae, photo), reference, mask)
        losses = {}
        fitting = learning.optimise_embeddings(
            as_denoiser(base.unet, self._added(texts.pooled), self.half),
            layers,
            texts.context.split(1),
            base.schedule,
            seed=edit.seed,
            steps=config.embedding_steps,
            learning_rate=config.embedding_rate,
        )
        losses["embeddings"], fitted = follow(fitting, bar)
        of_object, of_background = (
            Embedded(context, row(texts, i).pooled) for i, context in enumerate(fitted)
        )
        positive = mixed(of_object, of_background, config.alpha)
        plain_object = row(texts, 0)
        with edit_weights(base.unet, config.low_rank, edit.seed) as weights:
            tuning = learning.fine_tune(
                as_denoiser(base.unet, self._added(positive.pooled), self.half),
                layers,
                [config.object_weight, config.background_weight],
                positive.context,
                weights.parameters,
                base.schedule,
                seed=edit.seed,
                steps=config.fine_tuning_steps,
                learning_rate=config.rate,
            )
            losses["weights"], _ = follow(tuning, bar)
            drawn = self._draw(positive, range(config.pictures), plain_object)
            changes = weights.changes()
        embeddings = {}
        for name, text in zip(NAMES, (positive, plain_object, of_background), strict=True):
            embeddings[name] = text.context.clone()
            if text.pooled is not None:
                embeddings[name + POOLED] = text.pooled.clone()
        shown = [photo, shown, *(sampling.decode(base.vae, latent[None]) for latent in drawn)]
        return LearntEdit(changes, embeddings, losses, sampling.grid(torch.cat(shown).cpu(), len(shown)))

    def _reference(self, edit: PhotoEdit, text: Embedded) -> tuple[Tensor, Tensor]:
        """Read the background's picture, or draw it with the base; -> pixels and latent."""
        if edit.reference:
            pixels = read_picture(edit.reference, self.config.resolution).to(self.device)
            return pixels, sampling.encode(self.base.vae, pixels)
        latent = self._draw(text, [edit.seed])
        return sampling.decode(self.base.vae, latent), latent

    def _draw(self, text: Embedded, seeds: Sequence[int], of_object: Embedded | None = None) -> Tensor:
        """Sample latents (B, 4, h, w), one a seed; `of_object`, if given, guides the object's steps.

        Texts are of one row.
        """
        config, side = self.config, self.config.resolution // self.base.cell
        guided = learning.object_steps([True] * config.sampling_steps, config.object_every)
        drawn = [torch.empty(0, PLAIN, side, side, device=self.device)]
        for first in range(0, len(seeds), AT_ONCE):
            noise = sampling.noise_for(seeds[first : first + AT_ONCE], (PLAIN, side, side), self.device)
            turns = of_object and (of_object.context, self._guided(of_object, len(noise)), guided)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                latents = sampling.sample(
                    self.base.unet,
                    text.context.expand(len(noise), -1, -1),
                    self.empty.context[0],
                    noise,
                    scheduler=self.base.scheduler,
                    added=self._guided(text, len(noise)),
                    turns=turns,
                    steps=config.sampling_steps,
                    guidance=config.guidance,
                )
            drawn.append(latents)
        return torch.cat(drawn)

    def _guided(self, text: Embedded, rows: int) -> dict[str, Tensor] | None:
        """Inputs that an SDXL reads besides the text, under guidance."""
        if text.pooled is None:
            return None
        empty = sampling.embeddings(self.empty.pooled[0], self.config.resolution)
        return sampling.guided(empty, text.pooled.expand(rows, -1))

    def _added(self, pooled: Tensor | None) -> dict[str, Tensor] | None:
        """Inputs that an SDXL reads besides the text, from pooled texts (B or 1, width)."""
        return None if pooled is None else sampling.embeddings(pooled, self.config.resolution)


def row(texts: Embedded, index: int) -> Embedded:
    """Take one of several texts."""
    rows = slice(index, index + 1)
    return Embedded(texts.context[rows], None if texts.pooled is None else texts.pooled[rows])


def mixed(first: Embedded, second: Embedded, alpha: float) -> Embedded:
    """Mix embeddings by `interpolate` and, for an SDXL, pooled texts too, as *Optimise Layers* does."""
    context = learning.interpolate(first.context, second.context, alpha)
    if first.pooled is None:
        return Embedded(context, None)
    return Embedded(context, learning.interpolate(first.pooled[None], second.pooled[None], alpha)[0])


def follow(steps: learning.Steps, bar: tqdm) -> tuple[list[float], tuple[Tensor, ...]]:
    """Run all steps; -> losses and the last embeddings. The loss is shown only when it is read anyway."""
    losses, embeddings = [], ()
    for progress in steps:
        losses.append(progress.loss)
        embeddings = progress.embeddings
        if progress.step % learning.CHECK_EVERY == 0:
            bar.set_postfix(loss=f"{float(progress.loss):.4f}", refresh=False)
        bar.update()
    return torch.stack(losses).tolist(), embeddings
