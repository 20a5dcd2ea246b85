"""*Select Seed by Recall*: picks the map that shows most of the prompt's objects, or a pinned one."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from comfy_api.latest import io, ui
from torch import Tensor
from typing_extensions import override

from ...core.maps.recall import Candidate, ranked
from ..categories import CONDITION_MAPS
from .candidate_grid import candidate_grid
from .contact_sheet import contact_sheet
from .palette_input import (
    chosen_palette,
    custom_palette_input,
    labels_of,
    minimal_area_input,
    palette_input,
    pixels_of,
    wanted_objects,
)

MOST = 4096
AUTO = "auto"
PICKER = "FINESSE_SEED_PICKER"  # type of the widget in web/seed_picker
NAMED = 10  # most seeds that an error lists


class SelectSeedByRecall(io.ComfyNode):
    """Ranks maps by their object recall (FG-DM, section 4) and gives the best and their seeds."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseSelectSeedByRecall",
            display_name="Select Seed by Recall",
            category=CONDITION_MAPS,
            description=(
                "Ranks segmentation maps by how many of the wanted objects each shows, and gives the "
                "best maps and their seeds, with a table and a contact sheet. Click a map in the node to "
                "pin it as the first instead. The maps may come from anywhere, as long as they are "
                "painted in the palette."
            ),
            search_aliases=["best seed", "rank", "pick", "score", "recall", "contact sheet", "FG-DM"],
            inputs=_inputs(),
            outputs=[
                io.Image.Output(
                    "best",
                    tooltip=(
                        "The best maps, as many as top_k says; the pinned map comes first, if there is one."
                    ),
                ),
                io.Int.Output("seed", tooltip="The first map's seed, or its index if seeds is not linked."),
                io.Int.Output("index", tooltip="The first map's index among the maps, from 0."),
                io.Float.Output("recall", tooltip="The share of the objects that the first map shows."),
                io.Array.Output("seeds", tooltip="The seeds of the maps in best, in their order."),
                io.Array.Output("indices", tooltip="The indices of the maps in best, in their order."),
                io.String.Output("table", tooltip="A table of all maps, with what each shows and lacks."),
                io.Image.Output(
                    "contact_sheet", tooltip="The best 100 maps in one picture; the maps in best are framed."
                ),
            ],
            is_output_node=True,
        )

    @classmethod
    @override
    def execute(
        cls,
        maps: Tensor,
        palette: str,
        objects: str,
        minimal_area: float,
        top_k: int,
        seeds: Any = None,
        custom_palette: str = "",
        pinned_seed: str = AUTO,
    ) -> io.NodeOutput:
        chosen = chosen_palette(palette, custom_palette)
        wanted = wanted_objects(objects, chosen)
        if top_k < 1:
            raise ValueError(f"top_k is {top_k}; ask for 1 map at least.")
        pixels = pixels_of(maps, "maps")
        own = None if seeds is None else _read_seeds(seeds)
        candidates = ranked(labels_of(pixels, chosen), wanted, minimal_area, own)
        pinned = _pinned(candidates, pinned_seed, seeded=own is not None)
        first = candidates[:1] if pinned is None else [pinned]
        best = [*first, *(candidate for candidate in candidates if candidate not in first)][:top_k]
        indices = [candidate.index for candidate in best]
        table = table_of(candidates, seeded=own is not None, pinned=pinned)
        legend = {name: chosen.colours[chosen.index(name)] for name in wanted}
        drawn = contact_sheet(
            pixels, candidates, legend, indices, own is not None, None if pinned is None else pinned.index
        )
        return io.NodeOutput(
            maps[indices],
            best[0].seed,
            best[0].index,
            best[0].recall,
            [candidate.seed for candidate in best],
            indices,
            table,
            torch.from_numpy(drawn).unsqueeze(0) / 255,  # HWC -> 1HWC
            ui={
                **candidate_grid(pixels, candidates, own is not None, pinned),
                **ui.PreviewText(table).as_dict(),
            },
        )


def _inputs() -> list[io.Input]:
    return [
        io.Image.Input(
            "maps", tooltip="A batch of segmentation maps; each pixel counts as the palette's nearest colour."
        ),
        palette_input(),
        io.String.Input(
            "objects",
            default="",
            tooltip="What the maps should show: labels or common words, separated by commas.",
        ),
        minimal_area_input("Smallest share of the map an object must cover to count."),
        io.Int.Input(
            "top_k",
            default=1,
            min=1,
            max=MOST,
            tooltip="How many of the best maps to give; at most there are as many as maps.",
        ),
        io.Array.Input(
            "seeds",
            optional=True,
            tooltip="The seed of each map, in the maps' order. If unlinked, maps are known by their index.",
        ),
        custom_palette_input(),
        io.String.Input(
            "pinned_seed",
            optional=True,
            default=AUTO,
            extra_dict={"widgetType": PICKER},
            tooltip=(
                "auto takes the best map. The seed of a map (its index, if seeds is unlinked) puts that "
                "map first, whatever its recall. After a run, click a map to pin it, and queue again."
            ),
        ),
    ]


def _pinned(candidates: Sequence[Candidate], pinned_seed: str, seeded: bool) -> Candidate | None:
    """Find the best candidate of the seed that the user pinned; None for auto."""
    text = str(pinned_seed).strip()
    if text.lower() in ("", AUTO):
        return None
    found = next((candidate for candidate in candidates if str(candidate.seed) == text), None)
    if found is None:
        seeds = [str(seed) for seed in sorted({candidate.seed for candidate in candidates})]
        more = f" and {len(seeds) - NAMED} more" if len(seeds) > NAMED else ""
        raise ValueError(
            f"pinned_seed is {text!r}, which is no {'seed' if seeded else 'index'} of these maps "
            f"({', '.join(seeds[:NAMED])}{more}); set it to auto, or pin one of them."
        )
    return found


def table_of(candidates: Sequence[Candidate], seeded: bool = True, pinned: Candidate | None = None) -> str:
    """Write a table: a heading, then a line for each candidate in their order.

    It has a column of seeds only if there are seeds, and one that marks the pinned map only if one is pinned.
    """
    rows = [("rank", "seed", "index", "recall", "found", "missing", "pinned")]
    for rank, candidate in enumerate(candidates, 1):
        found, missing = ", ".join(candidate.found) or "-", ", ".join(candidate.missing) or "-"
        numbers = (str(rank), str(candidate.seed), str(candidate.index), f"{candidate.recall:.0%}")
        rows.append((*numbers, found, missing, "yes" if candidate is pinned else "-"))
    left_out = {"seed": not seeded, "pinned": pinned is None}
    columns = [column for column in zip(*rows, strict=True) if not left_out.get(column[0])]
    padded = [_padded(column, right=column[0] in ("rank", "seed", "index", "recall")) for column in columns]
    return "\n".join(" | ".join(row).rstrip() for row in zip(*padded, strict=True))


def _padded(column: Sequence[str], right: bool) -> list[str]:
    width = max(map(len, column))
    return [cell.rjust(width) if right else cell.ljust(width) for cell in column]


def _read_seeds(seeds: Any) -> list[int]:
    if not isinstance(seeds, (list, tuple)):
        raise ValueError(f"seeds must be a list of whole numbers, got {seeds!r}; link one seed for each map.")
    for seed in seeds:
        if not isinstance(seed, Integral) or isinstance(seed, bool):
            raise ValueError(f"seeds holds {seed!r}, which is no whole number; link one seed for each map.")
    return [int(seed) for seed in seeds]
