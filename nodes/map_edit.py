"""*Edit Map*: a condition map changed by a list of edits before the image is made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from comfy_api.latest import io, ui
from torch import Tensor
from typing_extensions import override

from ..core.edit_region import check_image
from ..core.map_edits import edit_steps, parse_edits
from ..core.map_objects import box_of
from ..core.palettes import Palette
from .palette_input import CATEGORY, chosen_palette, custom_palette_input, palette_input

NO_PALETTE = "none"


class EditMap(io.ComfyNode):
    """Maps with a list of edits applied to each, where they changed, and what each edit did."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseEditMap",
            display_name="Edit Map",
            category=CATEGORY,
            description=(
                "Changes a segmentation, depth, normal, sketch or pose map by a list of edits in JSON: move, "
                "scale, rotate, flip, duplicate, delete or recolour objects, paste some of another map, draw "
                "strokes and text, change what is in front. The help page shows each."
            ),
            search_aliases=[
                "segmentation editor",
                "move object",
                "delete object",
                "recolor",
                "FG-DM",
                "mask",
            ],
            inputs=_inputs(),
            outputs=[
                io.Image.Output("map", tooltip="The edited maps; with a palette, in its colours only."),
                io.Mask.Output("changed", tooltip="The pixels that the patch and the edits changed."),
                io.String.Output("report", tooltip="What each edit changed, and where."),
            ],
            has_intermediate_output=True,
        )

    @classmethod
    @override
    def execute(
        cls,
        map: Tensor,
        edits: str,
        palette: str,
        custom_palette: str = "",
        source: Tensor | None = None,
        patch: Tensor | None = None,
        patch_mask: Tensor | None = None,
    ) -> io.NodeOutput:
        check_image(map, "map")
        painted_in = None if palette == NO_PALETTE else chosen_palette(palette, custom_palette)
        patched = _patched(map, patch, patch_mask)
        sources = [] if source is None else _pictures(source, "source")
        results, changes, lines = [], [], []
        for number, (before, after) in enumerate(
            zip(_pictures(map, "map"), _pictures(patched, "map"), strict=True), 1
        ):
            name = f"map {number}: " if len(map) > 1 else ""
            try:
                result, changed, done = _edit(before, after, edits, painted_in, sources)
            except ValueError as error:
                raise ValueError(f"{name}{error}") from error
            results.append(torch.from_numpy(result))
            changes.append(torch.from_numpy(changed).float())
            lines += [name + line for line in done]
        report = "\n".join(lines) or "no edits"
        return io.NodeOutput(torch.stack(results), torch.stack(changes), report, ui=ui.PreviewText(report))


def _inputs() -> list[io.Input]:
    return [
        io.Image.Input("map", tooltip="The maps to edit; a batch gets the same edits in each."),
        io.String.Input(
            "edits",
            default="[]",
            multiline=True,
            tooltip='Edits as JSON, such as [{"op": "move", "select": {"label": "dog"}, "dx": 20}].',
        ),
        palette_input(
            tooltip="What a segmentation map is painted in; none for depth, normal, sketch and pose maps.",
            more=[NO_PALETTE],
        ),
        custom_palette_input(),
        io.Image.Input(
            "source",
            optional=True,
            tooltip=(
                "Other maps, in the same palette, to paste objects from: in an edit's selection source 0 is "
                "the first picture, source 1 the second."
            ),
        ),
        io.Image.Input(
            "patch", optional=True, tooltip="A picture of the map's size, laid on it before the edits."
        ),
        io.Mask.Input(
            "patch_mask", optional=True, tooltip="Where patch takes the map's place: above 0.5, nowhere else."
        ),
    ]


def _pictures(image: Tensor, name: str) -> list[np.ndarray]:
    """The pictures of a batch as float arrays (H, W, 3)."""
    check_image(image, name)
    return list(image[..., :3].float().cpu().numpy())  # BHWC -> HW3, ...


def _patched(map: Tensor, patch: Tensor | None, mask: Tensor | None) -> Tensor:
    if patch is None and mask is None:
        return map
    if patch is None or mask is None:
        missing, given = ("patch", "patch_mask") if patch is None else ("patch_mask", "patch")
        raise ValueError(f"{given} is linked but {missing} is not; link both, or neither.")
    check_image(patch, "patch")
    mask = mask.reshape(-1, *mask.shape[-2:])  # HW -> BHW
    batch, height, width = map.shape[:3]
    for name, other in (("patch", patch), ("patch_mask", mask)):
        if tuple(other.shape[1:3]) != (height, width):
            raise ValueError(
                f"{name} is {other.shape[2]}×{other.shape[1]} px but map is {width}×{height} px; "
                "give it the map's size."
            )
        if len(other) not in (1, batch):
            raise ValueError(f"{name} has {len(other)} pictures but map has {batch}; give one, or one a map.")
    inside = (mask > 0.5).unsqueeze(-1).to(map.device)  # BHW -> BHW1
    return torch.where(inside, patch[..., :3].to(map), map[..., :3])


def _edit(
    before: np.ndarray, patched: np.ndarray, edits: str, palette: Palette | None, sources: Sequence[Any]
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The edited map, which of its pixels (H, W) changed, and a line on each edit.

    What was only a little off the palette's colours counts as unchanged.
    """
    (unpatched,) = edit_steps(before, [], palette)
    steps = edit_steps(patched, edits, palette, sources)
    latest = next(steps)
    lines = []
    if not np.array_equal(patched, before):
        lines.append(f"patch: {_difference(unpatched, latest)}")
    for number, (values, result) in enumerate(zip(parse_edits(edits), steps, strict=True)):
        lines.append(f"edits[{number}] ({values['op']}): {_difference(latest, result)}")
        latest = result
    return latest, (latest != unpatched).any(-1), lines


def _difference(before: np.ndarray, after: np.ndarray) -> str:
    changed = (before != after).any(-1)
    if not changed.any():
        return "changed nothing"
    return f"changed {changed.mean():.1%} of the map, within {box_of(changed)}"
