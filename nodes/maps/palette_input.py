"""Inputs by which nodes choose a palette, and the reading of maps painted in it."""

from __future__ import annotations

from collections.abc import Sequence

import comfy.model_management
import comfy.utils
import numpy as np
from comfy_api.latest import io
from torch import Tensor

from ...core.images import check_image, to_bytes
from ...core.maps.custom_palette import EXAMPLE, custom_palette
from ...core.maps.palettes import COCO_STUFF, PALETTES, Palette
from ...core.maps.prompt_objects import labels_from, shown_by

CUSTOM = "custom"


def palette_input(
    name: str = "palette",
    tooltip: str = "The palette that the maps are painted in.",
    more: Sequence[str] = (),
) -> io.Combo.Input:
    """Input that offers the palettes by name, "custom" for the JSON in `custom_palette_input`, and `more`."""
    return io.Combo.Input(
        name,
        options=[*PALETTES, CUSTOM, *more],
        default=COCO_STUFF.name,
        tooltip=f"{tooltip} custom takes the palette written below, among the advanced inputs.",
    )


def custom_palette_input(name: str = "custom_palette", chosen_by: str = "palette") -> io.String.Input:
    """Input for the JSON of a user's own palette; it is optional, so it stands after all required inputs."""
    return io.String.Input(
        name,
        optional=True,
        default="",
        multiline=True,
        placeholder=EXAMPLE,
        advanced=True,
        tooltip=(
            f"Read only when {chosen_by} is custom: a JSON object of labels and their colours, such as "
            f"{EXAMPLE}. A .json file's text can be linked."
        ),
    )


def minimal_area_input(tooltip: str, optional: bool = False) -> io.Float.Input:
    """Input for the smallest share of a map an object must cover to count."""
    return io.Float.Input(
        "minimal_area",
        default=0.003,
        min=0.0,
        max=1.0,
        step=0.001,
        round=0.0001,
        optional=optional,
        tooltip=tooltip,
    )


def wanted_objects(objects: str, palette: Palette) -> dict[str, list[int]]:
    """Parse a list of objects for `recall.ranked`. ValueError when it is empty or names unknown objects."""
    wanted = shown_by(labels_from(objects, palette), palette)
    if not wanted:
        raise ValueError(
            f"objects is {objects!r}, so there is nothing to rank by; link Objects from Prompt, or write "
            "labels such as dog, cat."
        )
    return wanted


def chosen_palette(
    value: str, custom: str, name: str = "palette", custom_name: str = "custom_palette"
) -> Palette:
    """Palette that the inputs `name` and `custom_name` give. ValueError names the faulty one."""
    if value in PALETTES:
        return PALETTES[value]
    if value != CUSTOM:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(PALETTES)} or {CUSTOM}.")
    if not custom.strip():
        raise ValueError(
            f"{custom_name} is empty, but {name} is {CUSTOM}; write labels and colours such as {EXAMPLE} "
            "there, or choose another palette."
        )
    try:
        return custom_palette(custom)
    except ValueError as error:
        raise ValueError(f"{custom_name}: {str(error).removeprefix('palette: ')}") from error


def pixels_of(image: Tensor, name: str) -> np.ndarray:
    """Convert an IMAGE to uint8 RGB (B, H, W, 3), without a fourth channel. ValueError names the input."""
    check_image(image, name)
    return to_bytes(image[..., :3]).cpu().numpy()


def labels_of(pixels: np.ndarray, palette: Palette) -> np.ndarray:
    """Read labels uint8 (B, H, W) from maps (B, H, W, 3), by the nearest colour; shows progress."""
    labels = np.empty(pixels.shape[:3], np.uint8)
    progress = comfy.utils.ProgressBar(len(pixels))
    for index, painted in enumerate(pixels):
        comfy.model_management.throw_exception_if_processing_interrupted()
        labels[index] = palette.decode(painted)
        progress.update(1)
    return labels
