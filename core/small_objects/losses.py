"""SOEDiff's losses, which teach an inpainting model objects smaller than those it was trained on.

SOEDiff, section 4. Latents are (B, C, h, w), boxes (B, 4) left, top, right, bottom in latent cells, fractions
allowed. Each loss is (B,), one number a row, so that a caller may weigh rows before it averages.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

HUBER = 1e-3


def pseudo_huber(difference: Tensor, h: float = HUBER) -> Tensor:
    """sqrt(d^2 + h^2) - h, elementwise: nearly |d|, but smooth at 0."""
    return (difference.square() + h * h).sqrt() - h


def denoise_loss(predicted: Tensor, noise: Tensor, mask: Tensor, *, by_area: bool = True) -> Tensor:
    """H(m * predicted, m * noise): the error of the predicted noise inside the mask (B, 1, h, w), 1 to paint.

    By area it is the mean over the mask's cells, so that a small box pulls as hard as a large one; else the
    paper's mean over all cells. An empty mask gives 0.
    """
    distance = pseudo_huber(mask * (predicted - noise)).mean(dim=1, keepdim=True)
    if not by_area:
        return distance.mean(dim=(1, 2, 3))
    return distance.sum(dim=(1, 2, 3)) / mask.sum(dim=(1, 2, 3)).clamp(min=1.0)


def cross_scale_loss(
    student: Tensor, teacher: Tensor, student_box: Tensor, teacher_box: Tensor, side: int
) -> Tensor:
    """H(R(C(student)), R(C(teacher))): two predictions of the clean latent, compared inside the box alone.

    The teacher saw the surroundings of the box enlarged. C cuts each one's box out of it, R resizes both to
    `side` x `side` cells.
    """
    return pseudo_huber(cut(student, student_box, side) - cut(teacher, teacher_box, side)).mean(dim=(1, 2, 3))


def cut(latent: Tensor, box: Tensor, side: int) -> Tensor:
    """Cut out and resize each row's box, bilinearly: (B, C, side, side); beyond the edge its cells repeat."""
    size = torch.tensor(latent.shape[-1:-3:-1], device=latent.device, dtype=latent.dtype)  # w, h
    steps = (torch.arange(side, device=latent.device, dtype=latent.dtype) + 0.5) / side
    place = box[:, None, :2] + steps[None, :, None] * (box[:, None, 2:] - box[:, None, :2])  # B, side, (x, y)
    place = 2 * place / size - 1  # -1 … 1 from edge to edge
    shape = (len(box), side, side)
    grid = torch.stack([place[:, None, :, 0].expand(shape), place[:, :, None, 1].expand(shape)], dim=-1)
    return F.grid_sample(latent, grid, mode="bilinear", padding_mode="border", align_corners=False)


def windows(boxes: Tensor, size: int, side: int) -> Tensor:
    """Place the teacher's windows (B, 4): squares of `side` centred on the boxes, moved into 0 … `size`.

    A box larger than `side` gets a window of its own longer side; none is larger than `size`. Any unit.
    """
    extent = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True).clamp(min=side, max=size)
    corner = ((boxes[:, :2] + boxes[:, 2:] - extent) / 2).clamp(min=0.0).minimum(size - extent)
    return torch.cat([corner, corner + extent], dim=1)


def seen_from(window: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Express boxes (B, 4) in the coordinates of a picture that shows `window` (B, 4) at `size` a side."""
    scale = size / (window[:, 2:3] - window[:, :1])
    return (boxes - window[:, :2].repeat(1, 2)) * scale
