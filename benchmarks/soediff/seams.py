"""Measures seams of pasted edits on photographs: how far colours are off at the edge, and how suddenly.

    python -m finesse.benchmarks.soediff.seams    # writes docs/results/seams.json and seams.png

It takes some minutes, and scikit-image and scipy (`pip install -e ".[train,test]"`). The photographs are
scikit-image's, the VAE is the miniature's. In a box of a window an edit adds a round object, adds one that
reaches over the edge, or removes one, and the whole window passes through the VAE; so what the composite
should look like is known. Then the colours drift, as in a user's VAE or sampler:

vae       what the VAE itself does, no more
gains     red × 1.06, blue × 0.93 + 0.015, green + 0.01
gamma     each channel to the power of 1.12
wave      ± 0.05 along about half a wave down and across, in each channel another one
shifted   gains, gamma and wave in turn
inside    gains in the box alone, the ring stays: a sampler that a noise mask holds to the box

The groups `seams` (of `vae`), `shifted` and `inside` hold the matches of colour, `feather` the ways to blend
(of `shifted`, by the default match), and `drifts` the ring_delta_e of the others. In `redrawn` another edit
fills the box with its own mirror image: at the edge nothing is as before, but all of it belongs there.

`ring_delta_e` is the mean CIEDE2000 to what should be there, in the 8 pixels inside the edge, away from the
object; colours are those of a blur of 2 pixels, for details that the VAE lost are no seam. `edge_step` is the
largest change of the colour's error (in CIELAB) within 4 pixels across the edge, of means of 16 pixels along
and 4 across, where the object is 12 pixels off. `object_delta_e` is the CIEDE2000 in the object.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter
from skimage import data
from skimage.color import deltaE_ciede2000, rgb2lab
from torch import Tensor
from tqdm import tqdm

from ...core.files import replacing
from ...core.images import to_bytes
from ...core.small_objects.boxes import Box
from ...core.small_objects.colour_match import DEFAULT_MATCH
from ...core.small_objects.compositing import feather_ramp
from ...miniature.model import networks
from ...training.loop.config import option, parse, script
from ...training.models import sampling
from ..results import FOLDER, write_results
from .seam_rivals import BLENDS, MATCHES, Blend, Match

PHOTOS = ("astronaut", "coffee", "chelsea", "rocket", "stereo_motorcycle")
DISCS = {"added": (0.5, 0.28), "reaching": (0.85, 0.38), "removed": (0.6, 0.36)}  # centre across, radius
SIDES = (32, 48, 64, 96)  # of the boxes, in pixels
WINDOW = 192
MARGIN = 24  # least distance of a box from the window's edge
STRIP = 8  # width of the judged part of the box
SHARPNESS = 2  # sigma in pixels of the blur before colours are compared
NEAR = 6  # distance to the object within which its own edge could be taken for a seam
ALONG, ACROSS = 16, 4
FEATHER = "linear_4"
MEASURES = {name: name for name in ("ring_delta_e", "edge_step", "object_delta_e")}
SHIFTED = {name: f"shifted.{name}" for name in MEASURES}
SUMMARY = ("none", "ring", "poisson", "default")  # the matches that are shown where not all are
SHOWN = (4, 29, 33, 47)  # cases of the picture
PART, ZOOM, GAP, LINE = 112, 2, 4, 20


@dataclass
class Arguments:
    """Settings: which VAE to measure, and on how much."""

    weights: str = option(str(networks.WEIGHTS), "folder of the miniature, of which the VAE is taken")
    boxes: int = option(4, "boxes in each photograph, of several sides in turn")


@dataclass(frozen=True, eq=False)
class SeamCase:
    """An edit of a photograph: tensors (1, h, w, 3) in [0, 1].

    original: the window before. wanted: what the composite should be. edited: as it comes from the VAE.
    alpha: (1, h, w), 1 in the box. object: (h, w), 1 where the edit and the original differ.
    """

    box: Box
    original: Tensor
    wanted: Tensor
    edited: Tensor
    alpha: Tensor
    object: np.ndarray


def photograph(name: str) -> Tensor:
    found: Any = getattr(data, name)()
    picture = found[0] if isinstance(found, tuple) else found  # of a stereo pair the left one
    return torch.from_numpy(picture[..., :3].copy()).float()[None] / 255


def cases(boxes: int) -> Iterator[SeamCase]:
    """Draw the edits, not yet passed through a VAE: the same ones whenever they are asked for."""
    random = torch.Generator().manual_seed(0)
    photos = [photograph(name) for name in PHOTOS]

    def cut(photo: Tensor, side: int) -> Tensor:
        y, x = (int(torch.randint(size - side + 1, (), generator=random)) for size in photo.shape[1:3])
        return photo[:, y : y + side, x : x + side]

    for index, photo in enumerate(photos):
        for number in range(boxes):
            side = SIDES[number % len(SIDES)]
            window, other = cut(photo, WINDOW), cut(photos[(index + number + 1) % len(photos)], side)
            x, y = (
                MARGIN + int(torch.randint(WINDOW - side - 2 * MARGIN + 1, (), generator=random))
                for _ in range(2)
            )
            for edit in DISCS:
                yield _case(window, Box(x, y, side, side), other, edit)


def _case(window: Tensor, box: Box, other: Tensor, edit: str) -> SeamCase:
    """A disc of `other`: in the box's middle, cut off by its right edge, or taken away."""
    centre, radius = DISCS[edit]
    steps = torch.arange(box.width) + 0.5
    distance = torch.hypot(steps[:, None] - box.width / 2, steps - centre * box.width)
    disc = (radius * box.width - distance + 0.5).clamp(0, 1)
    alpha, shape, drawn = torch.zeros(1, WINDOW, WINDOW), torch.zeros(1, WINDOW, WINDOW), window.clone()
    alpha[box.index], shape[box.index] = 1, disc
    drawn[box.index] = torch.lerp(window[box.index], other, disc[..., None])
    before, after = (drawn, window) if edit == "removed" else (window, drawn)
    return SeamCase(box, before, after, after, alpha, shape[0].numpy())


def through_vae(vae: Any, case: SeamCase) -> SeamCase:
    pixels = sampling.decode(vae, sampling.encode(vae, case.wanted.movedim(-1, 1)))
    return replace(case, edited=pixels.movedim(1, -1).contiguous())


def mirrored(case: SeamCase) -> SeamCase:
    """The edit that fills the box with its own mirror image, which fades in over the judged strip."""
    mirror = case.original.clone()
    mirror[case.box.index] = case.original[case.box.index].flip(2)
    wanted = torch.lerp(case.original, mirror, feather_ramp(case.alpha, STRIP).unsqueeze(-1))
    return replace(case, wanted=wanted, edited=wanted, object=np.zeros_like(case.object))


def drift_gains(pixels: Tensor, alpha: Tensor) -> Tensor:
    return pixels * torch.tensor([1.06, 1.0, 0.93]) + torch.tensor([0, 0.01, 0.015])


def drift_gamma(pixels: Tensor, alpha: Tensor) -> Tensor:
    return pixels.clamp(min=0) ** 1.12


def drift_wave(pixels: Tensor, alpha: Tensor) -> Tensor:
    y, x = (torch.linspace(0, 1, size)[:, None] for size in pixels.shape[1:3])
    down = torch.cos(torch.pi * (0.7 * y + torch.tensor([0, 0.3, 0.1])))
    across = torch.cos(torch.pi * (x + torch.tensor([0, 0.1, 0.3])))
    return pixels + 0.05 * down[:, None] * across


def drift_all(pixels: Tensor, alpha: Tensor) -> Tensor:
    return drift_wave(drift_gamma(drift_gains(pixels, alpha), alpha), alpha)


def drift_inside(pixels: Tensor, alpha: Tensor) -> Tensor:
    soft = torch.from_numpy(gaussian_filter(alpha.numpy(), (0, 2, 2))).unsqueeze(-1)  # as decoders do
    return torch.lerp(pixels, drift_gains(pixels, alpha), soft)


DRIFTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "vae": lambda pixels, alpha: pixels,
    "gains": drift_gains,
    "gamma": drift_gamma,
    "wave": drift_wave,
    "shifted": drift_all,
    "inside": drift_inside,
}


def pasted(case: SeamCase, drift: str, match: Match, blend: Blend, cell: int) -> Tensor:
    """The composite of a case whose edit has drifted."""
    drifted = DRIFTS[drift](case.edited, case.alpha).clamp(0, 1)
    return blend(match(drifted, case.original, case.alpha, cell), case.original, case.alpha)


def verdict(made: Tensor, case: SeamCase) -> dict[str, float]:
    """Judge a composite; a measure without a place in this case is NaN."""
    area = case.box.grow(MARGIN)
    parts = [pixels[area.index][0].numpy() for pixels in (case.wanted, made)]
    shape = case.object[area.index[1:]]
    blurs = [rgb2lab(gaussian_filter(part, (SHARPNESS, SHARPNESS, 0))) for part in parts]
    error, wanted = deltaE_ciede2000(*blurs), rgb2lab(parts[0])
    steps = np.arange(area.width)
    depth = np.minimum(steps, steps[::-1]) - MARGIN  # 0 is the first pixel inside
    depth = np.minimum(depth[:, None], depth)
    near = gaussian_filter((shape > 0).astype(float), NEAR / 2) > 0.01
    strip, inner = (depth >= 0) & (depth < STRIP) & ~near, (shape > 0.5) & (depth >= STRIP)
    return {
        "ring_delta_e": float(error[strip].mean()) if strip.any() else np.nan,
        "edge_step": _edge_step(rgb2lab(parts[1]) - wanted, near),
        "object_delta_e": float(error[inner].mean()) if inner.any() else np.nan,
    }


def _edge_step(error: np.ndarray, near: np.ndarray) -> float:
    """The mean over the parts of the four edges that lie clear of the object."""
    found = []
    for turns in range(4):
        rows = slice(MARGIN - 2 * ACROSS, MARGIN + 3 * ACROSS)
        turned, close = np.rot90(error, turns)[rows], np.rot90(near, turns)[rows]
        for start in range(MARGIN, error.shape[1] - MARGIN - ALONG + 1, ALONG):
            if not close[:, start : start + ALONG].any():
                profile = turned[:, start : start + ALONG].mean(axis=1)
                means = np.stack([profile[k : k + ACROSS].mean(axis=0) for k in range(len(profile) - 3)])
                found.append(np.linalg.norm(means[ACROSS:] - means[:-ACROSS], axis=1).max())
    return float(np.mean(found)) if found else np.nan


def measure(found: list[SeamCase], drift: str, match: Match, blend: Blend, cell: int) -> dict[str, float]:
    """Means of the verdicts; a measure that has a place in no case is left out."""
    verdicts = [verdict(pasted(case, drift, match, blend, cell), case) for case in found]
    values = {name: np.array([one[name] for one in verdicts]) for name in verdicts[0]}
    return {name: float(np.nanmean(part)) for name, part in values.items() if np.isfinite(part).any()}


def picture(found: list[SeamCase], cell: int) -> Image.Image:
    """Some cases with shifted colours, a row each, enlarged: before, what is wanted, and by some matches."""
    columns = ["original", "wanted", *SUMMARY[:-1], f"default ({DEFAULT_MATCH})"]
    shown = [found[index] for index in SHOWN if index < len(found)]
    side, step = PART * ZOOM, PART * ZOOM + GAP
    sheet = Image.new("RGB", (step * len(columns) - GAP, LINE + step * len(shown) - GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, name in enumerate(columns):
        draw.text((column * step, 0), name, "black", font)
    for row, case in enumerate(shown):
        made = (pasted(case, "shifted", MATCHES[name], BLENDS[FEATHER], cell) for name in SUMMARY)
        x, y = (
            min(max(start + case.box.width // 2 - PART // 2, 0), WINDOW - PART)
            for start in (case.box.x, case.box.y)
        )
        for column, pixels in enumerate([case.original, case.wanted, *made]):
            tile = Image.fromarray(to_bytes(pixels[0, y : y + PART, x : x + PART]).numpy())
            sheet.paste(tile.resize((side, side), Image.NEAREST), (column * step, LINE + row * step))
    return sheet


def main() -> None:
    (arguments,) = parse([Arguments], {})
    (vae,) = networks.load_networks(Path(arguments.weights), "vae")
    cell = sampling.cell_of(vae)
    drawn = list(cases(arguments.boxes))
    found = [through_vae(vae, case) for case in tqdm(drawn, leave=False)]
    redrawn = [through_vae(vae, mirrored(case)) for case in drawn[:: len(DISCS)]]
    metrics: dict[str, float] = {}

    def add(row: str, names: Mapping[str, str], judged: list[SeamCase], drift: str, *ways: Any) -> None:
        values = measure(judged, drift, *ways, cell)
        told = {f"{row}.{names[name]}": value for name, value in values.items() if name in names}
        metrics.update(told)
        sys.stdout.write("".join(f"{name} {value:.2f}\n" for name, value in told.items()))

    linear = BLENDS[FEATHER]
    for group, drift in {"seams": "vae", "shifted": "shifted", "inside": "inside"}.items():
        for name, match in MATCHES.items():
            add(f"{group}.{name}", MEASURES, found, drift, match, linear)
    for name, match in MATCHES.items():
        add(f"redrawn.{name}", MEASURES, redrawn, "vae", match, linear)
        add(f"redrawn.{name}", SHIFTED, redrawn, "shifted", match, linear)
    for drift in ("gains", "gamma", "wave"):
        for name in SUMMARY:
            add(f"drifts.{drift}", {"ring_delta_e": name}, found, drift, MATCHES[name], linear)
    for name, blend in BLENDS.items():
        add(f"feather.{name}", MEASURES, found, "shifted", MATCHES["default"], blend)
    with replacing(FOLDER / "seams.png") as path:
        picture(found, cell).save(path, format="PNG", optimize=True)
    sys.stdout.write(f"{write_results('soediff.seams', metrics, 'seams')}\n")


if __name__ == "__main__":
    script(main)
