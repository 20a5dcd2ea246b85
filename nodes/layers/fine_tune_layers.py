"""*Fine-Tune Layers*: teaches the model a photo's object and its new background (LayerDiffusion)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import comfy.model_management
import comfy.sd
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.layers.learning import FULL, LOW_RANK, RATES, fine_tune
from ...core.layers.losses import Layer
from ..categories import LAYERS
from ..progress_text import show_text
from ..types import Conditioning
from .layer_training import (
    SAME_SEED,
    batch_of,
    first_text,
    learn,
    photo_layers,
    picture_inputs,
    run,
    seed_input,
)
from .model_denoiser import TrainableModel, check_trainable
from .training_memory import free_memory, training_memory

AUTO = "auto"
ROOMY = 16e9  # bytes of a device on which all weights are trained; cards of "16 GB" have a little more
CUSTOM = "custom"
BALANCES = {"object 2 : 1": (2.0, 1.0), "small object 3 : 1": (3.0, 1.0)}
REMEDIES = {
    FULL: "choose low-rank for weights, or make image, mask and reference smaller.",
    LOW_RANK: "lower rank, or make image, mask and reference smaller.",
}


class FineTuneLayers(io.ComfyNode):
    """Learns one photo's edit as a LoRA, and gives it and the model with it."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseFineTuneLayers",
            display_name="Fine-Tune Layers",
            category=LAYERS,
            description=(
                "Teaches a copy of the model the photo's object and the reference's background, from the "
                "optimised text: the second half of LayerDiffusion's learning. Gives what was learnt as "
                "a LoRA, and the model with it; the loaded model stays as it is."
            ),
            search_aliases=["LayerDiffusion", "train lora", "DreamBooth", "finetune", "Imagic", "one image"],
            inputs=_inputs(),
            outputs=[
                io.LoraModel.Output(
                    "lora", tooltip="What was learnt, for Save Layered Edit and ComfyUI's LoRA nodes."
                ),
                io.Model.Output(
                    "model", tooltip="The model with what was learnt; link it to Iterative Guidance."
                ),
                io.LossMap.Output("loss_map", tooltip="The loss of every step, for Plot Loss Graph."),
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    @override
    def execute(
        cls,
        model: ModelPatcher,
        vae: Any,
        positive: Conditioning,
        image: Tensor,
        mask: Tensor,
        reference: Tensor,
        weights: str,
        rank: int,
        steps: int,
        learning_rate: float,
        balance: str,
        object_weight: float,
        background_weight: float,
        seed: int,
    ) -> io.NodeOutput:
        check_trainable(model)
        text, values = first_text(model, positive, "positive")
        shares = _shares(balance, object_weight, background_weight)
        layers = photo_layers(model, vae, image, mask, reference)
        kind = _kind(weights, model, layers, text.shape[1])
        rate = learning_rate or RATES[kind]
        show_text(cls, f"{kind} weights{f' of rank {rank}' * (kind == LOW_RANK)}, learning rate {rate:g}")

        def tune(denoiser: TrainableModel) -> tuple[dict[str, Tensor], list[float]]:
            is_full = kind == FULL
            loop = fine_tune(
                denoiser,
                layers,
                shares,
                text,
                denoiser.full_weights() if is_full else denoiser.add_low_rank(rank, seed),
                denoiser.schedule,
                seed=seed,
                steps=steps,
                learning_rate=rate,
            )
            _, losses = run(loop, model)
            return denoiser.difference() if is_full else denoiser.lora(), losses

        trained_rank = None if kind == FULL else rank
        lora, losses = learn(model, values, layers, trained_rank, text.shape[1], REMEDIES[kind], tune)
        tuned, _ = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)
        return io.NodeOutput(lora, tuned, {"loss": losses})


def _inputs() -> list[io.Input]:
    weight = {"min": 0.0, "max": 1000.0, "step": 0.1}
    return [
        io.Model.Input("model", tooltip="The model that went into Optimise Layers; it is not changed."),
        io.Vae.Input("vae", tooltip="The model's own VAE; it encodes image and reference."),
        io.Conditioning.Input("positive", tooltip="The text of the whole edit: positive of Optimise Layers."),
        *picture_inputs(),
        io.Combo.Input(
            "weights",
            options=[AUTO, FULL, LOW_RANK],
            default=AUTO,
            tooltip=(
                "full trains all weights, as the paper does; low-rank trains a small LoRA, in far less "
                "memory. auto is low-rank on cards under 16 GB and where full would not fit."
            ),
        ),
        io.Int.Input(
            "rank", default=16, min=1, max=512, tooltip="Size of the low-rank LoRA; full does not use it."
        ),
        io.Int.Input(
            "steps",
            default=250,
            min=1,
            max=10000,
            tooltip="How many steps to learn. The paper takes 250; fewer learn less.",
        ),
        io.Float.Input(
            "learning_rate",
            default=0.0,
            min=0.0,
            max=1.0,
            step=1e-7,
            tooltip=f"How far each step goes; 0: {RATES[FULL]:f} (full), {RATES[LOW_RANK]:.4f} (low-rank).",
        ),
        io.Combo.Input(
            "balance",
            options=[*BALANCES, CUSTOM],
            default=next(iter(BALANCES)),
            tooltip=(
                "How much the object's loss counts, compared with the background's; custom takes the two "
                "weights below."
            ),
        ),
        io.Float.Input(
            "object_weight",
            default=2.0,
            **weight,
            tooltip="Weight of the object's loss; used only when balance is custom.",
        ),
        io.Float.Input(
            "background_weight",
            default=1.0,
            **weight,
            tooltip="Weight of the background's loss; used only when balance is custom.",
        ),
        seed_input(SAME_SEED),
    ]


def _shares(balance: str, object_weight: float, background_weight: float) -> tuple[float, float]:
    shares = BALANCES.get(balance, (object_weight, background_weight))
    if not any(shares):
        raise ValueError("object_weight and background_weight are both 0; raise one of them.")
    return shares


def _kind(weights: str, model: ModelPatcher, layers: Sequence[Layer], tokens: int) -> str:
    """full or low-rank."""
    if weights != AUTO:
        return weights
    device = model.load_device
    is_roomy = comfy.model_management.get_total_memory(device) >= ROOMY
    fits = is_roomy and training_memory(model, batch_of(layers), None, tokens) <= free_memory(device)
    return FULL if fits else LOW_RANK
