"""*Segment Image*: makes the segmentation map of a real picture with any model of transformers."""

from __future__ import annotations

from typing import Any

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io, ui
from torch import Tensor
from typing_extensions import override

from ...core.images import check_image, to_bytes
from ...core.maps.conversion import Conversion, relabel
from ...core.maps.foreign_labels import counterparts_of
from ..categories import CONDITION_MAPS
from .palette_input import chosen_palette, custom_palette_input, palette_input
from .segmenter import SEGMENTERS, load_segmenter

BATCH = 4
SHOWN = 12  # most labels listed for one picture


class SegmentImage(io.ComfyNode):
    """Paints maps of pictures in a palette, and lists what they show."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseSegmentImage",
            display_name="Segment Image",
            category=CONDITION_MAPS,
            description=(
                "Makes segmentation maps of pictures, in the palette of your choice, with a transformers "
                "model from models/finesse_segmenters. Edit the maps, or rank pictures from any source "
                "by their recall."
            ),
            search_aliases=["semantic segmentation", "segformer", "mask2former", "ade20k", "preprocessor"],
            inputs=[
                io.Image.Input("image", tooltip="The pictures to segment, of any size."),
                SEGMENTERS.combo(
                    tooltip=(
                        "A folder in models/finesse_segmenters with the config.json, "
                        "preprocessor_config.json and model.safetensors of a semantic segmentation model "
                        "for transformers."
                    ),
                ),
                palette_input(
                    tooltip="The palette to paint the maps in; the model's labels are matched by name."
                ),
                custom_palette_input(),
            ],
            outputs=[
                io.Image.Output("map", tooltip="A map for each picture, of its size."),
                io.String.Output(
                    "report", tooltip="What each picture shows, and which labels the palette lacks."
                ),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    @override
    def validate_inputs(cls, segmenter: str | None = None) -> bool | str:
        return SEGMENTERS.missing(segmenter) or True

    @classmethod
    @override
    def fingerprint_inputs(cls, segmenter: str | None = None, **_: Any) -> str:
        return SEGMENTERS.fingerprint(segmenter)

    @classmethod
    @override
    def execute(cls, image: Tensor, segmenter: str, palette: str, custom_palette: str = "") -> io.NodeOutput:
        check_image(image, "image")
        target, model = chosen_palette(palette, custom_palette), load_segmenter(segmenter)
        to = counterparts_of(model.names, target)
        if not any(to.values()):
            raise ValueError(
                f"palette {target.name} has none of the labels of {segmenter} ({', '.join(to)[:200]}); "
                "choose another palette, or a custom one with the model's names."
            )
        progress = comfy.utils.ProgressBar(len(image))
        maps: list[Tensor] = []
        lines: list[str] = []
        for part in image[..., :3].split(BATCH):
            comfy.model_management.throw_exception_if_processing_interrupted()
            for labels in model.labels(to_bytes(part).cpu().numpy()):
                painted = relabel(labels.numpy(), model.names, to, target)
                maps.append(torch.from_numpy(painted.painted).float() / 255)
                lines.append(f"picture {len(maps)}: {_shown(painted)}")
            progress.update(len(part))
        report = "\n".join(lines)
        return io.NodeOutput(torch.stack(maps), report, ui=ui.PreviewText(report))


def _shown(painted: Conversion) -> str:
    largest = sorted(painted.areas.items(), key=lambda item: -item[1])
    listed = ", ".join(f"{label} {area:.1%}" for label, area in largest[:SHOWN])
    more = f" and {len(largest) - SHOWN} more" if len(largest) > SHOWN else ""
    return f"{listed}{more}\n{painted.describe()}"
