"""Code shared by the nodes that learn a photo's layers: inputs, memory, progress and failures."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any, TypeVar

import comfy.model_management
import comfy.utils
import latent_preview
import torch
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ...core.images import check_image, check_mask, unit_mask
from ...core.layers.learning import Steps
from ...core.layers.losses import Layer, split_layers
from ...core.seeds import LARGEST_SEED
from ...core.small_objects.boxes import Box, ceil_to
from ...core.small_objects.region import pad_to_window
from ..latents import encode_pictures
from ..types import Conditioning
from .model_denoiser import TrainableModel, patched_by
from .training_memory import check_memory, training_memory

PREVIEW_EVERY = 3.0  # seconds; each costs a pass through the model
SAME_SEED = "The same seed gives the same result. Leave it as it is to sample pictures with other seeds."

Result = TypeVar("Result")


def picture_inputs() -> list[io.Input]:
    """Inputs of the photo, its object's mask and its new background."""
    return [
        io.Image.Input("image", tooltip="The photo that shows the object to learn."),
        io.Mask.Input(
            "mask", tooltip="Mask of the object, 1 inside it, of the photo's size; Segment Object makes one."
        ),
        io.Image.Input(
            "reference",
            tooltip="Picture of the new background, of the photo's size; Reference Background makes one.",
        ),
    ]


def seed_input(tooltip: str) -> io.Input:
    """Input of a seed that is fixed from run to run, since a new one would mean learning everything again."""
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=LARGEST_SEED,
        control_after_generate=io.ControlAfterGenerate.fixed,
        tooltip=tooltip,
    )


def object_mask(image: Tensor, mask: Tensor) -> Tensor:
    """Mask (H, W) of one picture (1, H, W, 3 or 4), both checked; ValueError if either is unfit."""
    one_picture(image, "image")
    if not bool(unit_mask(mask).any()):
        raise ValueError("mask is empty (0 everywhere): paint the object, or link Segment Object (SAM).")
    return check_mask(mask, image)[0]


def one_picture(image: Tensor, name: str) -> None:
    """Raise ValueError unless `image` is one finite picture (1, H, W, 3 or 4)."""
    check_image(image, name)
    if len(image) != 1:
        raise ValueError(f"{name} holds {len(image)} pictures; link one (Get Image from Batch picks it).")


def photo_layers(
    model: ModelPatcher, vae: Any, image: Tensor, mask: Tensor, reference: Tensor
) -> tuple[Layer, Layer]:
    """Layers of the photo's object and the reference's background, as latents on the model's device."""
    selected = object_mask(image, mask)
    one_picture(reference, "reference")
    (height, width), size = image.shape[1:3], reference.shape[1:3]
    if size != (height, width):
        raise ValueError(
            f"reference is {size[1]}×{size[0]} px but image is {width}×{height} px; put it through "
            "background of Reference Background, which crops and resizes it."
        )
    cell = vae.spacial_compression_encode()
    window = Box(0, 0, ceil_to(width, cell), ceil_to(height, cell))
    latents = [_encoded(model, vae, pad_to_window(pixels, window)) for pixels in (image, reference)]
    padded = pad_to_window(selected[None, ..., None], window)[0, ..., 0]  # HW -> 1HW1 -> HW
    return split_layers(*latents, padded)


def _encoded(model: ModelPatcher, vae: Any, pixels: Tensor) -> Tensor:
    latent = encode_pictures(vae, pixels[..., :3])
    channels = model.model.latent_format.latent_channels
    if latent.ndim != 4 or latent.shape[1] != channels:
        raise ValueError(
            f"vae gives a latent of shape {list(latent.shape)} but model reads {channels} channels; link the "
            "VAE that belongs to the model."
        )
    return model.model.process_latent_in(latent).to(model.load_device)


def first_text(model: ModelPatcher, conditioning: Conditioning, name: str) -> tuple[Tensor, dict[str, Any]]:
    """Embedding (1, L, D) and values of a conditioning's first entry; ValueError if it is no text."""
    if not conditioning:
        raise ValueError(f"{name} holds no prompt; link a conditioning such as CLIP Text Encode's.")
    embedding, values = conditioning[0]
    width = text_width(model)
    if embedding.ndim != 3 or len(embedding) != 1:
        raise ValueError(f"{name} must be one text (1, tokens, width), got {list(embedding.shape)}.")
    if embedding.shape[-1] != width:
        raise ValueError(
            f"{name} has embeddings of {embedding.shape[-1]} numbers and model reads {width}; encode the "
            "text with the CLIP of the model."
        )
    return embedding, values


def text_width(model: ModelPatcher) -> int | None:
    """How many numbers a token has in the model's cross-attention; None for a model without one."""
    return model.model.model_config.unet_config.get("context_dim")


def learn(
    model: ModelPatcher,
    values: dict[str, Any],
    layers: Sequence[Layer],
    rank: int | None,
    tokens: int,
    remedy: str,
    work: Callable[[TrainableModel], Result],
) -> Result:
    """Run `work` on the model as a denoiser, if there is memory for it; the model itself is not changed.

    rank, tokens: as of `training_memory`. remedy: what to do when the memory does not suffice.
    """
    needed = training_memory(model, batch_of(layers), rank, tokens)
    check_memory(needed, model.load_device, remedy)
    try:
        with TrainableModel(model, values, memory=needed) as denoiser:
            return work(denoiser)
    except Exception as error:
        if not comfy.model_management.is_oom(error):
            if isinstance(error, RuntimeError) and (patches := patched_by(model)):
                raise ValueError(
                    f"model is patched by {', '.join(patches)}, and gradients cannot pass through that. Link "
                    "model here as it is before that patch, LoRAs may stay, and patch it behind the "
                    f"learning, before the sampler. (torch says: {error})"
                ) from error
            raise
    # raised outside the handler, which would keep what was computed in memory
    comfy.model_management.unload_all_models()
    comfy.model_management.soft_empty_cache()
    raise ValueError(f"{model.load_device} ran out of memory while learning; {remedy}")


def batch_of(layers: Sequence[Layer]) -> tuple[int, int, int, int]:
    """Shape of the latents in one batch of learning."""
    _, channels, height, width = layers[0].latent.shape
    return len(layers), channels, height, width


def run(steps: Steps, model: ModelPatcher) -> tuple[tuple[Tensor, ...], list[float]]:
    """Run all steps and show progress; -> embeddings and losses. The loop is closed whatever happens."""
    previewer = latent_preview.get_previewer(model.load_device, model.model.latent_format)
    bar: comfy.utils.ProgressBar | None = None
    losses: list[Tensor] = []
    embeddings: tuple[Tensor, ...] = ()
    shown = -PREVIEW_EVERY
    with closing(steps):
        for progress in steps:
            comfy.model_management.throw_exception_if_processing_interrupted()
            bar = bar or comfy.utils.ProgressBar(progress.total)
            embeddings, picture = progress.embeddings, None
            losses.append(progress.loss)
            if previewer and time.monotonic() - shown >= PREVIEW_EVERY:
                picture = previewer.decode_latent_to_preview_image("JPEG", progress.preview())
                shown = time.monotonic()
            bar.update_absolute(progress.step, progress.total, picture)
    return embeddings, torch.stack(losses).tolist()
