"""Ways to edit a photo that LayerDiffusion is measured against, and LayerDiffusion with parts left out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...core.layers.learning import Progress, Steps, fine_tune, interpolate, object_steps, optimise_embeddings
from ...core.layers.losses import Layer, split_layers
from ...core.schedule import NoiseSchedule
from ...miniature.model import networks
from ...miniature.world.things import SUBJECTS_LORA
from ...training.loop.config import option
from ...training.models import lora, sampling
from ...training.models.denoising import use_plain_attention
from ...training.models.edit_weights import as_denoiser, edit_weights
from .scene_edits import SceneEdit

SEEDS = (0, 1)  # of the pictures of an edit
RARE_WORD = "sks"  # DreamBooth's name for the one subject


@dataclass
class EditStudioConfig:
    """Which weights edit, and how. Steps and rates suit the miniature, those of the nodes real networks."""

    base: str = option(str(networks.WEIGHTS), "folder of the miniature")
    lora: str = option(str(networks.WEIGHTS / SUBJECTS_LORA), "LoRA on its UNet; empty for none")
    embedding_steps: int = option(60, "steps that fit the texts")
    embedding_rate: float = option(3e-4, "learning rate of these")
    fine_tuning_steps: int = option(50, "steps that fit the model")
    learning_rate: float = option(2e-4, "learning rate of these")
    alpha: float = option(0.5, "share of the object's text in the edit's")
    object_every: int = option(2, "every so many sampling steps, one is guided by the object's text")
    sampling_steps: int = option(25, "sampling steps")
    guidance: float = option(4.0, "classifier-free guidance")
    sdedit_strength: float = option(0.7, "SDEdit: share of the noise that the photo is put under")
    imagic_alpha: float = option(0.7, "Imagic: share of the target's embedding in the mixture")
    precision: Literal["no", "bf16"] = option("bf16", "autocast of the UNet")


@dataclass(frozen=True)
class Variant:
    """LayerDiffusion with some of its parts changed.

    turns: the text of every object_every-th sampling step: the object's, the object's as it was fitted, the
    whole prompt, or "" for none.
    """

    weights: tuple[float, float] = (2.0, 1.0)  # of the object's and the background's loss in fine-tuning
    alpha: float | None = None  # None is the config's
    optimised: bool = True
    tuned: bool = True
    turns: Literal["object", "fitted", "prompt", ""] = "object"


FULL = Variant()
ABLATION = {  # Table 1 of the paper
    "full": FULL,
    "no_object_loss": replace(FULL, weights=(0.0, 1.0)),
    "no_background_loss": replace(FULL, weights=(2.0, 0.0)),
    "lambda_1": replace(FULL, weights=(1.0, 1.0)),
    "lambda_3": replace(FULL, weights=(3.0, 1.0)),
    "no_optimisation": replace(FULL, optimised=False),
    "no_fine_tuning": replace(FULL, tuned=False),
    "no_iterative_guidance": replace(FULL, turns=""),
    "alpha_1": replace(FULL, alpha=1.0),
    "alpha_0": replace(FULL, alpha=0.0),
    "alpha_0.7": replace(FULL, alpha=0.7),
    "turns_fitted": replace(FULL, turns="fitted"),
    "turns_prompt": replace(FULL, turns="prompt"),
}


@dataclass(frozen=True, eq=False)
class Fitted:
    """Embeddings (1, L, D) of an edit's texts, as they are and as they were fitted to the layers."""

    plain: tuple[Tensor, Tensor]
    optimised: tuple[Tensor, Tensor]


class EditStudio:
    """The miniature and its UNet, which is the same after each edit."""

    def __init__(self, config: EditStudioConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.models = networks.load(Path(config.base), device=device)
        self.unet = lora.merged(self.models.unet, config.lora) if config.lora else self.models.unet
        if device.type == "cpu":
            use_plain_attention(self.unet)
        self.half = config.precision == "bf16"
        self.denoiser = as_denoiser(self.unet, half=self.half)
        self.schedule = NoiseSchedule.scaled_linear()
        self.empty = self.embed("")[0]

    def embed(self, text: str) -> Tensor:
        """(1, L, D)."""
        return self.models.embed([text])

    def latent(self, picture: np.ndarray) -> Tensor:
        """(1, 4, h, w) of a picture uint8 (H, W, 3)."""
        return sampling.encode(self.models.vae, sampling.from_arrays([picture]).to(self.device))

    def layers(self, edit: SceneEdit) -> tuple[Layer, Layer]:
        return split_layers(self.latent(edit.photo.image), self.latent(edit.reference), edit.mask)

    def fit(self, edits: Sequence[SceneEdit]) -> list[Fitted]:
        """Step 1 of LayerDiffusion for several edits at once, which do not touch one another."""
        plain = [(self.embed(edit.object), self.embed(edit.background)) for edit in edits]
        layers = [layer for edit in edits for layer in self.layers(edit)]
        fitted = self._fit(layers, [text for pair in plain for text in pair])
        pairs = zip(fitted[::2], fitted[1::2], strict=True)
        return [Fitted(texts, pair) for texts, pair in zip(plain, pairs, strict=True)]

    def variants(self, edit: SceneEdit, fitted: Fitted, variants: dict[str, Variant]) -> dict[str, Tensor]:
        """Pictures (len(SEEDS), 3, H, W) of each variant; those that are trained alike are trained once."""
        drawn: dict[str, Tensor] = {}
        groups: dict[tuple[object, ...], list[str]] = {}
        for name, variant in variants.items():
            key = (variant.weights, variant.alpha, variant.optimised) if variant.tuned else ()
            groups.setdefault(key, []).append(name)
        for key, names in groups.items():

            def draw(names: list[str] = names) -> None:
                for name in names:
                    drawn[name] = self._draw_variant(edit, fitted, variants[name])

            if not key:
                draw()
                continue
            variant = variants[names[0]]
            self._tuned(self.layers(edit), variant.weights, self._mixture(fitted, variant), draw)
        return {name: drawn[name] for name in variants}

    def sdedit(self, edits: Sequence[SceneEdit]) -> list[Tensor]:
        """The photo under noise, denoised with the new prompt (Meng et al. 2022)."""
        return [
            self.pictures(
                self.embed(edit.prompt),
                start=(self.latent(edit.photo.image), self.config.sdedit_strength),
            )
            for edit in edits
        ]

    def imagic(self, edits: Sequence[SceneEdit]) -> list[Tensor]:
        """The prompt fitted to the photo, the model to that, a mixture drawn (Kawar et al. 2023)."""
        targets = [self.embed(edit.prompt) for edit in edits]
        photos = [Layer.of(self.latent(edit.photo.image)) for edit in edits]
        drawn: list[Tensor] = []
        for photo, target, fitted in zip(photos, targets, self._fit(photos, targets), strict=True):
            mixture = interpolate(target, fitted, self.config.imagic_alpha)
            self._tuned([photo], [1.0], fitted, lambda text=mixture: drawn.append(self.pictures(text)))
        return drawn

    def dreambooth(self, edits: Sequence[SceneEdit]) -> list[Tensor]:
        """The model fitted to the one photo under a rare word's name (Ruiz et al. 2023)."""
        drawn: list[Tensor] = []
        for edit in edits:
            name = f"a {RARE_WORD} {edit.subject.name}"
            prompt = self.embed(edit.prompt.replace(edit.subject.name, f"{RARE_WORD} {edit.subject.name}"))
            photo = Layer.of(self.latent(edit.photo.image))
            self._tuned(
                [photo], [1.0], self.embed(name), lambda text=prompt: drawn.append(self.pictures(text))
            )
        return drawn

    def pictures(
        self,
        text: Tensor,
        turns: Tensor | None = None,
        start: tuple[Tensor, float] | None = None,
    ) -> Tensor:
        """(len(SEEDS), 3, H, W) of an embedding, at every object_every-th step of `turns`."""
        config = self.config
        side = self.models.unet.config.sample_size
        noise = sampling.noise_for(SEEDS, (4, side, side), self.device)
        steps = object_steps([True] * config.sampling_steps, config.object_every)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            latents = sampling.sample(
                self.unet,
                text.expand(len(noise), -1, -1),
                self.empty,
                noise,
                turns=None if turns is None else (turns, None, steps),
                start=start,
                steps=config.sampling_steps,
                guidance=config.guidance,
            )
        return sampling.decode(self.models.vae, latents)

    def _fit(self, layers: Sequence[Layer], texts: Sequence[Tensor]) -> tuple[Tensor, ...]:
        config = self.config
        steps = optimise_embeddings(
            self.denoiser,
            layers,
            texts,
            self.schedule,
            seed=0,
            steps=config.embedding_steps,
            learning_rate=config.embedding_rate,
        )
        return last(steps).embeddings

    def _tuned(
        self, layers: Sequence[Layer], weights: Sequence[float], text: Tensor, draw: Callable[[], None]
    ) -> None:
        """Call `draw` while the model is fitted to the layers at `text`."""
        config = self.config
        with edit_weights(self.unet, 0, 0) as learnt:
            steps = fine_tune(
                self.denoiser,
                layers,
                weights,
                text,
                learnt.parameters,
                self.schedule,
                seed=0,
                steps=config.fine_tuning_steps,
                learning_rate=config.learning_rate,
            )
            last(steps)
            draw()

    def _mixture(self, fitted: Fitted, variant: Variant) -> Tensor:
        """The embedding of the whole edit."""
        alpha = self.config.alpha if variant.alpha is None else variant.alpha
        return interpolate(*(fitted.optimised if variant.optimised else fitted.plain), alpha)

    def _draw_variant(self, edit: SceneEdit, fitted: Fitted, variant: Variant) -> Tensor:
        turns = {"object": fitted.plain[0], "fitted": fitted.optimised[0], "prompt": self.embed(edit.prompt)}
        return self.pictures(self._mixture(fitted, variant), turns.get(variant.turns))


PEERS = {"sdedit": EditStudio.sdedit, "imagic": EditStudio.imagic, "dreambooth": EditStudio.dreambooth}


def last(steps: Steps) -> Progress:
    """Go all the steps."""
    (progress,) = deque(steps, maxlen=1)
    return progress
