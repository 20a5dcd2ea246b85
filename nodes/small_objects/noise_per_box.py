"""*Noise per Box*: gives each box of an edit a seed, so that one can be drawn anew and the others kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import comfy.sample
import torch
from comfy_api.latest import io
from torch import Tensor
from typing_extensions import override

from ...core.seeds import LARGEST_SEED
from ...core.small_objects.region import Region
from ..categories import SMALL_OBJECTS
from ..types import FinesseRegion


class BoxNoise(io.ComfyNode):
    """Makes the noise that sampling starts from, with a seed of its own in each box."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseBoxNoise",
            display_name="Noise per Box",
            category=SMALL_OBJECTS,
            description=(
                "Gives each box of Inpaint Small Box a seed of its own, in one sampling pass: change one "
                "seed, and its box starts from new noise, the others from the noise they had. Link it to "
                "SamplerCustomAdvanced."
            ),
            search_aliases=["seed per box", "random noise", "regional noise", "several seeds"],
            inputs=[
                FinesseRegion.Input(
                    "region", tooltip="The region from Inpaint Small Box; it knows the boxes."
                ),
                io.Int.Input(
                    "noise_seed",
                    default=0,
                    min=0,
                    max=LARGEST_SEED,
                    control_after_generate=True,
                    tooltip="The seed outside the boxes, and in boxes without a seed of their own.",
                ),
                io.String.Input(
                    "seeds",
                    default="",
                    tooltip=(
                        "A seed for each box, in the boxes' order, separated by commas: 7, -, 12. A box "
                        "with - here, or beyond the list's end, keeps the seed given in the box picker, "
                        "or else noise_seed."
                    ),
                ),
            ],
            outputs=[io.Noise.Output("noise", tooltip="For SamplerCustomAdvanced.")],
        )

    @classmethod
    @override
    def execute(cls, region: Region, noise_seed: int, seeds: str) -> io.NodeOutput:
        typed = parse_seeds(seeds, len(region.boxes))
        drawn = region.seeds or (None,) * len(region.boxes)
        own = [first if first is not None else then for first, then in zip(typed, drawn, strict=True)]
        return io.NodeOutput(NoisePerBox(region, noise_seed, own))


@dataclass
class NoisePerBox:
    """A NOISE of ComfyUI. seeds: one a box, None for `seed`. Where boxes overlap, the later one's counts."""

    region: Region
    seed: int
    seeds: list[int | None]

    def generate_noise(self, input_latent: dict[str, Any]) -> Tensor:
        """Make noise (B, C, h, w) for a latent of the region's window."""
        latent, places = input_latent["samples"], input_latent.get("batch_index")
        region, cell = self.region, self.region.cell
        width, height = region.sampled_size
        size = (height // cell, width // cell)
        if tuple(latent.shape[-2:]) != size:
            raise ValueError(
                f"latent_image has {latent.shape[-1]}×{latent.shape[-2]} cells, but region's window has "
                f"{size[1]}×{size[0]}; link latent and region of the same Inpaint Small Box."
            )
        noise = comfy.sample.prepare_noise(latent, self.seed, places)
        numbers = torch.tensor(places or range(len(latent))) % len(region.alpha)
        pictures = region.pictures or (None,) * len(region.boxes)
        for box, picture, seed in zip(region.boxes, pictures, self.seeds, strict=True):
            if seed is not None:
                own = region.sampled(box).snap(cell)
                rows = slice(own.y // cell, own.bottom // cell)
                chosen = slice(None) if picture is None else (numbers == picture).nonzero()[:, 0]
                inside = (chosen, ..., rows, slice(own.x // cell, own.right // cell))
                noise[inside] = comfy.sample.prepare_noise(latent, seed, places)[inside]
        return noise


def parse_seeds(text: str, count: int) -> list[int | None]:
    """Parse the seeds of `count` boxes, None where there is none. ValueError names the faulty word."""
    words = [word for word in re.split(r"[,\s]+", text) if word]
    if len(words) > count:
        raise ValueError(f"seeds has {len(words)} entries ({text.strip()}), but there are {count} boxes.")
    for word in words:
        if word != "-" and not (word.isdecimal() and int(word) <= LARGEST_SEED):
            raise ValueError(
                f"seeds has {word!r}; give whole numbers from 0 to {LARGEST_SEED}, or - for none, "
                "with commas between."
            )
    found = [None if word == "-" else int(word) for word in words]
    return found + [None] * (count - len(found))
