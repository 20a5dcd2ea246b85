"""*Edit Map*: changes a condition map by a list of edits, and by hand, before the image is made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import comfy.model_management
import comfy.utils
import numpy as np
import torch
from comfy_api.latest import io, ui
from torch import Tensor
from typing_extensions import override

from ...core.images import check_image
from ...core.maps.drawing import map_hash
from ...core.maps.edits import edit_steps, parse_edits
from ...core.maps.objects import box_of
from ...core.maps.palettes import Palette
from ...core.maps.recall import ranked
from ..categories import CONDITION_MAPS
from ..progress_text import show_text
from .editor_drawing import UI_KEY, MapDrawing, drawn_on, editor_data, files_fingerprint, tell_page
from .palette_input import (
    chosen_palette,
    custom_palette_input,
    labels_of,
    minimal_area_input,
    palette_input,
    pixels_of,
    wanted_objects,
)

NO_PALETTE = "none"
SHOWN_LINES = 8  # most lines of the report that the node shows

Edits = list[dict[str, Any]]


class EditMap(io.ComfyNode):
    """Applies edits and a drawing to maps; tells where they changed, in a mask and a report."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseEditMap",
            display_name="Edit Map",
            category=CONDITION_MAPS,
            description=(
                "Changes a segmentation, depth, normal, sketch or pose map, by hand in the editor that "
                "its button opens, or by a list of edits in JSON: move, scale, rotate, flip, duplicate, "
                "delete or recolour objects, paste objects of another map, draw strokes and text, change "
                "what is in front. The help page shows each edit."
            ),
            search_aliases=[
                "segmentation editor",
                "move object",
                "delete object",
                "recolor",
                "map editor",
                "draw",
                "paint",
                "FG-DM",
                "mask",
            ],
            inputs=_inputs(),
            outputs=[
                io.Image.Output(
                    "map", tooltip="The edited maps; with a palette, they have its colours only."
                ),
                io.Mask.Output("changed", tooltip="The pixels that patch, edits or drawing changed."),
                io.String.Output(
                    "report", tooltip="What each edit changed and where, and which objects are missing."
                ),
            ],
            hidden=[io.Hidden.unique_id],
            is_output_node=True,
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
        objects: str = "",
        minimal_area: float = 0.003,
        drawing: dict[str, Any] | None = None,
    ) -> io.NodeOutput:
        check_image(map, "map")
        painted_in = None if palette == NO_PALETTE else chosen_palette(palette, custom_palette)
        wanted = _wanted(objects, painted_in)
        patched = _patched(map, patch, patch_mask)
        sources = [] if source is None else _pictures(source, "source")
        edited, unpatched, lines = _edited(map, patched, parse_edits(edits), painted_in, sources)

        bases = pixels_of(torch.from_numpy(np.stack(edited)), "map")
        hashes = [map_hash(base) for base in bases]
        unique_id = cls.hidden and cls.hidden.unique_id
        told = editor_data(unique_id, bases, hashes, painted_in, wanted, minimal_area)
        try:
            drawn = drawn_on(edited, hashes, drawing or {}, painted_in)
        except ValueError:
            tell_page(told)
            raise
        for place, result in drawn.items():
            lines[place].append(f"drawing: {_difference(edited[place], result)}")
        maps = torch.from_numpy(np.stack([drawn.get(place, result) for place, result in enumerate(edited)]))

        changed = (maps != torch.from_numpy(np.stack(unpatched))).any(-1).float()  # BHW3 -> BHW
        if painted_in and wanted:
            for done, line in zip(lines, _recall(maps, painted_in, wanted, minimal_area), strict=True):
                done.append(line)
        report = "\n".join(_name(number, lines) + line for number, done in enumerate(lines) for line in done)
        report = report or "no edits"
        show_text(cls, _shortened(report))
        return io.NodeOutput(maps, changed, report, ui={**ui.PreviewText(report).as_dict(), UI_KEY: [told]})

    @classmethod
    @override
    def fingerprint_inputs(cls, drawing: dict[str, Any] | None = None, **_: Any) -> str:
        return files_fingerprint(drawing or {})


def _inputs() -> list[io.Input]:
    return [
        io.Image.Input("map", tooltip="The maps to edit; all maps of a batch get the same edits."),
        io.String.Input(
            "edits",
            default="[]",
            multiline=True,
            tooltip='Edits as JSON, such as [{"op": "move", "select": {"label": "dog"}, "dx": 20}].',
        ),
        palette_input(
            tooltip=(
                "The palette that a segmentation map is painted in; none for depth, normal, sketch and "
                "pose maps."
            ),
            more=[NO_PALETTE],
        ),
        custom_palette_input(),
        io.Image.Input(
            "source",
            optional=True,
            tooltip=(
                "Other maps in the same palette, to paste objects from. In an edit's selection, source 0 "
                "is the first of these pictures, source 1 the second."
            ),
        ),
        io.Image.Input(
            "patch",
            optional=True,
            tooltip="A picture of the map's size that replaces part of the map before the edits.",
        ),
        io.Mask.Input(
            "patch_mask",
            optional=True,
            tooltip="Where patch replaces the map: wherever this mask is above 0.5.",
        ),
        io.String.Input(
            "objects",
            optional=True,
            default="",
            tooltip=(
                "What the map should show: labels or common words, with commas between, or the list of "
                "Objects from Prompt. The report and the editor say what is missing."
            ),
        ),
        minimal_area_input("Smallest share of the map an object must cover to count.", optional=True),
        MapDrawing.Input(
            "drawing",
            tooltip=(
                "What you drew by hand; it is laid on after the edits. The button opens the editor, and "
                "the drawing is saved with the workflow."
            ),
        ),
    ]


def _wanted(objects: str, palette: Palette | None) -> dict[str, list[int]]:
    """Map each wanted object to the labels that show it; {} when none is wanted."""
    if not objects.strip():
        return {}
    if palette is None:
        raise ValueError(
            f"objects is {objects!r}, but with palette none a map shows no objects; choose the map's "
            "palette, or leave objects empty."
        )
    return wanted_objects(objects, palette)


def _recall(
    maps: Tensor, palette: Palette, wanted: dict[str, list[int]], minimal_area: float
) -> Iterator[str]:
    """Report in a line for each map (B, H, W, 3) which objects it shows and lacks."""
    candidates = ranked(labels_of(pixels_of(maps, "map"), palette), wanted, minimal_area)
    for candidate in sorted(candidates, key=lambda candidate: candidate.index):
        missing = f", missing {', '.join(candidate.missing)}" if candidate.missing else ""
        yield f"objects: recall {candidate.recall:.0%}{missing}"


def _pictures(image: Tensor, name: str) -> list[np.ndarray]:
    """Split a batch into pictures, float arrays (H, W, 3)."""
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


def _edited(
    map: Tensor, patched: Tensor, edits: Edits, palette: Palette | None, sources: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[np.ndarray], list[list[str]]]:
    """Edit all maps by `_edit`, whose results are three lists; shows progress and can be interrupted."""
    befores, afters = _pictures(map, "map"), _pictures(patched, "map")
    progress = comfy.utils.ProgressBar(len(befores) * (1 + len(edits)))

    def step_done() -> None:
        progress.update(1)
        comfy.model_management.throw_exception_if_processing_interrupted()

    found = []
    for number, (before, after) in enumerate(zip(befores, afters, strict=True)):
        try:
            found.append(_edit(before, after, edits, palette, sources, step_done))
        except ValueError as error:
            raise ValueError(f"{_name(number, befores)}{error}") from error
    results, unpatched, lines = zip(*found, strict=True)
    return list(results), list(unpatched), list(lines)


def _shortened(report: str) -> str:
    lines = report.splitlines()
    more = len(lines) - SHOWN_LINES
    return "\n".join([*lines[:SHOWN_LINES], f"… and {more} more lines in report"] if more > 0 else lines)


def _name(number: int, maps: Sequence[Any]) -> str:
    return f"map {number + 1}: " if len(maps) > 1 else ""


def _edit(
    before: np.ndarray,
    patched: np.ndarray,
    edits: Edits,
    palette: Palette | None,
    sources: Sequence[np.ndarray],
    step_done: Callable[[], None],
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Edit one map: -> the edited map, the original in the palette's colours, and a line on each edit.

    `step_done` is called with the patched map and after each edit.
    """
    (unpatched,) = edit_steps(before, [], palette)
    steps = edit_steps(patched, edits, palette, sources)
    latest = next(steps)
    lines = []
    if not np.array_equal(patched, before):
        lines.append(f"patch: {_difference(unpatched, latest)}")
    step_done()
    for number, (values, result) in enumerate(zip(edits, steps, strict=True)):
        lines.append(f"edits[{number}] ({values['op']}): {_difference(latest, result)}")
        latest = result
        step_done()
    return latest, unpatched, lines


def _difference(before: np.ndarray, after: np.ndarray) -> str:
    changed = (before != after).any(-1)
    if not changed.any():
        return "changed nothing"
    return f"changed {changed.mean():.1%} of the map, within {box_of(changed)}"
