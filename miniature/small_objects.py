"""What SO-LoRA learns from in the miniature: small objects, and the enlarged windows its teacher sees."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ..core.small_objects import cut, seen_from, windows
from .data import phrase
from .inpainting import encoded, snapped
from .models import cell_of

SIDES = (1 / 12, 1 / 6)  # of the picture's side: below, the VAE keeps nothing of an object
WINDOW = 1 / 2  # of the picture's side, as 256 of 512 pixels in the paper


def make_examples(
    scenes: dict[str, Tensor],
    vae: torch.nn.Module,
    embed: Callable[[list[str]], Tensor],
    seed: int,
    fast: bool,
) -> dict[str, Tensor]:
    """Every small object of the scenes once, as `SmallObjectTask` takes it, in fp16.

    The hole is its box on the latent grid; its words are those of the object, four times in five with the
    colour, if it has one.
    """
    size = scenes["pixels"].shape[-1]
    extent = (scenes["box"][..., 2:] - scenes["box"][..., :2]).amax(dim=-1) / size
    row, column = ((extent >= SIDES[0]) & (extent <= SIDES[1]) & (scenes["thing"] >= 0)).nonzero(
        as_tuple=True
    )
    named = torch.rand(len(row), generator=torch.Generator().manual_seed(seed)) < 0.8
    thing, colour, action = (scenes[name][row, column] for name in ("thing", "colour", "action"))
    words = zip(thing.tolist(), torch.where(named, colour, -1).tolist(), action.tolist(), strict=True)

    pixels, cell = scenes["pixels"][row], cell_of(vae)
    holes = snapped(scenes["box"][row, column], cell)
    window = windows(holes, size, WINDOW * size)
    near_pixels = cut(pixels.float(), window, size).round().byte()
    near_holes = seen_from(window, holes, size)
    near = encoded(vae, near_pixels, near_holes, fast=fast)
    return {
        **encoded(vae, pixels, holes, fast=fast),
        **{f"near_{name}": tensor for name, tensor in near.items()},
        "box": holes / cell,
        "near_box": near_holes / cell,
        "context": embed([phrase(*indices) for indices in words]),
    }
