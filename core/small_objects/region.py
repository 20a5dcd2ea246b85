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
    """

    image_width: int
    image_height: int
    window: Box
    boxes: tuple[Box, ...]
    alpha: Tensor
    cell: int
    seeds: tuple[int | None, ...] = ()
    scaled: tuple[int, int] | None = None

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

    masks: (1 or batch, height, width) of the sampled window, in [0, 1], 1 where the model draws.
    """

    region: Region
    masks: list[Tensor]
    notes: list[str]

    @property
    def mask(self) -> Tensor:
        """Mask of all boxes."""
        return torch.stack(self.masks).amax(dim=0)


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
) -> PlannedEdit:
    """Plan an edit inside `boxes` of an image.

    names: what to call each box in messages. mask: (1 or batch, height, width) or None; only what is
    in a box counts. size: the image's (width, height). grid: the model's. snap: widen to whole tokens
    of it. grow: pixels added around. context, scale: see `plan_window`. In a scaled window the image
    changes in the boxes alone, and `snap` widens only what is sampled.
    Raises ValueError for a box outside the image, without a masked pixel, or on no latent cell.
    """
    width, height = size
    notes, inner, painted, final = [], [], [], []
    for box, name in zip(boxes, names, strict=True):
        clipped = box.clip(width, height, name)
        if clipped != box:
            notes.append(f"{name} reaches past the image and was clipped to {clipped}.")
        inner.append(clipped)
        painted.append(clipped if mask is None else _masked_part(mask, clipped, name))
        final.append(painted[-1].grow(grow).clip(width, height))
    planned = plan_window(final, size, context, scale, grid)
    window, scaled = planned.box, (planned.width, planned.height)
    is_scaled = scaled != (window.width, window.height)
    if scale.kind == "none" and context and max(scaled) > max(context, grid.token) + grid.token - 1:
        notes.append(f"context {context} px is too small for the boxes: the window is {window}.")
    if snap and not is_scaled:
        final = [box.snap(grid.token) for box in final]

    visible = window.clip(width, height)
    step = grid.token if snap else 1
    in_image = [_box_mask(box, mask, visible, window, 1 if is_scaled else step, grow) for box in painted]
    masks = [snap_mask(_enlarged(each, scaled), step) for each in in_image] if is_scaled else in_image
    for box_mask, box, name in zip(masks, final, names, strict=True):
        if not bool(to_cells(box_mask, grid.cell).round().any()):
            raise ValueError(
                f"{name} ({box}) covers no latent cell of {grid.cell}×{grid.cell} px: turn snap on, raise "
                "grow, or paint the mask stronger than 0.5."
            )
    alpha = torch.stack(in_image).amax(dim=0)
    if mask is not None and _reaches_past(mask, inner):
        notes.append("mask reaches past the box and was cut to it.")
    region = Region(
        width, height, window, tuple(final), alpha, grid.cell, scaled=scaled if is_scaled else None
    )
    return PlannedEdit(region, masks, notes)


def _reaches_past(mask: Tensor, boxes: Sequence[Box]) -> bool:
    outside = mask > 0
    for box in boxes:
        outside[box.index] = False
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


def _box_mask(box: Box, mask: Tensor | None, visible: Box, window: Box, step: int, grow: int) -> Tensor:
    if mask is None:
        box, values = box.grow(grow).clip(visible.right, visible.bottom), torch.ones(1, 1, 1)
    else:
        values = mask[box.index].cpu()
    canvas = torch.zeros(values.shape[0], visible.height, visible.width)
    canvas[Box(box.x - visible.x, box.y - visible.y, box.width, box.height).index] = values
    if mask is not None:
        canvas = dilate(canvas, grow)
    return snap_mask(pad_to_window(canvas.unsqueeze(-1), window).squeeze(-1), step)


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


def _enlarged(mask: Tensor, size: tuple[int, int]) -> Tensor:
    """(batch, h, w) at `size` (width, height); each pixel gets the largest value of those it touches."""
    return F.adaptive_max_pool2d(mask, size[::-1])


def dilate(mask: Tensor, pixels: int) -> Tensor:
    """Grow (batch, h, w) by `pixels` in all eight directions."""
    if pixels == 0:
        return mask
    size = 2 * pixels + 1
    rows = F.max_pool2d(mask.unsqueeze(1), (size, 1), stride=1, padding=(pixels, 0))
    return F.max_pool2d(rows, (1, size), stride=1, padding=(0, pixels)).squeeze(1)


def snap_mask(mask: Tensor, cell: int) -> Tensor:
    """Give every cell of (batch, h, w) its largest value; h and w are multiples of `cell`."""
    if cell == 1:
        return mask
    cells = F.max_pool2d(mask.unsqueeze(1), cell)
    return F.interpolate(cells, scale_factor=cell, mode="nearest").squeeze(1)


def to_cells(mask: Tensor, cell: int) -> Tensor:
    """(batch, h, w) at latent size, by the bilinear sampling that ComfyUI's samplers use."""
    size = (mask.shape[1] // cell, mask.shape[2] // cell)
    return F.interpolate(mask.unsqueeze(1), size=size, mode="bilinear").squeeze(1)


def partition(masks: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Make overlapping masks disjoint, the later one winning; also return what none of them covers."""
    taken = torch.zeros_like(masks[0])
    parts: list[Tensor] = []
    for mask in reversed(masks):
        parts.append(mask * (1 - taken))
        taken = torch.maximum(taken, mask)
    return parts[::-1], 1 - taken
