"""The inputs of *Inpaint Small Box*."""

from __future__ import annotations

from comfy_api.latest import io

from ..latents import MAX_SIDE
from .box_picker import Boxes
from .box_prompts import prompts_input
from .window_scale import scale_input


def inpaint_inputs() -> list[io.Input]:
    return [
        io.Image.Input(
            "image",
            tooltip="The picture to edit. Its alpha channel, if it has one, is kept for Composite Box.",
        ),
        io.Conditioning.Input(
            "positive",
            optional=True,
            tooltip=(
                "What to draw in the box. With boxes, what the picture shows around them. Leave it unlinked "
                "if the text encoder reads window."
            ),
        ),
        io.Conditioning.Input(
            "negative",
            optional=True,
            tooltip="What the picture must not show. Leave it unlinked if the text encoder reads window.",
        ),
        io.Vae.Input(
            "vae",
            tooltip="The model's own VAE; it encodes the image, and its scale is the size of a latent cell.",
        ),
        io.MultiType.Input(
            # a program may link it; in the page boxes takes the links, for a linked widget cannot be drawn on
            Boxes.Input("box", default={"x": 192, "y": 192, "width": 128, "height": 128}, socketless=True),
            [io.BoundingBox],
            tooltip=(
                "Where to edit, in pixels from the top left: draw one or more boxes on the picture, each "
                "with a text and a seed of its own if you like. Not used while boxes is linked."
            ),
        ),
        io.Boolean.Input(
            "snap",
            default=True,
            advanced=True,
            tooltip="Widen the box to whole latent cells, so that no cell is edited in part.",
        ),
        io.Int.Input(
            "grow",
            default=0,
            min=0,
            max=1024,
            advanced=True,
            tooltip="Pixels added around the box before it is snapped.",
        ),
        io.Boolean.Input(
            "noise_mask",
            default=True,
            advanced=True,
            tooltip="Sample inside the box only. If off, an inpainting model redraws the whole window.",
        ),
        io.Int.Input(
            "context",
            default=0,
            min=0,
            max=MAX_SIDE,
            step=8,
            advanced=True,
            tooltip=(
                "Side in the picture's pixels of the window around the box that is sampled; 0 samples the "
                "whole picture, or with scale auto what fits the model."
            ),
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip="Mask of the part of the box to edit; if unlinked, the whole box is edited.",
        ),
        io.MultiType.Input(
            "boxes",
            [io.Array, io.BoundingBox],
            optional=True,
            advanced=True,
            tooltip=(
                "Boxes to edit in one sampling pass, each with its own text if it has one: of Boxes from "
                "Mask, elements of Create Bounding Boxes, or a detector's for each picture of a batch. Where "
                "boxes overlap the later one wins. Replaces box."
            ),
        ),
        io.Clip.Input(
            "clip",
            optional=True,
            lazy=True,
            tooltip="The model's CLIP; it encodes the texts of the boxes, and is needed only for them.",
        ),
        io.Model.Input(
            "model",
            optional=True,
            advanced=True,
            tooltip=(
                "The model that samples. It is asked for its grid and for the side of the pictures it knows; "
                "without it SD1.x's are assumed."
            ),
        ),
        scale_input(),
        prompts_input(),
    ]
