"""*Reference Background*: makes a picture of an edited photo's new background (LayerDiffusion)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.model_management
import comfy.sample
import comfy.utils
import latent_preview
import torch.nn.functional as F
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.small_objects.boxes import Box, Grid
from ...core.small_objects.compositing import composite, fill_from_around
from ...core.small_objects.region import PlannedEdit, cut_window, plan_edit
from ..categories import LAYERS
from ..latents import empty_latent, encode_edit, for_sampler
from ..model_grid import grid_of
from ..sampler_inputs import Sampling, sampler_inputs
from ..types import Conditioning
from .layer_training import object_mask, one_picture, seed_input

DRAW, KEEP = "draw", "keep"


class ReferenceBackground(io.ComfyNode):
    """Gives a background without the object: drawn, kept from the photo, or your own."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseReferenceBackground",
            display_name="Reference Background",
            category=LAYERS,
            description=(
                "Makes the picture of the background that Optimise Layers and Fine-Tune Layers learn from: a "
                "new one drawn from the background's text, or the photo's own with the object taken out. A "
                "picture linked to background is only cropped and resized to the photo."
            ),
            search_aliases=["LayerDiffusion", "remove object", "inpaint background", "replace background"],
            inputs=_inputs(),
            outputs=[
                io.Image.Output(
                    "reference",
                    tooltip=(
                        "The background, of the photo's size; link it to Optimise Layers and to "
                        "Fine-Tune Layers."
                    ),
                )
            ],
        )

    @classmethod
    @override
    def execute(
        cls,
        model: ModelPatcher,
        vae: Any,
        image: Tensor,
        mask: Tensor,
        positive: Conditioning,
        negative: Conditioning,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        source: str,
        background: Tensor | None = None,
    ) -> io.NodeOutput:
        selected = object_mask(image, mask)
        height, width = image.shape[1:3]
        if background is not None:
            one_picture(background, "background")
            return io.NodeOutput(fitted(background[..., :3], width, height))
        settings = Sampling(steps, cfg, sampler_name, scheduler)
        if source == DRAW:
            latent = {"samples": empty_latent(model, vae, width, height)}
            drawn = _sample(model, vae, positive, negative, latent, seed, settings)
            return io.NodeOutput(drawn[:, :height, :width])
        edit = _without_object(selected, grid_of(model, vae))
        photo, region = image[..., :3], edit.region
        filled = fill_from_around(photo, region.alpha[:, :height, :width].to(photo.device))
        window = cut_window(filled, region)
        latent, inpaint = encode_edit(vae, window, edit.mask, noise_mask=True, model=model)
        prompts = (for_sampler(each, inpaint, latent["samples"], model) for each in (positive, negative))
        drawn = _sample(model, vae, *prompts, latent, seed, settings)
        return io.NodeOutput(composite(photo, drawn, region, feather=region.cell // 2))


def _inputs() -> list[io.Input]:
    return [
        io.Model.Input(
            "model",
            tooltip="The model that draws the background; to keep the photo's, an inpainting model is best.",
        ),
        io.Vae.Input("vae", tooltip="The model's own VAE."),
        io.Image.Input("image", tooltip="The photo; the reference gets its size."),
        io.Mask.Input(
            "mask", tooltip="Mask of the object, 1 inside it, of the photo's size; Segment Object makes one."
        ),
        io.Conditioning.Input(
            "positive", tooltip="Text of the new background; with keep, text of what lies behind the object."
        ),
        io.Conditioning.Input("negative", tooltip="What the picture must not show."),
        seed_input("The same seed gives the same background."),
        io.Int.Input("steps", default=30, min=1, max=10000, tooltip="Sampling steps."),
        *sampler_inputs(7.5, "karras", "Guidance scale.", "Which of ComfyUI's samplers to use."),
        io.Combo.Input(
            "source",
            options=[DRAW, KEEP],
            default=DRAW,
            tooltip=(
                "draw makes a new background from the text. keep takes the photo's own and removes the "
                "object; everything outside the mask and a rim around it stays as it is."
            ),
        ),
        io.Image.Input(
            "background",
            optional=True,
            tooltip=(
                "A picture of your own to use as the background: its middle is cropped and resized to "
                "the photo, and nothing is drawn."
            ),
        ),
    ]


def fitted(picture: Tensor, width: int, height: int) -> Tensor:
    """Crop the middle of a picture (B, h, w, C) to the proportions of `width` x `height`, and resize it."""
    h, w = picture.shape[1:3]
    rows, columns = min(h, max(1, round(w * height / width))), min(w, max(1, round(h * width / height)))
    middle = Box((w - columns) // 2, (h - rows) // 2, columns, rows)
    if (columns, rows) == (width, height):
        return picture[middle.index]
    pixels = picture[middle.index].movedim(-1, 1)  # BHWC -> BCHW
    resized = F.interpolate(pixels.float(), (height, width), mode="bilinear", antialias=True)
    return resized.movedim(1, -1)


def _without_object(mask: Tensor, grid: Grid) -> PlannedEdit:
    """Plan an edit of all tokens that the object (H, W) touches, grown by one."""
    height, width = mask.shape
    edit = plan_edit(
        [Box(0, 0, width, height)],
        ["image"],
        (mask > 0).float()[None],
        (width, height),
        grid=grid,
        snap=True,
        grow=grid.token,
        context=0,
    )
    if bool(edit.region.alpha[:, :height, :width].all()):
        raise ValueError(
            f"mask and the {grid.token} px around it leave no part of the photo to keep; choose draw as "
            "source."
        )
    return edit


def _sample(
    model: ModelPatcher,
    vae: Any,
    positive: Conditioning,
    negative: Conditioning,
    latent: Mapping[str, Tensor],
    seed: int,
    settings: Sampling,
) -> Tensor:
    """Sample a picture (1, h, w, 3) as a stock KSampler and VAE Decode do."""
    samples = comfy.sample.sample(
        model,
        comfy.sample.prepare_noise(latent["samples"], seed),
        settings.steps,
        settings.cfg,
        settings.sampler_name,
        settings.scheduler,
        positive,
        negative,
        latent["samples"],
        noise_mask=latent.get("noise_mask"),
        callback=latent_preview.prepare_callback(model, settings.steps),
        disable_pbar=not comfy.utils.PROGRESS_BAR_ENABLED,
        seed=seed,
    )
    pictures = vae.decode(samples)
    return pictures.reshape(-1, *pictures.shape[-3:])  # a video model's (1, 1, h, w, 3) -> (1, h, w, 3)
