"""Other ways to hide a seam, which `seams` compares with ours: matches of colour, and ways to blend."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse
import torch
from scipy.ndimage import gaussian_filter
from scipy.sparse.linalg import spsolve
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor

from ...core.small_objects import colour_match
from ...core.small_objects.compositing import feather_ramp

GREY_LEVEL = {"rgb": 1 / 255, "lab": 0.4}
OCTAVES = 4  # bands of a multi-band blend; each is blended over twice the width of the one before

Match = Callable[[Tensor, Tensor, Tensor, int], Tensor]  # edited, original, alpha, cell -> edited
Blend = Callable[[Tensor, Tensor, Tensor], Tensor]  # edited, original, alpha -> composite


def match_median(edited: Tensor, original: Tensor, alpha: Tensor, cell: int) -> Tensor:
    """Match median and median absolute deviation of each channel in the ring."""
    new, old, ring = edited[0].numpy(), original[0].numpy(), _ring(alpha, cell)

    def statistics(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        middle = np.median(values, axis=0)
        return middle, np.median(np.abs(values - middle), axis=0)

    return _moved(new, statistics(new[ring]), statistics(old[ring]), GREY_LEVEL["rgb"])


def match_lab(edited: Tensor, original: Tensor, alpha: Tensor, cell: int) -> Tensor:
    """Match mean and spread of each channel of CIELAB in the ring (Reinhard 2001)."""
    new, old, ring = rgb2lab(edited[0].numpy()), rgb2lab(original[0].numpy()), _ring(alpha, cell)
    pairs = [(part[ring].mean(axis=0), part[ring].std(axis=0)) for part in (new, old)]
    return torch.from_numpy(lab2rgb(_moved(new, *pairs, GREY_LEVEL["lab"])[0].numpy()))[None].to(edited)


def match_fit(edited: Tensor, original: Tensor, alpha: Tensor, cell: int) -> Tensor:
    """Apply the first half of our adaptive match alone: the fit by colour and place."""
    ring = torch.from_numpy(_ring(alpha, cell))[None]
    return (edited + colour_match.fit_drift(edited, original, ring, cell)).clamp(0, 1)


def match_field(edited: Tensor, original: Tensor, alpha: Tensor, cell: int) -> Tensor:
    """Apply a smooth field through the differences in the ring alone, without a fit and without the rim."""
    ring = torch.from_numpy(_ring(alpha, cell))[None]
    field = colour_match.leftover_field(edited, original, ring, torch.zeros_like(ring), cell)
    return (edited + field).clamp(0, 1)


def match_poisson(edited: Tensor, original: Tensor, alpha: Tensor, cell: int) -> Tensor:
    """Keep the edit's gradients and take the original's pixels just outside as its border (Pérez 2003).

    That is to add the membrane which the difference of the two spans over the box: Laplace's equation,
    solved by scipy.
    """
    difference = (original - edited)[0].double().numpy()
    inside = np.pad(alpha[0].numpy() > 0, 1)
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(inside.sum())
    rows, border, degree = np.nonzero(inside), np.zeros((inside.sum(), 3)), np.zeros(inside.sum())
    links: list[tuple[np.ndarray, np.ndarray]] = []
    exists = np.pad(np.ones(alpha.shape[1:], bool), 1)
    padded = np.pad(difference, ((1, 1), (1, 1), (0, 0)))
    for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
        place = rows[0] + down, rows[1] + right
        degree += exists[place]
        near = number[place]
        links.append((np.arange(len(near))[near >= 0], near[near >= 0]))
        border += np.where((near < 0)[:, None], padded[place], 0)
    i, j = (np.concatenate(part) for part in zip(*links, strict=True))
    laplacian = scipy.sparse.csc_matrix((-np.ones(len(i)), (i, j)), (len(degree),) * 2)
    membrane = padded.copy()
    membrane[inside] = spsolve(laplacian + scipy.sparse.diags(degree, format="csc"), border)
    return (edited + torch.from_numpy(membrane[1:-1, 1:-1]).to(edited)).clamp(0, 1)


def blend_linear(width: int) -> Blend:
    """Fade in linearly over `width` pixels, as Composite Box does."""
    return lambda edited, original, alpha: _mixed(edited, original, feather_ramp(alpha, width))


def blend_smooth(width: int) -> Blend:
    """Fade in along a cosine over `width` pixels."""
    return lambda edited, original, alpha: _mixed(
        edited, original, (1 - torch.cos(torch.pi * feather_ramp(alpha, width))) / 2
    )


def blend_bands(edited: Tensor, original: Tensor, alpha: Tensor) -> Tensor:
    """Fade in each band of frequencies over a width of its own (Burt and Adelson 1983), in the box alone."""
    result = torch.zeros_like(edited)
    new, old = edited, original
    for octave in range(OCTAVES):
        last = octave == OCTAVES - 1
        coarse = [(torch.zeros_like if last else _blurred(2.0**octave))(part) for part in (new, old)]
        ramp = feather_ramp(alpha, 4 * 2**octave)
        result += _mixed(new - coarse[0], old - coarse[1], ramp)
        new, old = coarse
    return torch.where(alpha.unsqueeze(-1) > 0, result, original).clamp(0, 1)


def _blurred(sigma: float) -> Callable[[Tensor], Tensor]:
    return lambda pixels: torch.from_numpy(gaussian_filter(pixels.numpy(), (0, sigma, sigma, 0))).to(pixels)


def _mixed(edited: Tensor, original: Tensor, ramp: Tensor) -> Tensor:
    return torch.lerp(original, edited, ramp.unsqueeze(-1))


def _moved(
    values: np.ndarray,
    own: tuple[np.ndarray, np.ndarray],
    wanted: tuple[np.ndarray, np.ndarray],
    least: float,
) -> Tensor:
    """Give `values` another middle and spread, the spread within the limit of our `ring`."""
    gain = (wanted[1] + least) / (own[1] + least)
    gain = gain.clip(1 / colour_match.GAIN_LIMIT, colour_match.GAIN_LIMIT)
    return torch.from_numpy((values - own[0]) * gain + wanted[0]).float()[None]


def _ring(alpha: Tensor, cell: int) -> np.ndarray:
    return colour_match.ring_around(alpha > 0, colour_match.RING_CELLS * cell)[0].numpy()


MATCHES: dict[str, Match] = {
    "none": colour_match.MATCHES["none"],
    "ring": colour_match.MATCHES["ring"],
    "median": match_median,
    "lab": match_lab,
    "fit": match_fit,
    "field": match_field,
    "poisson": match_poisson,
    "default": colour_match.MATCHES[colour_match.DEFAULT_MATCH],
}
BLENDS: dict[str, Blend] = {
    "hard": blend_linear(0),
    "linear_4": blend_linear(4),
    "cosine_4": blend_smooth(4),
    "linear_8": blend_linear(8),
    "cosine_8": blend_smooth(8),
    "multi_band": blend_bands,
}
