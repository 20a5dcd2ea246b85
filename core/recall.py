"""Object recall: how many of the wanted objects a segmentation map shows (FG-DM, section 4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def object_recall(labels: Tensor, wanted: Sequence[int], minimal_area: float = 0.003) -> float:
    """|{o in wanted: o covers at least `minimal_area` of the map}| / |wanted|.

    labels: integer (H, W) label of every pixel; wanted: the labels of the prompt's objects, at least one;
    minimal_area: a fraction of the map. Raises ValueError when nothing is wanted.
    """
    if not wanted:
        raise ValueError("wanted: no object is given, so there is nothing to recall; name at least one.")
    found = torch.tensor(wanted, device=labels.device)[:, None] == labels.flatten()
    return (found.float().mean(dim=1) >= minimal_area).float().mean().item()
