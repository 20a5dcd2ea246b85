"""Encodes examples for SO-LoRA once and keeps them on disk, where any process reads them.

Each data shard has a cache file. It holds each picture's latent once and, for each of its boxes, the masked
latent and both latents of the window around it that the teacher sees enlarged; masks come from the boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain, islice
from pathlib import Path

import torch
from accelerate import Accelerator
from diffusers import AutoencoderKL
from torch import Tensor

from ...core.files import file_hash
from ...core.seeds import mix
from ..data.ahead import ahead
from ..data.samples import read_shard
from ..loop.batches import MadeOfRows, ShardedRows
from ..loop.cache import cached, code_hash, shared
from ..models.base_model import BaseModel
from ..models.inpainting import condition, draw_masks, encoded
from ..models.sampling import encode
from ..models.texts import as_bytes, folder_hash, from_bytes, gathered_texts
from .views import View, Views, views_of

PICTURES_AT_ONCE = 16
THREADS = 4
COLUMNS = ("box", "near_box", "masked_latents", "near_latents", "near_masked_latents", "text")


def prepare(
    shards: Sequence[Path], base: BaseModel, settings: Views, cache: Path, accelerator: Accelerator
) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    """Get the examples of all data shards and the embedded texts, from the cache or encoded now.

    Processes share the shards among them. The second dict holds `context` (T, L, width), for an SDXL `pooled`
    (T, width), and the examples' `text` column points into it; its first row is the empty prompt.
    """
    fast = accelerator.mixed_precision != "no"
    of_base = {"vae": folder_hash(base.folder / "vae"), "views": asdict(settings), "fast": fast}
    of_code = {"code": code_hash(__name__)}

    def load(path: Path) -> dict[str, Tensor]:
        causes = of_base | of_code | {"shard": file_hash(path)}
        make = partial(encode_shard, path, base.vae, settings, base.cell, fast=fast)
        return cached(cache, f"examples-{path.stem}", causes, make)

    examples = shared(shards, load, accelerator, "encoding pictures")
    return examples, gathered_texts(examples, base, cache, accelerator)


class CachedExamples(MadeOfRows):
    """Batches for `SmallObjectTask` from cache files, which stay on disk until a row is read.

    Each object has two prompts; the one with its colour is taken with probability `colour_share`.
    """

    def __init__(
        self,
        examples: Sequence[dict[str, Tensor]],
        texts: dict[str, Tensor],
        batch_size: int,
        device: torch.device,
        *,
        colour_share: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.rows = ShardedRows(examples, COLUMNS, batch_size, seed, device)
        self.texts = {name: tensor.to(device) for name, tensor in texts.items()}
        self.batch_size, self.colour_share, self.seed = batch_size, colour_share, seed

    def __call__(self, step: int, rows: slice) -> dict[str, Tensor]:
        batch = self.rows(step, rows)
        latents = [shard["latents"][shard["picture"][row]] for shard, row in self.rows.places(step, rows)]
        batch["latents"] = torch.stack(latents).to(self.rows.device, non_blocking=True)
        generator = torch.Generator().manual_seed(mix(self.seed, step))
        coloured = (torch.rand(self.batch_size, generator=generator) < self.colour_share)[rows]
        plain, with_colour = batch.pop("text").unbind(1)
        text = torch.where(coloured.to(plain.device), with_colour, plain)
        side = batch["latents"].shape[-1]
        batch["mask"], batch["near_mask"] = (draw_masks(batch[box], side) for box in ("box", "near_box"))
        return batch | {name: table[text] for name, table in self.texts.items()}

    def describe(self, step: int) -> str:
        places = self.rows.places(step, slice(None))
        names = [from_bytes(shard["names"])[int(shard["picture"][row])] for shard, row in places]
        return f"pictures {', '.join(names)}"


def encode_shard(
    path: Path, vae: AutoencoderKL, settings: Views, cell: int, *, fast: bool
) -> dict[str, Tensor]:
    """Encode one data shard for `CachedExamples`; damaged pictures are left out."""
    columns: dict[str, list[Tensor]] = {}
    names: list[str] = []
    words: dict[str, int] = {}
    shown = ahead(lambda sample: list(views_of(sample, settings, cell)), read_shard(path), THREADS)
    views = chain.from_iterable(shown)
    while some := list(islice(views, PICTURES_AT_ONCE)):
        pairs = [
            [words.setdefault(text, len(words)) for text in pair] for view in some for pair in view.texts
        ]
        found = _encode_views(some, vae, cell, len(names), fast=fast) | {"text": torch.tensor(pairs)}
        for name, tensor in found.items():
            columns.setdefault(name, []).append(tensor)
        names += [view.name for view in some]
    if not names:
        raise ValueError(f"data: {path} holds no picture that can be read; make it again.")
    return {name: torch.cat(parts) for name, parts in columns.items()} | {
        "names": as_bytes(names),
        "words": as_bytes(list(words)),
    }


def _encode_views(
    views: Sequence[View], vae: AutoencoderKL, cell: int, first: int, *, fast: bool
) -> dict[str, Tensor]:
    pixels = torch.stack([view.pixels for view in views]).to(vae.device).float() / 255
    picture = torch.cat([torch.full((len(view.boxes),), i) for i, view in enumerate(views)])
    boxes, near_boxes = (
        torch.cat([getattr(view, name) for view in views]) for name in ("boxes", "near_boxes")
    )
    size = pixels.shape[-1]
    masks = draw_masks(boxes, size).to(pixels)
    masked = [
        condition(vae, pixels[rows.to(pixels.device)], mask, fast=fast)[:, 1:].half().cpu()
        for rows, mask in zip(picture.split(PICTURES_AT_ONCE), masks.split(PICTURES_AT_ONCE), strict=True)
    ]
    near = encoded(vae, torch.cat([view.near_pixels for view in views]), near_boxes, fast=fast)
    return {
        "latents": encode(vae, pixels, fast=fast).half().cpu(),
        "picture": picture + first,
        "box": boxes / cell,
        "near_box": near_boxes / cell,
        "masked_latents": torch.cat(masked),
        "near_latents": near["latents"],
        "near_masked_latents": near["masked_latents"],
    }
