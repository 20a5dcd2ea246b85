"""*Convert Palette*: repaints segmentation maps for models that read other palettes."""

from __future__ import annotations

import comfy.model_management
import comfy.utils
import numpy as np
import torch
from comfy_api.latest import io, ui
from torch import Tensor
from typing_extensions import override

from ...core.maps.conversion import Conversion, convert
from ..categories import CONDITION_MAPS
from ..progress_text import show_text
from .palette_input import (
    chosen_palette,
    custom_palette_input,
    palette_input,
    pixels_of,
)


class ConvertPalette(io.ComfyNode):
    """Repaints maps in another palette."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseConvertPalette",
            display_name="Convert Palette",
            category=CONDITION_MAPS,
            description=(
                "Repaints segmentation maps in another palette, by the labels' names: from COCO-Stuff to "
                "ADE20K for a segmentation ControlNet, say. Reports which labels have no counterpart."
            ),
            search_aliases=["segmentation colors", "ade20k", "coco-stuff", "recolor", "remap", "FG-DM"],
            inputs=[
                io.Image.Input(
                    "map",
                    tooltip=(
                        "A segmentation map, or a batch of maps; each pixel counts as the palette's "
                        "nearest colour."
                    ),
                ),
                palette_input("source", "The palette that the map is painted in."),
                palette_input("target", "The palette to repaint it in."),
                custom_palette_input("custom_source", "source"),
                custom_palette_input("custom_target", "target"),
            ],
            outputs=[
                io.Image.Output("map", tooltip="The map in colours of the target palette only."),
                io.String.Output("report", tooltip="Labels that changed their names or have no counterpart."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    @override
    def execute(
        cls, map: Tensor, source: str, target: str, custom_source: str = "", custom_target: str = ""
    ) -> io.NodeOutput:
        old = chosen_palette(source, custom_source, "source", "custom_source")
        new = chosen_palette(target, custom_target, "target", "custom_target")
        pixels = pixels_of(map, "map")
        progress = comfy.utils.ProgressBar(len(pixels))
        conversions: list[Conversion] = []
        for painted in pixels:
            comfy.model_management.throw_exception_if_processing_interrupted()
            conversions.append(convert(painted, old, new))
            progress.update(1)
        report = _report(conversions)
        show_text(cls, report)
        result = np.stack([conversion.painted for conversion in conversions])
        return io.NodeOutput(torch.from_numpy(result) / 255, report, ui=ui.PreviewText(report))


def _report(conversions: list[Conversion]) -> str:
    if len(conversions) == 1:
        return conversions[0].describe()
    return "\n".join(f"map {i}:\n{conversion.describe()}" for i, conversion in enumerate(conversions))
