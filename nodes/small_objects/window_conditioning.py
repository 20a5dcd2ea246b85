"""Moves what has a place on a conditioning into the window: masks, areas, GLIGEN's boxes, control pictures.

Stock nodes place these in the whole picture, but a sampler lays them over what it samples, the window: masks
and pictures stretch over it; areas and GLIGEN's boxes count its latent cells, an area also its parts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import comfy.utils
import torch
from torch import Tensor

from ...core.small_objects.boxes import Box, ceil_to
from ...core.small_objects.region import Region
from ..types import Conditioning

Place = tuple[int, int, int, int]  # height, width, y, x in latent cells, as ComfyUI orders them
FRACTIONS = "percentage"  # ComfyUI's word before an area in parts of the sides


class IntoWindow:
    """Moves conditionings of the whole picture into the window of `region`; what it is given stays as it is.

    Use one for positive and negative: what shares a control then goes on sharing it, and is sampled in one
    batch. notes: remarks for the user.
    """

    def __init__(self, region: Region) -> None:
        self.region = region
        self.notes: list[str] = []
        self._controls: dict[Any, Any] = {None: None}

    def __call__(self, conditioning: Conditioning, name: str) -> Conditioning:
        """The entries that reach into the window, at their places there."""
        region = self.region
        if not region.scaled and region.window == Box(0, 0, region.image_width, region.image_height):
            return conditioning
        moved = ((text, self._moved(values)) for text, values in conditioning)
        inside = [[text, values] for text, values in moved if values is not None]
        if len(inside) < len(conditioning):
            outside, count = len(conditioning) - len(inside), len(conditioning)
            self.notes.append(
                f"{name}: prompts left out because they lie outside the window: {outside} of {count}."
            )
        return inside

    def _moved(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Move an entry's values; None if its mask or area lies outside the window."""
        moved = dict(values)
        if "mask" in values:
            moved["mask"] = self.cut(values["mask"])
            if not bool(moved["mask"].any()):
                return None
        if area := area_of(values, self.region):
            moved["area"] = self._place(*area)
            if moved["area"] is None:
                return None
        if values.get("gligen", ("",))[0] == "position":
            kind, model, boxes = moved.pop("gligen")
            placed = ((text, self._place(*place)) for text, *place in boxes)
            if inside := [(text, *place) for text, place in placed if place]:
                moved["gligen"] = (kind, model, inside)
        if "concat_latent_image" in values:
            moved["concat_latent_image"] = self.cut(values["concat_latent_image"])
        if "control" in values:
            moved["control"] = self._control(values["control"])
        return moved

    def cut(self, pixels: Tensor, method: str = "bilinear", crop: str = "disabled") -> Tensor:
        """Cut the window's part out of pixels (..., h, w) that stretch over the picture.

        They keep their scale where it is the latent's, the picture's or a multiple of that; others are first
        resized by ComfyUI's `common_upscale`. Beyond the picture the last row and column repeat.
        """
        region, window = self.region, self.region.window
        width, height = region.image_width, region.image_height
        size = tuple(pixels.shape[-2:])
        times, cell = max(1, size[1] // width), 1
        if size == _latent_size(region) and not region.scaled:
            times, cell = 1, region.cell
        elif size != (times * height, times * width):
            times = 1
            pixels = _resized(pixels, width, height, method, crop)
        rows, columns = (
            torch.arange(start * times // cell, end * times // cell).clamp(max=limit - 1)
            for start, end, limit in zip(
                (window.y, window.x), (window.bottom, window.right), pixels.shape[-2:], strict=True
            )
        )
        return pixels[..., rows[:, None], columns]

    def _place(self, height: int, width: int, y: int, x: int) -> Place | None:
        """Part of a place of the picture that lies in the window, in its cells; None if there is none."""
        cell, (sampled_width, sampled_height) = self.region.cell, self.region.sampled_size
        place = self.region.sampled(Box(x * cell, y * cell, width * cell, height * cell)).snap(cell)
        top, left = max(place.y, 0) // cell, max(place.x, 0) // cell
        bottom = min(place.bottom, sampled_height) // cell
        right = min(place.right, sampled_width) // cell
        return (bottom - top, right - left, top, left) if bottom > top and right > left else None

    def _control(self, control: Any) -> Any:
        """Copy a control and the controls before it, with their pictures cut to the window."""
        if control not in self._controls:
            moved, method = control.copy(), control.upscale_algorithm
            if control.cond_hint_original is not None:
                moved.cond_hint_original = self.cut(control.cond_hint_original, method, "center")
            moved.extra_concat_orig = [
                self.cut(extra, method, "center") for extra in control.extra_concat_orig
            ]
            if hasattr(moved, "cut_parents"):  # a factor's
                moved.cut_parents(self.cut)
            moved.set_previous_controlnet(self._control(control.previous_controlnet))
            self._controls[control] = moved
        return self._controls[control]


def area_of(values: Mapping[str, Any], region: Region) -> Place | None:
    """Area of an entry in latent cells of the picture, None if it has none (or a video's)."""
    area = values.get("area", ())
    if len(area) == 5 and area[0] == FRACTIONS:
        rows, columns = _latent_size(region)
        height, width, y, x = area[1:]  # to cells as comfy.samplers rounds them
        return (
            max(1, round(height * rows)),
            max(1, round(width * columns)),
            round(y * rows),
            round(x * columns),
        )
    return area if len(area) == 4 else None


def _latent_size(region: Region) -> tuple[int, int]:
    """Rows and columns of the whole picture's latent."""
    cell = region.cell
    return ceil_to(region.image_height, cell) // cell, ceil_to(region.image_width, cell) // cell


def _resized(pixels: Tensor, width: int, height: int, method: str, crop: str) -> Tensor:
    """`common_upscale` for pixels of any number of dimensions from (h, w) on."""
    batch = pixels if pixels.ndim > 3 else pixels.reshape(-1, 1, *pixels.shape[-2:])
    resized = comfy.utils.common_upscale(batch.float(), width, height, method, crop)
    return resized.reshape(*pixels.shape[:-2], height, width)
