"""Examples for the inpainting twin: scenes with a hole of ordinary size, as stock inpainting models see.

Holes are never small, so that the twin has the weakness which SOEDiff cures.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from ...training.models.inpainting import encoded
from ..world.backgrounds import BACKGROUNDS, PLACES
from ..world.tensors import caption_row, caption_text, phrase

OBJECTS = 0.5  # of the holes, as far as the scenes have large enough ones, are objects' boxes
SMALLEST_OBJECT = 0.22  # of the side, from which on an object's own box may be the hole
RECTANGLE = (0.3, 0.95)  # of the side: width and height of the other holes
WHOLE = 0.05  # of these: the whole picture is the hole


def make_examples(
    scenes: dict[str, Tensor],
    vae: torch.nn.Module,
    embed: Callable[[list[str]], Tensor],
    seed: int,
    fast: bool,
    objects: float = OBJECTS,
) -> dict[str, Tensor]:
    """One hole a scene: latents, mask, masked_latents and context, as DenoisingTask takes them, in fp16.

    A part `objects` of the holes is the box of an object, described by its own words; the others are
    rectangles anywhere, described by the caption of the scene, or by the place alone ("grass") where they
    touch no object.
    """
    generator = torch.Generator().manual_seed(seed)
    pixels = scenes["pixels"]
    holes, texts = [], []
    for row in range(len(pixels)):
        hole, text = _hole(scenes, row, generator, objects)
        holes.append(hole)
        texts.append(text)
    return encoded(vae, pixels, torch.stack(holes), fast=fast) | {"context": embed(texts)}


def around_objects(scenes: dict[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Scenes of half the side and one object each: windows around the objects of ordinary size.

    For a quarter of the work a step they show as many objects, each as large as it is in its scene. The
    caption is that of the object, every second time with the place.
    """
    size = scenes["pixels"].shape[-1]
    side = size // 2
    extent = (scenes["box"][..., 2:] - scenes["box"][..., :2]).amax(dim=-1)
    fits = (scenes["thing"] >= 0) & (extent >= SMALLEST_OBJECT * size) & (extent <= 0.9 * side)
    row, column = fits.nonzero(as_tuple=True)
    box = scenes["box"][row, column]
    free = side - (box[:, 2:] - box[:, :2])
    place = torch.rand(len(row), 2, generator=torch.Generator().manual_seed(seed))
    corner = (box[:, :2] - place * free).round().long().clamp(0, size - side)
    windows = [
        scenes["pixels"][i, :, y : y + side, x : x + side]
        for i, (x, y) in zip(row.tolist(), corner.tolist(), strict=True)
    ]
    kinds = {name: scenes[name][row, column] for name in ("thing", "colour", "action")}
    places = [f" {PLACES[name].phrase}" for name in BACKGROUNDS]
    captions = [
        phrase(*words) + (places[place] if i % 2 else "")
        for i, (*words, place) in enumerate(
            zip(*(kind.tolist() for kind in kinds.values()), scenes["background"][row].tolist(), strict=True)
        )
    ]
    return {
        "pixels": torch.stack(windows),
        "box": (box - corner.repeat(1, 2))[:, None],
        "caption": torch.from_numpy(np.stack([caption_row(text) for text in captions])),
        **{name: kind[:, None] for name, kind in kinds.items()},
    }


def _hole(
    scenes: dict[str, Tensor], row: int, generator: torch.Generator, objects: float
) -> tuple[Tensor, str]:
    size = scenes["pixels"].shape[-1]
    draw = torch.rand(6, generator=generator)
    box = scenes["box"][row]
    sides = (box[:, 2:] - box[:, :2]).amax(dim=1)
    large = (sides >= SMALLEST_OBJECT * size).nonzero().flatten().tolist()
    if large and draw[0] < objects:
        picked = large[int(draw[1] * len(large))]
        margin = 0.12 * draw[2:4] * sides[picked]
        hole = torch.cat([box[picked, :2] - margin, box[picked, 2:] + margin])
        keep_colour = draw[4] < 0.8
        colour = int(scenes["colour"][row, picked]) if keep_colour else -1
        return hole, phrase(int(scenes["thing"][row, picked]), colour, int(scenes["action"][row, picked]))
    if draw[1] < WHOLE:
        return torch.tensor([0.0, 0.0, size, size]), caption_text(scenes["caption"][row])
    extent = (RECTANGLE[0] + (RECTANGLE[1] - RECTANGLE[0]) * draw[2:4]) * size
    corner = draw[4:6] * (size - extent)
    touched = (box[:, :2] < corner + extent).all(dim=1) & (box[:, 2:] > corner).all(dim=1)
    if not (touched & (scenes["thing"][row] >= 0)).any():
        place = PLACES[list(BACKGROUNDS)[int(scenes["background"][row])]]
        return torch.cat([corner, corner + extent]), place.phrase.split(maxsplit=1)[1]
    return torch.cat([corner, corner + extent]), caption_text(scenes["caption"][row])


def widened(unet: UNet2DConditionModel, source: Path) -> UNet2DConditionModel:
    """`unet` of 9 channels with the weights of the 4-channel one in `source`; new channels start at zero."""
    weights = UNet2DConditionModel.from_pretrained(source, torch_dtype=torch.float32).state_dict()
    narrow = weights["conv_in.weight"]
    weights["conv_in.weight"] = torch.zeros_like(unet.conv_in.weight)
    weights["conv_in.weight"][:, : narrow.shape[1]] = narrow
    unet.load_state_dict(weights)
    return unet
