"""*Map to Masks*: gives the objects of a segmentation map as masks and boxes for other nodes."""

from __future__ import annotations

import numpy as np
import torch
from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.maps.conversion import NOTHING
from ...core.maps.objects import MapObject, objects_of
from ...core.maps.palettes import Palette
from ...core.maps.prompt_objects import labels_from, shown_by
from ...core.small_objects.boxes import LabelledBox
from ..categories import CONDITION_MAPS
from .palette_input import (
    chosen_palette,
    custom_palette_input,
    labels_of,
    minimal_area_input,
    palette_input,
    pixels_of,
)

MOST_OBJECTS = 1000
LISTED = 12  # most labels in a message


class MapToMasks(io.ComfyNode):
    """Gives a mask and a box for each object of a map."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseMapToMasks",
            display_name="Map to Masks",
            category=CONDITION_MAPS,
            description=(
                "Cuts a segmentation map into its objects, which are connected areas of one label, and "
                "gives a mask and a box for each, the largest first. The boxes fit Inpaint Small Box and "
                "ComfyUI's own box nodes."
            ),
            search_aliases=["segmentation to mask", "instance masks", "bounding boxes", "regions", "FG-DM"],
            inputs=[
                io.Image.Input(
                    "map", tooltip="One segmentation map; each pixel counts as the palette's nearest colour."
                ),
                palette_input(tooltip="The palette that the map is painted in."),
                io.String.Input(
                    "objects",
                    default="",
                    tooltip=(
                        "Which objects to take: labels or common words for them, separated by commas. "
                        "Empty takes all but unlabeled and background."
                    ),
                ),
                minimal_area_input(
                    "Smallest share of the map an object must cover; smaller ones are left out."
                ),
                custom_palette_input(),
            ],
            outputs=[
                io.Mask.Output("masks", tooltip="A batch of masks, one for each object, the largest first."),
                io.BoundingBox.Output(
                    "boxes",
                    tooltip="The box of each object, in the masks' order, with its label as description.",
                ),
                io.String.Output("labels", tooltip="The label of each object, separated by commas."),
            ],
        )

    @classmethod
    @override
    def execute(
        cls, map: Tensor, palette: str, objects: str, minimal_area: float, custom_palette: str = ""
    ) -> io.NodeOutput:
        chosen = chosen_palette(palette, custom_palette)
        wanted = shown_by(labels_from(objects, chosen), chosen)
        pixels = pixels_of(map, "map")
        if len(pixels) > 1:
            raise ValueError(
                f"map holds {len(pixels)} maps, but boxes are those of one picture; take one with Get Image "
                "from Batch, or use best of Select Seed by Recall."
            )
        labels = labels_of(pixels, chosen)[0]
        found = _objects(labels, wanted, chosen, minimal_area)
        if not found:
            raise ValueError(
                f"map shows no object of {objects.strip() or 'any label'} with an area of {minimal_area:.2%} "
                f"or more; it shows {_areas(labels, chosen)}. Name one of these, or lower minimal_area."
            )
        if len(found) > MOST_OBJECTS:
            raise ValueError(
                f"map has {len(found)} objects, more than {MOST_OBJECTS}; raise minimal_area from "
                f"{minimal_area:g}, or name those you want in objects."
            )
        names = [chosen.labels[item.label] for item in found]
        masks = torch.from_numpy(np.stack([item.mask for item in found])).float()
        boxes = [LabelledBox(item.box, name).to_dict() for item, name in zip(found, names, strict=True)]
        return io.NodeOutput(masks, [boxes], ", ".join(names))


def _objects(
    labels: np.ndarray, wanted: dict[str, list[int]], palette: Palette, minimal_area: float
) -> list[MapObject]:
    """Find objects by the names asked for: wall, for one, takes bricks and tiles as one object."""
    if not wanted:
        ignored = [index for index, name in enumerate(palette.labels) if name in NOTHING]
        return objects_of(labels, minimal_area, ignored)
    taken = np.arange(len(palette.labels))
    for name, alike in reversed(wanted.items()):
        taken[alike] = palette.index(name)
    own = [palette.index(name) for name in wanted]
    taken[own] = own
    return objects_of(taken[labels], minimal_area, set(range(len(palette.labels))) - set(own))


def _areas(labels: np.ndarray, palette: Palette) -> str:
    counts = np.bincount(labels.ravel())
    largest = [index for index in np.argsort(-counts, kind="stable") if counts[index]]
    shown = [f"{palette.labels[index]} ({counts[index] / labels.size:.2%})" for index in largest[:LISTED]]
    return ", ".join(shown) + (f" and {len(largest) - LISTED} more" if len(largest) > LISTED else "")
