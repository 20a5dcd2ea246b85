"""Plans the region of an edit from boxes and a mask: what is sampled, and what is pasted back.

`plan_edit` turns what the user drew into a crop window on the latent grid, one mask a box, and
sentences on what had to be changed. `Region` is what *Composite Box* needs of that afterwards.
Masks are float tensors (batch, height, width) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images import resize_lanczos
from .box_masks import BoxMask, enlarged, framed, on_grid, painted, partition, snapped
from .boxes import Box, Grid
from .window import Scale, plan_window

UNSCALED = Scale()


@dataclass(frozen=True, eq=False)
class Region:
    """Where in an image an edit happened.

    image_width, image_height: size of the whole image in pixels.
    window: the part that was sampled; it may pass the right and bottom edge by less than a token.
    boxes: the edited boxes after clipping, growing and (if the window is not scaled) snapping.
    alpha: (1 or batch, window.height, window.width) in [0, 1], 0 where nothing may change.
    cell: pixels of the sampled window under one latent value.
    seeds: of the boxes' noise, as many as boxes, None where a box has none; or empty.
    scaled: width and height in pixels at which the window was sampled, None for its own.
    pictures: of a batch that the boxes are in, as many as boxes, None where a box is in all; or empty.
    """

    image_width: int
    image_height: int
    window: Box
    boxes: tuple[Box, ...]
    alpha: Tensor
    cell: int
    seeds: tuple[int | None, ...] = ()
    scaled: tuple[int, int] | None = None
    pictures: tuple[int | None, ...] = ()

    @property
    def sampled_size(self) -> tuple[int, int]:
        """Width and height in pixels at which the window was sampled."""
        return self.scaled or (self.window.width, self.window.height)

    def sampled(self, box: Box) -> Box:
        """A box of the image as it lies in the sampled window, widened to whole pixels."""
        (width, height), window = self.sampled_size, self.window
        x, y = (box.x - window.x) * width // window.width, (box.y - window.y) * height // window.height
        right = -((window.x - box.right) * width // window.width)
        bottom = -((window.y - box.bottom) * height // window.height)
        return Box(x, y, right - x, bottom - y)

    @property
    def visible(self) -> Box:
        """The window's part inside the image."""
        return self.window.clip(self.image_width, self.image_height, "window")


@dataclass(frozen=True, eq=False)
class PlannedEdit:
    """A planned edit: its region, one mask a box, and remarks for the user.

    masks: places and values in the sampled window, 1 where the model draws.
    """

    region: Region
    masks: list[BoxMask]
    notes: list[str]

    @property
    def mask(self) -> Tensor:
        """Mask (1 or batch, height, width) of all boxes."""
        return painted(self.masks, *self.region.sampled_size)


def plan_edit(
    boxes: Sequence[Box],
    names: Sequence[str],
    mask: Tensor | None,
    size: tuple[int, int],
    *,
    grid: Grid,
    snap: bool,
    grow: int,
    context: int,
    scale: Scale = UNSCALED,
    pictures: Sequence[int | None] = (),
    batch: int = 1,
) -> PlannedEdit:
    """Plan an edit inside `boxes` of an image.

    names: what to call each box in messages. mask: (1 or batch, height, width) or None; only what is
    in a box counts. size: the image's (width, height). grid: the model's. snap: widen to whole tokens
    of it. grow: pixels added around. context, scale: see `plan_window`. In a scaled window the image
    changes in the boxes alone, and `snap` widens only what is sampled. pictures: of a batch of so many
    that the boxes are in, as `Region.pictures`.
    Raises ValueError for a box outside the image, without a masked pixel, or on no latent cell.
    """
    width, height = size
    pictures = pictures or [None] * len(boxes)
    own = [_of_picture(mask, picture) for picture in pictures]
    notes, inner, parts, final = [], [], [], []
    for box, name, own_mask in zip(boxes, names, own, strict=True):
        clipped = box.clip(width, height, name)
        if clipped != box:
            notes.append(f"{name} reaches past the image and was clipped to {clipped}.")
        inner.append(clipped)
        parts.append(clipped if own_mask is None else _masked_part(own_mask, clipped, name))
        final.append(parts[-1].grow(grow).clip(width, height))
    planned = plan_window(final, size, context, scale, grid)
    window, scaled = planned.box, (planned.width, planned.height)
    is_scaled = scaled != (window.width, window.height)
    if scale.kind == "none" and context and max(scaled) > max(context, grid.token) + grid.token - 1:
        notes.append(f"context {context} px is too small for the boxes: the window is {window}.")
    if snap and not is_scaled:
        final = [box.snap(grid.token) for box in final]

    visible, step = window.clip(width, height), grid.token if snap else 1
    in_image = [
        _only_in(_box_mask(box, own_mask, visible, window, grow), picture, batch)
        for box, own_mask, picture in zip(parts, own, pictures, strict=True)
    ]
    masks = [snapped(enlarged(each, window, scaled) if is_scaled else each, step) for each in in_image]
    for box_mask, box, name in zip(masks, final, names, strict=True):
        if not bool(to_cells(on_grid(box_mask, grid.cell).values, grid.cell).round().any()):
            raise ValueError(
                f"{name} ({box}) covers no latent cell of {grid.cell}×{grid.cell} px: turn snap on, raise "
                "grow, or paint the mask stronger than 0.5."
            )
    if mask is not None and _reaches_past(mask, inner, pictures):
        notes.append("mask reaches past the box and was cut to it.")
    seen, _ = partition(masks, *scaled)
    notes += [
        f"{name} lies under later boxes, and they win."
        for part, name in zip(seen, names, strict=True)
        if not bool(part.values.any())
    ]
    alpha = painted(in_image if is_scaled else masks, window.width, window.height)
    region = Region(
        *(width, height, window, tuple(final), alpha, grid.cell),
        pictures=tuple(pictures),
        scaled=scaled if is_scaled else None,
    )
    return PlannedEdit(region, masks, notes)


def _of_picture(mask: Tensor | None, picture: int | None) -> Tensor | None:
    """The part of a mask (1 or batch, height, width) for one picture, or all of it."""
    return mask if mask is None or picture is None or len(mask) == 1 else mask[picture : picture + 1]


def _only_in(mask: BoxMask, picture: int | None, batch: int) -> BoxMask:
    """The mask in one picture of a batch, and 0 in the others."""
    if picture is None:
        return mask
    values = torch.zeros(batch, *mask.values.shape[1:])
    values[picture] = mask.values[0]
    return BoxMask(mask.box, values)


def _reaches_past(mask: Tensor, boxes: Sequence[Box], pictures: Sequence[int | None]) -> bool:
    outside = mask > 0
    for box, picture in zip(boxes, pictures, strict=True):
        part = _of_picture(outside, picture)  # a view
        part[box.index] = False
    return bool(outside.any())


def extent(mask: Tensor) -> Box | None:
    """The smallest box that holds all of a mask (height, width) above 0, None for an empty one."""
    rows, columns = (mask > 0).any(dim=1).nonzero(), (mask > 0).any(dim=0).nonzero()
    if len(rows) == 0:
        return None
    x, y = int(columns[0]), int(rows[0])
    return Box(x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1)


def _masked_part(mask: Tensor, box: Box, name: str) -> Box:
    part = extent(mask[box.index].amax(dim=0))
    if part is None:
        raise ValueError(
            f"mask has no pixel inside {name} ({box}); paint inside the box, move it, or unlink mask."
        )
    return replace(part, x=box.x + part.x, y=box.y + part.y)


def _box_mask(box: Box, mask: Tensor | None, visible: Box, window: Box, grow: int) -> BoxMask:
    """The mask of a box in the window; beyond the image it goes on as the image does."""
    grown = box.grow(grow).clip(visible.right, visible.bottom)
    if mask is None:
        values = torch.ones(1, grown.height, grown.width)
    else:
        values = dilate(framed(BoxMask(box, mask[box.index].cpu()), grown).values, grow)
    right = window.right if grown.right == visible.right else grown.right
    bottom = window.bottom if grown.bottom == visible.bottom else grown.bottom
    place = Box(grown.x - window.x, grown.y - window.y, right - grown.x, bottom - grown.y)
    return BoxMask(place, pad_to_window(values.unsqueeze(-1), place).squeeze(-1))


def cut_window(image: Tensor, region: Region) -> Tensor:
    """Cut the window out of an image (B, H, W, 3 or 4) and scale it: (B, h, w, 3) as it is sampled."""
    pixels = pad_to_window(image[region.visible.index][..., :3], region.window)
    return pixels if region.scaled is None else resize_lanczos(pixels, *region.scaled)


def pad_to_window(pixels: Tensor, window: Box) -> Tensor:
    """Repeat the last row and column of (batch, h, w, channels) up to the window's size."""
    right, bottom = window.width - pixels.shape[2], window.height - pixels.shape[1]
    if right == 0 and bottom == 0:
        return pixels
    # BHWC -> BCHW -> BHWC
    return F.pad(pixels.movedim(-1, 1), (0, right, 0, bottom), mode="replicate").movedim(1, -1)


def dilate(mask: Tensor, pixels: int) -> Tensor:
    """Grow (batch, h, w) by `pixels` in all eight directions."""
    if pixels == 0:
        return mask
    size = 2 * pixels + 1
    rows = F.max_pool2d(mask.unsqueeze(1), (size, 1), stride=1, padding=(pixels, 0))
    return F.max_pool2d(rows, (1, size), stride=1, padding=(0, pixels)).squeeze(1)


def to_cells(mask: Tensor, cell: int) -> Tensor:
    """(batch, h, w) at latent size, by the bilinear sampling that ComfyUI's samplers use."""
    size = (mask.shape[1] // cell, mask.shape[2] // cell)
    return F.interpolate(mask.unsqueeze(1), size=size, mode="bilinear").squeeze(1)
