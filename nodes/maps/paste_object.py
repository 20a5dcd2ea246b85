"""*Paste Object*: puts an object made from its map into a picture, to be harmonised with it."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.images import check_image, unit_mask
from ...core.small_objects.boxes import Box, Grid
from ...core.small_objects.compositing import composite
from ...core.small_objects.region import Region, cut_window, dilate, plan_edit
from ..categories import CONDITION_MAPS
from ..latents import MAX_SIDE, encode_pictures, mask_of_pictures
from ..types import FinesseRegion

PROPORTIONS = 0.05  # a map's sides are multiples of 8, so its proportions rarely equal the picture's exactly


class PasteObject(io.ComfyNode):
    """Gives the picture with the object, its latent to noise again around the object, and that region."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinessePasteObject",
            display_name="Paste Object",
            category=CONDITION_MAPS,
            description=(
                "Pastes an object generated from its map into the original picture, and prepares the "
                "step that harmonises it: a KSampler that noises the object and a rim around it as far "
                "as its denoise says, and samples them again. Put the decoded result into the original "
                "picture with Composite Box."
            ),
            search_aliases=["composite", "harmonize", "harmonise", "blend", "insert object", "SDEdit"],
            inputs=_inputs(),
            outputs=[
                io.Image.Output(
                    "image", tooltip="The original picture with the object pasted in, not yet harmonised."
                ),
                io.Latent.Output(
                    "latent",
                    tooltip=(
                        "Link it to a KSampler, whose denoise says how strongly to harmonise: 0.3 to 0.6."
                    ),
                ),
                FinesseRegion.Output(
                    "region", tooltip="The region of the object and its rim; link it to Composite Box."
                ),
            ],
        )

    @classmethod
    @override
    def execute(
        cls,
        original: Tensor,
        generated: Tensor,
        mask: Tensor,
        vae: Any,
        grow: int,
        feather: int,
        colour_match: str,
        rim: int,
        context: int,
    ) -> io.NodeOutput:
        check_image(original, "original")
        check_image(generated, "generated")
        height, width = original.shape[1:3]
        generated = _resized(generated[..., :3].movedim(-1, 1), original, "generated").movedim(1, -1)
        mask = _object_mask(mask, original)
        _check_batches(original=len(original), generated=len(generated), mask=len(mask))

        whole, cell = Box(0, 0, width, height), vae.spacial_compression_encode()
        object_ = Region(width, height, whole, (whole,), dilate(mask, grow), cell)
        count = max(len(original), len(generated), len(mask))
        generated = generated.expand(count, -1, -1, -1)
        pasted = composite(original, generated, object_, feather, colour_match)

        region = plan_edit(
            [whole],
            ["original"],
            (mask > 0).float(),
            (width, height),
            grid=Grid(cell),
            snap=True,
            grow=grow + rim,
            context=context,
        ).region
        samples = encode_pictures(vae, cut_window(pasted, region))
        rim_mask = mask_of_pictures(region.alpha.unsqueeze(1), samples)  # BHW -> B1HW
        return io.NodeOutput(pasted, {"samples": samples, "noise_mask": rim_mask}, region)


def _inputs() -> list[io.Input]:
    return [
        io.Image.Input("original", tooltip="The picture that the object goes into."),
        io.Image.Input(
            "generated",
            tooltip=(
                "The image made from the map, with the object in its place; it is resized to the original."
            ),
        ),
        io.Mask.Input(
            "mask", tooltip="Mask of the object, such as one of Map to Masks; it is resized to the original."
        ),
        io.Vae.Input("vae", tooltip="The sampler's VAE; it encodes the picture with the object."),
        io.Int.Input(
            "grow",
            default=4,
            min=0,
            max=256,
            tooltip=(
                "Pixels that are pasted around the mask as well, since a drawn object is seldom exactly "
                "as large as in its map."
            ),
        ),
        io.Int.Input(
            "feather",
            default=4,
            min=0,
            max=256,
            tooltip=(
                "Width in pixels over which the object fades in, from the edge of the grown mask inwards."
            ),
        ),
        io.Combo.Input(
            "colour_match",
            options=["none", "ring"],
            default="none",
            tooltip=(
                "ring first gives the generated image the brightness and contrast that the original has "
                "in a ring around the object."
            ),
        ),
        io.Int.Input(
            "rim",
            default=16,
            min=0,
            max=512,
            tooltip=(
                "Pixels around the pasted object that are harmonised as well, to leave room for shadow "
                "and light."
            ),
        ),
        io.Int.Input(
            "context",
            default=0,
            min=0,
            max=MAX_SIDE,
            step=8,
            tooltip=(
                "Side in pixels of the window around the object that is sampled, without scaling; 0 "
                "samples the whole picture."
            ),
        ),
    ]


def _resized(values: Tensor, original: Tensor, name: str) -> Tensor:
    """Resize pictures (B, C, h, w) to the original's size; ValueError if that would distort them."""
    (height, width), (h, w) = original.shape[1:3], values.shape[-2:]
    if (h, w) == (height, width):
        return values
    if abs(w * height / (h * width) - 1) > PROPORTIONS:
        raise ValueError(
            f"{name} is {w}×{h} px but original is {width}×{height} px, which has other proportions; "
            "crop one of them."
        )
    return F.interpolate(values.float(), (height, width), mode="bilinear", antialias=True)


def _object_mask(mask: Tensor, original: Tensor) -> Tensor:
    mask = mask.reshape(-1, 1, *mask.shape[-2:])  # HW -> B1HW
    mask = unit_mask(_resized(mask.to(original.device), original, "mask").squeeze(1)).float()
    empty = [number for number, shown in enumerate(mask.flatten(1).any(1).tolist(), 1) if not shown]
    if empty:
        name = f"mask {empty[0]} of {len(mask)}" if len(mask) > 1 else "mask"
        raise ValueError(f"{name} is empty; link the mask of an object that the map shows.")
    return mask


def _check_batches(**counts: int) -> None:
    count = max(counts.values())
    if any(own not in (1, count) for own in counts.values()):
        found = ", ".join(f"{own} in {name}" for name, own in counts.items())
        raise ValueError(f"the pictures do not pair up: {found}; give one, or the same number, in each.")
