"""Undoes the colour shift of VAE and sampler in an edited window, by what the original shows around the box.

VAE and sampler shift the colours of all that passes through them, and the edit's edge shows the shift
as a seam. The ring around the box shows the same things in the edit and in the original, so that the
two can be compared there. `MATCHES` holds the ways to do it by the names that a user chooses from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .pull_push import pull_push
from .region import dilate, extent

RING_CELLS = 2  # width of the ring whose colours are compared, and of the rim inside it
GAIN_LIMIT = 2.0  # most that a nearly flat ring may stretch the contrast
GREY_LEVEL = 1 / 255

LEAST_CELL = 4  # pixels; a smaller cell's mean would show noise and detail, not colour
ROUNDS = 8  # of reweighting: after these, the weights of the robust fit hardly change
USUAL_SLOPE = 0.02  # spread of what drifts beyond the mean, from black to white and from middle to edge
FREE = 1000.0  # the same of the mean itself, which may be anything
SAME_RING = 0.1  # distance of colours at which the ring's cells, their drift undone, show something else
SAME_RIM = 0.2  # the same in the rim, which a sampler may have shifted as well
UNEVEN = 0.02  # how uneven the rim's difference may be, beyond twice the ring's
SURENESS = 0.75  # weight of a cell in the field; a smaller one mixes more cells


def keep_colours(edited: Tensor, original: Tensor, alpha: Tensor, cell: int) -> Tensor:
    """Leave the edit as it is."""
    return edited


def match_ring(edited: Tensor, original: Tensor, alpha: Tensor, cell: int) -> Tensor:
    """Match mean and spread of each channel in a ring of `RING_CELLS`; ValueError if there is no ring."""
    inside = alpha > 0
    ring = ring_around(inside, RING_CELLS * cell)
    has_box, has_ring = (pixels.flatten(1).any(dim=1) for pixels in (inside, ring))
    if not bool(has_ring[has_box].all()):
        raise ValueError(
            "colour_match needs pixels around the box, but the region fills the picture; "
            "set colour_match to none or use a smaller box."
        )
    return match_colours(edited, original, ring)


def match_adaptively(edited: Tensor, original: Tensor, alpha: Tensor, cell: int) -> Tensor:
    """Undo the drift pixel by pixel: first what colour and place explain, then what is left near the edge.

    The first part is a robust fit to the ring (`fit_drift`). The second is a smooth field through what
    differs then in the ring, and in the rim inside it where edit and original still show the same
    (`leftover_field`): a sampler may shift the box alone. A picture without a ring is left as it is.
    """
    area = extent(alpha.amax(dim=0))
    if area is None:
        return edited
    cell = max(cell, LEAST_CELL)
    area = area.grow(RING_CELLS * cell).clip(alpha.shape[2], alpha.shape[1])
    inside, new, old = alpha[area.index] > 0, edited[area.index], original[area.index]
    ring = ring_around(inside, RING_CELLS * cell)
    drift = fit_drift(new, old, ring, cell)
    trust = _agreement(new + drift, old, ring, cell)
    rim = inside & ring_around(~inside, RING_CELLS * cell)
    drift = drift + leftover_field(new + drift, old, ring, rim, cell)
    matched = edited.clone()
    matched[area.index] = (new + trust * drift).clamp(0, 1)
    return matched


MATCHES: Mapping[str, Callable[[Tensor, Tensor, Tensor, int], Tensor]] = {
    "none": keep_colours,
    "ring": match_ring,
    "adaptive": match_adaptively,
}
DEFAULT_MATCH = "adaptive"  # the best of docs/results/seams.json


def match_colours(edited: Tensor, original: Tensor, ring: Tensor) -> Tensor:
    """Give each channel of `edited` the mean and spread that `original` has on the ring.

    edited, original: (B, h, w, 3); ring: (1 or B, h, w) bool, empty in a picture without boxes. Returns
    values in [0, 1].
    """
    weight = ring.unsqueeze(-1).to(edited)
    count = weight.sum(dim=(1, 2), keepdim=True).clamp(min=1)

    def statistics(pixels: Tensor) -> tuple[Tensor, Tensor]:
        mean = (pixels * weight).sum(dim=(1, 2), keepdim=True) / count
        variance = ((pixels - mean).square() * weight).sum(dim=(1, 2), keepdim=True) / count
        return mean, variance.sqrt()

    mean_edited, spread_edited = statistics(edited)
    mean_original, spread_original = statistics(original)
    gain = (spread_original + GREY_LEVEL) / (spread_edited + GREY_LEVEL)  # smaller spreads are noise
    gain = gain.clamp(1 / GAIN_LIMIT, GAIN_LIMIT)
    return ((edited - mean_edited) * gain + mean_original).clamp(0, 1)


def fit_drift(edited: Tensor, original: Tensor, ring: Tensor, cell: int) -> Tensor:
    """Explain `original - edited` on the ring by the edit's colours and the place, (B, h, w, 3) everywhere.

    The difference is linear in the three colours (so white balance, contrast and saturation may drift) and
    in x and y, from -1 to 1. It is fitted to means of cells: details that the VAE lost are no drift.
    """
    old, _ = _cell_means(original, ring, cell)
    new, share = _cell_means(edited, ring, cell)
    down, across = (torch.linspace(-1, 1, size).to(edited) for size in edited.shape[1:3])
    y, x = (F.avg_pool1d(line[None], cell, ceil_mode=True)[0] for line in (down, across))
    place = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).expand(len(new), -1, -1, -1)
    causes, change, weight = (
        part.flatten(1, 2).cpu().double()  # BhwC -> BNC
        for part in (torch.cat([new, place], dim=-1), old - new, share)
    )
    slopes = robust_slopes(causes, change, weight).to(edited).unsqueeze(1)  # B63 -> B163
    mean, by_colour, by_y, by_x = slopes.split([1, 3, 1, 1], dim=2)
    return mean + edited @ by_colour + down.view(-1, 1, 1) * by_y + across.view(-1, 1) * by_x


def robust_slopes(causes: Tensor, change: Tensor, weight: Tensor) -> Tensor:
    """Fit `change` (B, N, K) by a constant and a linear function of `causes` (B, N, M), (B, 1 + M, K).

    weight: (B, N, 1). Iterated least squares with Cauchy's weights, so that a few rows that show something
    else do not count. The slopes have a normal prior of spread `USUAL_SLOPE`: causes that hardly vary, as
    on a flat ring or one on a single side, tell little of what lies beyond them.
    """
    causes = F.pad(causes, (1, 0), value=1.0)
    spread = torch.full(causes.shape[-1:], USUAL_SLOPE).to(causes)
    spread[0] = FREE
    slopes = causes.new_zeros(len(causes), causes.shape[-1], change.shape[-1])
    for _ in range(ROUNDS):
        distance = _length(change - causes @ slopes)
        scale = _middle(distance, weight) + GREY_LEVEL
        weighted = (causes * weight / (1 + (distance / (2 * scale)).square())).mT
        prior = torch.diag_embed((scale.squeeze(-1) / spread).square())
        slopes = torch.linalg.solve(weighted @ causes + prior, weighted @ change)
    return slopes


def leftover_field(edited: Tensor, original: Tensor, ring: Tensor, rim: Tensor, cell: int) -> Tensor:
    """Lay a smooth field through the means of `original - edited` in the cells of ring and rim, (B, h, w, 3).

    A cell counts as far as edit and original show the same around it: the difference is then small, and as
    even as is usual in the ring, for a shift is smooth, but what was drawn anew has other details.
    """
    parts = [_cell_means(original - edited, mask, cell) for mask in (ring, rim)]
    usual = _middle(_near(*parts[0])[1], parts[0][1])
    weight, sums = torch.zeros_like(parts[0][1]), torch.zeros_like(parts[0][0])
    for means, share in parts:
        shift, unevenness = _near(means, share)
        same = _biweight(unevenness / (2 * usual + UNEVEN)) * _biweight(_length(shift) / SAME_RIM)
        weight, sums = weight + share * same, sums + means * share * same
    means = sums / weight.clamp(min=1e-12)
    field = pull_push(means, SURENESS * weight.squeeze(-1)).movedim(-1, 1)
    height, width = edited.shape[1:3]
    return F.interpolate(field, scale_factor=cell, mode="bilinear")[..., :height, :width].movedim(1, -1)


def _agreement(edited: Tensor, original: Tensor, ring: Tensor, cell: int) -> Tensor:
    """How surely the ring shows the same in both, (B, 1, 1, 1): 1, or 0 where cells differ by `SAME_RING`."""
    means, share = _cell_means(original - edited, ring, cell)
    return (1 - (_middle(_length(means), share) / SAME_RING) ** 4).clamp(min=0)


def ring_around(mask: Tensor, pixels: int) -> Tensor:
    """The pixels (B, h, w) within `pixels` of a bool mask and not in it."""
    return (dilate(mask.float(), pixels) > 0) & ~mask


def _cell_means(values: Tensor, mask: Tensor, cell: int) -> tuple[Tensor, Tensor]:
    """Mean values (B, H, W, C) of each cell's masked pixels, (B, h, w, C), and their share (B, h, w, 1)."""
    known = mask.unsqueeze(-1).to(values)
    sums, share = (
        F.avg_pool2d(part.movedim(-1, 1), cell, ceil_mode=True).movedim(1, -1)
        for part in (values * known, known.expand(len(values), -1, -1, -1))
    )
    return sums / share.clamp(min=1e-12), share


def _near(means: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (B, h, w, C) of a cell and the eight around it, and how far they are from it, (B, h, w, 1)."""
    sums = torch.cat([means * share, means.square() * share, share], dim=-1).movedim(-1, 1)
    *moments, weight = (
        F.avg_pool2d(sums, 3, stride=1, padding=1).movedim(1, -1).split([means.shape[-1]] * 2 + [1], dim=-1)
    )
    mean, square = (moment / weight.clamp(min=1e-12) for moment in moments)
    return mean, (square - mean.square()).clamp(min=0).sum(dim=-1, keepdim=True).sqrt()


def _length(colours: Tensor) -> Tensor:
    return colours.norm(dim=-1, keepdim=True)


def _biweight(distance: Tensor) -> Tensor:
    """Tukey's weight: 1 at 0, and 0 from 1 on."""
    return (1 - distance.square()).clamp(min=0).square()


def _middle(values: Tensor, share: Tensor) -> Tensor:
    """Median of a picture's values (B, ..., 1) where share, of the same shape, is above 0; 0 if nowhere."""
    found = values.where(share > 0, torch.nan).flatten(1).nanmedian(dim=1).values.nan_to_num()
    return found.view(-1, *[1] * (values.ndim - 1))
