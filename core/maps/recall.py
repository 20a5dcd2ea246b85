"""Object recall is the share of the wanted objects that a segmentation map shows (FG-DM, section 4).

Only the solid pixels of an object count, those in a 3x3 square of its label. Along the seam of two objects a
VAE can mix their colours to the colour of a third, in lines that would add up to an object that nobody sees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def object_recall(labels: Tensor, wanted: Sequence[int], minimal_area: float = 0.003) -> float:
    """|{o in wanted: o's solid pixels are at least `minimal_area` of the map}| / |wanted|.

    labels: integers (H, W), the label of every pixel. wanted: the labels of the prompt's objects, at least
    one. minimal_area: the smallest share of the map an object must cover to count. Raises ValueError if
    nothing is wanted.
    """
    if not wanted:
        raise ValueError("wanted: no object is given, so there is nothing to recall; name at least one.")
    areas = _areas(labels[None], [[label] for label in wanted])[0]
    return sum(_shows(area, minimal_area) for area in areas) / len(wanted)


@dataclass(frozen=True)
class Candidate:
    """One of the ranked maps.

    index: its index before ranking. recall: the share of the wanted objects that it shows. found, missing:
    the names of the objects it shows and lacks, in the order wanted. areas: the share of the map that the
    solid pixels of each object cover. area: the share that all of them cover.
    """

    index: int
    seed: int
    recall: float
    found: tuple[str, ...]
    missing: tuple[str, ...]
    areas: dict[str, float]
    area: float


def ranked(
    labels: Tensor | np.ndarray,
    wanted: Mapping[str, Iterable[int]],
    minimal_area: float = 0.003,
    seeds: Sequence[int] | None = None,
) -> list[Candidate]:
    """The maps as candidates, the best first: by recall, then by area of the wanted objects, then by seed.

    labels: integers (N, H, W), from any source. wanted: for the name of each object, the labels that count as
    it, e.g. {"dog": [18], "wall": [171, 173]}. minimal_area: the smallest share of the map an object must
    cover to count. seeds: one for each map; by default their indices. Raises ValueError if there is no map or
    nothing is wanted, for labels of another type or shape, an object without labels, an area outside 0..1,
    and another number of seeds than of maps.
    """
    labels = torch.as_tensor(labels)
    if labels.ndim != 3 or not labels.numel() or labels.is_floating_point() or labels.is_complex():
        raise ValueError(
            f"labels: got {labels.dtype} of shape {tuple(labels.shape)}; give the integer labels of at least"
            " one map (N, H, W)"
        )
    if not wanted:
        raise ValueError("wanted: no object is given, so there is nothing to rank by; name at least one.")
    if not 0 <= minimal_area <= 1:
        raise ValueError(f"minimal_area: got {minimal_area}; give a fraction of the map, 0 to 1")
    seeds = range(len(labels)) if seeds is None else seeds
    if len(seeds) != len(labels):
        raise ValueError(f"seeds: got {len(seeds)} for {len(labels)} maps; give one seed for each map")

    groups = [list(group) for group in wanted.values()]
    if not all(groups):
        name = list(wanted)[[bool(group) for group in groups].index(False)]
        raise ValueError(f"wanted: {name!r} has no labels; give the labels that count as it")
    groups.append([label for group in groups for label in group])
    candidates = []
    for index, (seed, (*areas, area)) in enumerate(zip(seeds, _areas(labels, groups), strict=True)):
        shown = {name: _shows(own, minimal_area) for name, own in zip(wanted, areas, strict=True)}
        found = tuple(name for name in wanted if shown[name])
        missing = tuple(name for name in wanted if not shown[name])
        recall = len(found) / len(wanted)
        covered = dict(zip(wanted, areas, strict=True))
        candidates.append(Candidate(index, int(seed), recall, found, missing, covered, area))
    return sorted(candidates, key=lambda c: (-c.recall, -c.area, c.seed, c.index))


def _shows(area: float, minimal_area: float) -> bool:
    return area > 0 and area >= minimal_area


def _areas(labels: Tensor, groups: Sequence[Sequence[int]]) -> list[list[float]]:
    """For each map of labels (N, H, W) and each group of labels, the share of the map that is solidly its."""
    solid = _solid(labels).flatten(1)
    labels = labels.flatten(1).to(torch.int64).contiguous()  # NHW -> N, HW
    maps, pixels = labels.shape
    known = sorted({label for group in groups for label in group})
    values = torch.tensor(known, dtype=torch.int64, device=labels.device)
    place = torch.searchsorted(values, labels).clamp_(max=len(known) - 1)
    own = place + len(known) * torch.arange(maps, device=labels.device)[:, None]
    counts = torch.bincount(own[solid & (values[place] == labels)], minlength=maps * len(known))
    rows = [dict(zip(known, row, strict=True)) for row in counts.reshape(maps, -1).tolist()]
    return [[sum(row[label] for label in set(group)) / pixels for group in groups] for row in rows]


def _solid(labels: Tensor) -> Tensor:
    """Bool (N, H, W): where a pixel of labels (N, H, W) is in a 3x3 square of its own label."""
    around = F.pad(labels[:, None].float(), (1, 1, 1, 1), mode="replicate")
    centre = F.max_pool2d(around, 3, 1) == -F.max_pool2d(-around, 3, 1)  # of a square of one label
    return F.max_pool2d(centre.float(), 3, 1, 1)[:, 0] > 0
