"""Prepares ranked maps for the seed picker in ComfyUI's page: a sheet of thumbnails, and what each shows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torchvision.transforms.functional import to_pil_image
from torchvision.utils import make_grid

from ...core.maps.recall import Candidate
from ..page_pictures import picture_for_page
from .contact_sheet import scaled

THUMBNAIL = 96  # longer side of a thumbnail at most, in pixels


def candidate_grid(
    maps: np.ndarray, candidates: Sequence[Candidate], seeded: bool, pinned: Candidate | None
) -> dict[str, Any]:
    """Make a node's UI output `finesse_candidates`; the sheet is saved among the temporary files.

    maps: uint8 RGB (N, H, W, 3). candidates: one a map, the best first, in the sheet's order, row by
    row. seeded: whether maps are known by their seeds, else by indices. Seeds are strings, since JavaScript
    has no integers of 64 bits.
    """
    thumbnails = [scaled(maps[candidate.index], 1, THUMBNAIL) for candidate in candidates]
    columns = math.ceil(math.sqrt(len(thumbnails)))
    height, width = thumbnails[0].shape[:2]
    tiles = torch.from_numpy(np.stack(thumbnails)).movedim(-1, 1)  # BHWC -> BCHW
    sheet = to_pil_image(make_grid(tiles, nrow=columns, padding=0))
    grid = {
        "sheet": picture_for_page(sheet, "candidates"),
        "columns": columns,
        "width": width,
        "height": height,
        "seeded": seeded,
        "pinned": None if pinned is None else str(pinned.seed),
        "candidates": [_row(rank, candidate) for rank, candidate in enumerate(candidates, 1)],
    }
    return {"finesse_candidates": [grid]}


def _row(rank: int, candidate: Candidate) -> dict[str, Any]:
    return {
        "rank": rank,
        "seed": str(candidate.seed),
        "index": candidate.index,
        "recall": candidate.recall,
        "found": candidate.found,
        "missing": candidate.missing,
    }
