"""The input `scale` of *Inpaint Small Box*: how large the window is sampled."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io

from ...core.small_objects.region import UNSCALED
from ...core.small_objects.window import Scale
from ..latents import MAX_SIDE

SIDES = {768: 512, 1024: 768}  # by the width of the text that Stable Diffusion 1 and 2 read


def scale_input() -> io.DynamicCombo.Input:
    """The input; workflows of before it existed have none, which means "none"."""
    return io.DynamicCombo.Input(
        "scale",
        optional=True,
        options=[
            io.DynamicCombo.Option("auto", [_limit(), _model_side()]),
            io.DynamicCombo.Option("none", []),
            io.DynamicCombo.Option("side", [_side()]),
            io.DynamicCombo.Option("megapixels", [_megapixels()]),
        ],
        tooltip=(
            "How large the window is sampled. auto enlarges it until the model has two cells of its coarsest "
            "grid for the box, none keeps the picture's pixels, side and megapixels give it a size. "
            "Composite Box scales it back."
        ),
    )


def read_scale(value: dict[str, Any] | None, model: Any) -> Scale:
    """Read the input's value; None is that of an older workflow."""
    if value is None:
        return UNSCALED
    kind = value["scale"]
    if kind == "auto":
        return Scale("auto", value["limit"], value["model_side"] or known_side(model))
    return Scale(kind, value.get(kind, 1.0))


def known_side(model: Any) -> int:
    """Side in pixels of the pictures that a model was made for; without a model, SD1.x's."""
    settings = {"context_dim": 768} if model is None else model.model.model_config.unet_config
    return SIDES.get(settings.get("context_dim"), 1024)


def _limit() -> io.Float.Input:
    return io.Float.Input(
        "limit",
        default=4.0,
        min=1.0,
        max=32.0,
        step=0.5,
        tooltip="The window is enlarged at most so many times.",
    )


def _model_side() -> io.Int.Input:
    return io.Int.Input(
        "model_side",
        default=0,
        min=0,
        max=MAX_SIDE,
        step=8,
        tooltip=(
            "Side in pixels of the pictures that the model knows; the enlarged window fits it. 0 asks the "
            "linked model: 512 for SD1.x, 768 for SD2.x, 1024 for others."
        ),
    )


def _side() -> io.Int.Input:
    return io.Int.Input(
        "side",
        default=512,
        min=16,
        max=MAX_SIDE,
        step=8,
        tooltip="Pixels of the window's longer side when it is sampled.",
    )


def _megapixels() -> io.Float.Input:
    return io.Float.Input(
        "megapixels",
        default=1.0,
        min=0.01,
        max=64.0,
        step=0.01,
        tooltip="Size of the window when it is sampled, in units of 1024×1024 pixels.",
    )
