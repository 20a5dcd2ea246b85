"""*Optimise Layers*: fits texts to a photo's object and to its new background (LayerDiffusion)."""

from __future__ import annotations

from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.layers.learning import interpolate, optimise_embeddings, same_length
from ..categories import LAYERS
from ..types import Conditioning
from .layer_training import SAME_SEED, first_text, learn, photo_layers, picture_inputs, run, seed_input
from .model_denoiser import TrainableModel, check_trainable

POOLED = "pooled_output"
REMEDY = "make image, mask and reference smaller, or run on a card with more memory."


class OptimiseLayers(io.ComfyNode):
    """Fits the embeddings of two texts to the layers of a photo, and mixes them."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseOptimiseLayers",
            display_name="Optimise Layers",
            category=LAYERS,
            description=(
                "Fits the object's text to the object in the photo and the background's text to the "
                "reference, and mixes the two: the first half of LayerDiffusion's learning. The model "
                "stays as it is. Link positive to Fine-Tune Layers and to Iterative Guidance; give "
                "Iterative Guidance the object's text as you encoded it, not the fitted one."
            ),
            search_aliases=[
                "LayerDiffusion",
                "embedding optimisation",
                "optimize layers",
                "Imagic",
                "inversion",
            ],
            inputs=[
                io.Model.Input(
                    "model", tooltip="A Stable Diffusion model (1.x, 2.x or SDXL); it is not changed."
                ),
                io.Vae.Input("vae", tooltip="The model's own VAE; it encodes image and reference."),
                io.Conditioning.Input(
                    "object",
                    tooltip="Text of the object, such as a dog jumping; of several texts the first is used.",
                ),
                io.Conditioning.Input(
                    "background",
                    tooltip="Text of the background, such as a forest; of several texts the first is used.",
                ),
                *picture_inputs(),
                io.Int.Input(
                    "steps",
                    default=500,
                    min=1,
                    max=10000,
                    tooltip="How many steps to learn. The paper takes 500; fewer learn less.",
                ),
                io.Float.Input(
                    "learning_rate",
                    default=1e-3,
                    min=1e-7,
                    max=1.0,
                    step=1e-5,
                    tooltip="How far each step goes; the paper takes 0.001.",
                ),
                io.Float.Input(
                    "alpha",
                    default=0.7,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="The object's share of the mixture in positive; the rest is the background's.",
                ),
                seed_input(SAME_SEED),
            ],
            outputs=[
                io.Conditioning.Output(
                    "positive", tooltip="The text of the whole edit: object and background mixed."
                ),
                io.Conditioning.Output(
                    "object",
                    tooltip=(
                        "The object's text, fitted to the photo. Iterative Guidance takes the plain text "
                        "instead."
                    ),
                ),
                io.Conditioning.Output(
                    "background", tooltip="The background's text, fitted to the reference."
                ),
                io.LossMap.Output("loss_map", tooltip="The loss of every step, for Plot Loss Graph."),
            ],
        )

    @classmethod
    @override
    def execute(
        cls,
        model: ModelPatcher,
        vae: Any,
        object: Conditioning,
        background: Conditioning,
        image: Tensor,
        mask: Tensor,
        reference: Tensor,
        steps: int,
        learning_rate: float,
        alpha: float,
        seed: int,
    ) -> io.NodeOutput:
        check_trainable(model)
        object_text, object_values = first_text(model, object, "object")
        background_text, background_values = first_text(model, background, "background")
        texts = same_length(object_text, background_text)
        layers = photo_layers(model, vae, image, mask, reference)

        def optimise(denoiser: TrainableModel) -> tuple[tuple[Tensor, ...], list[float]]:
            settings = {"seed": seed, "steps": steps, "learning_rate": learning_rate}
            return run(optimise_embeddings(denoiser, layers, texts, denoiser.schedule, **settings), model)

        pooled = _pooled(object_values, background_values)
        values = {**background_values, **object_values, **({POOLED: torch.cat(pooled)} if pooled else {})}
        learnt, losses = learn(model, values, layers, 0, texts[0].shape[1], REMEDY, optimise)
        first, second = (embedding.cpu() for embedding in learnt)
        mixed = {POOLED: interpolate(pooled[0][None], pooled[1][None], alpha)[0]} if pooled else {}
        return io.NodeOutput(
            [[interpolate(first, second, alpha), {**object_values, **mixed}]],
            [[first, dict(object_values)]],
            [[second, dict(background_values)]],
            {"loss": losses},
        )


def _pooled(*values: dict[str, Any]) -> list[Tensor]:
    """Pooled texts (1, P), one for each layer; empty unless both layers have one."""
    found = [value.get(POOLED) for value in values]
    return found if all(isinstance(pooled, Tensor) for pooled in found) else []
