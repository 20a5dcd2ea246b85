"""The miniature's small objects as curated data, for the scripts that train SO-LoRA and tune the VAE.

    python -m finesse.miniature.small_object_set --output runs/64/small --split train
    python -m finesse.training.so_lora --base runs/64/weights --unet unet_inpainting --resolution 64 \\
        --crop 32 --rank 16 --data runs/64/small/train
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from ..core.files import write_json
from ..training.data.samples import Sample, SampleRecord, SmallObject, write_shard
from ..training.loop.config import option, parse
from .world.tensors import load_scenes
from .world.things import COLOURS, THINGS

SIDES = {"train": (1 / 12, 1 / 6), "test": (1 / 8, 1 / 6)}  # of the picture's side
CELLS = 16  # of the latent, a side
SHARD = 4000  # pictures


@dataclass
class Arguments:
    """Which scenes to write, and where."""

    output: str = option("", "folder of the shards, SPLIT-000000.tar and on")
    split: str = option("train", "train or test")
    scenes: int = option(16_000, "scenes to look through")
    size: int = option(64, "side of the scenes in pixels")
    cache: str = option("", "folder that keeps rendered scenes; empty is the output's")


def samples(
    cache: Path, split: str, count: int, size: int, sides: tuple[float, float] | None = None
) -> Iterator[Sample]:
    """Each object with a side in `sides` of the scenes 0 … count-1 of a split, in a picture of its own."""
    scenes = load_scenes(cache, split, count, size)
    low, high = sides or SIDES[split]
    extent = (scenes["box"][..., 2:] - scenes["box"][..., :2]).amax(dim=-1) / size
    fits = (scenes["thing"] >= 0) & (extent >= low) & (extent <= high)
    for row, place in fits.nonzero().tolist():
        pixels, box = centred(scenes["pixels"][row], scenes["box"][row, place])
        thing, colour = (int(scenes[name][row, place]) for name in ("thing", "colour"))
        found = SmallObject(
            THINGS[thing], tuple((box / size).tolist()), COLOURS[colour] if colour >= 0 else None
        )
        picture = Image.fromarray(pixels.permute(1, 2, 0).numpy())
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=100, subsampling=0)
        yield Sample(
            SampleRecord("miniature", f"{row:06}-{place}", size, size, (found,)), data.getvalue(), picture
        )


def centred(pixels: Tensor, box: Tensor) -> tuple[Tensor, Tensor]:
    """pixels (3, S, S) moved by less than a latent cell, box (4,) into the middle of whole cells; both.

    A cell is a sixteenth of the side here, not a 64th as in Stable Diffusion: a box that lies anyhow would
    grow by half when it is widened to whole cells, and most of it would not be the object.
    """
    size, cell = pixels.shape[-1], pixels.shape[-1] // CELLS
    extent = box[2:] - box[:2]
    whole = (extent / cell).ceil() * cell
    margin = ((whole - extent) / 2).floor()
    corner = (((box[:2] - margin) / cell).round() * cell).clamp(min=0).minimum(size - whole) + margin
    right, down = (corner - box[:2]).int().tolist()
    padded = F.pad(pixels[None].float(), (cell,) * 4, mode="replicate")[0].to(pixels.dtype)
    moved = padded[:, cell - down : cell - down + size, cell - right : cell - right + size]
    return moved, torch.cat([corner, corner + extent])


def write_samples(folder: Path, cache: Path, split: str, count: int, size: int) -> dict[str, Any]:
    """Write the samples as shards, and their numbers as `<split>.json`, told as real data tell them."""
    found = list(samples(cache, split, count, size))
    listed = []
    for number, start in enumerate(range(0, len(found), SHARD)):
        name = f"{split}-{number:06}.tar"
        listed.append({"file": name, "samples": write_shard(folder / name, found[start : start + SHARD])})
    objects = sum(len(sample.record.objects) for sample in found)
    report = {"pictures": {"kept": len(found)}, "objects": objects, "shards": listed}
    write_json(folder / f"{split}.json", report)
    return report


def main() -> None:
    (arguments,) = parse([Arguments], {})
    output = Path(arguments.output)
    cache = Path(arguments.cache) if arguments.cache else output / "cache"
    report = write_samples(output, cache, arguments.split, arguments.scenes, arguments.size)
    pictures, objects = report["pictures"]["kept"], report["objects"]
    sys.stdout.write(f"{pictures} pictures with {objects} small objects in {output}\n")


if __name__ == "__main__":
    main()
