"""Examples for a factor: its maps and its parents' encoded once, kept on disk, read by any process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import torch
from accelerate import Accelerator
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms.functional import pil_to_tensor

from ...core.factors.files import SEGMENTATION
from ...core.files import file_hash
from ...core.seeds import mix
from ..data.map_samples import read_maps
from ..loop.batches import MadeOfRows, ShardedRows
from ..loop.cache import cached, code_hash, shared
from ..models.base_model import BaseModel
from ..models.sampling import encode
from ..models.texts import as_bytes, folder_hash, from_bytes, gathered_texts

MAPS_AT_ONCE = 16
CAPTIONS = 5  # of a picture; with fewer they repeat


def prepare(
    shards: Sequence[Path], base: BaseModel, conditions: Sequence[str], cache: Path, accelerator: Accelerator
) -> tuple[list[dict[str, Tensor]], dict[str, Tensor]]:
    """The examples of all data shards and the embedded texts, from the cache or encoded now.

    conditions: the factor's own, then its parents'; a shard's latents (N, C, h, w) are named after them,
    a segmentation's `weight` (N, 1, h, w) are its `area_weights`. The column `text` (N, CAPTIONS) points into
    the texts, for which see `gathered_texts`. Processes share the shards.
    """
    fast = accelerator.mixed_precision != "no"
    causes = {"vae": folder_hash(base.folder / "vae"), "conditions": list(conditions), "fast": fast}
    causes["code"] = code_hash(__name__)

    def load(path: Path) -> dict[str, Tensor]:
        make = partial(encode_shard, path, base, conditions, fast=fast)
        return cached(cache, f"maps-{path.stem}", causes | {"shard": file_hash(path)}, make)

    examples = shared(shards, load, accelerator, "encoding maps")
    return examples, gathered_texts(examples, base, cache, accelerator)


class CachedMaps(MadeOfRows):
    """Batches for `FactorTask` out of cache files, which stay on disk until a row is read."""

    def __init__(
        self,
        examples: Sequence[dict[str, Tensor]],
        texts: dict[str, Tensor],
        conditions: Sequence[str],
        batch_size: int,
        device: torch.device,
        seed: int = 0,
    ) -> None:
        self.rows = ShardedRows(examples, ["text", *columns_of(conditions)], batch_size, seed, device)
        self.texts = {name: tensor.to(device) for name, tensor in texts.items()}
        self.conditions, self.batch_size, self.seed = conditions, batch_size, seed

    def __call__(self, step: int, rows: slice) -> dict[str, Tensor]:
        batch = self.rows(step, rows)
        own, *parents = (batch[name] for name in self.conditions)
        generator = torch.Generator().manual_seed(mix(self.seed, step, CAPTIONS))
        picked = torch.randint(CAPTIONS, (self.batch_size, 1), generator=generator)[rows]
        text = batch["text"].gather(1, picked.to(own.device))[:, 0]
        found = {"latents": own} | {name: table[text] for name, table in self.texts.items()}
        if parents:
            found["parents"] = torch.stack(parents, dim=1)
        return found | {name: batch[name] for name in batch.keys() & {"weight"}}

    def describe(self, step: int) -> str:
        places = self.rows.places(step, slice(None))
        return f"maps of {', '.join(from_bytes(shard['names'])[row] for shard, row in places)}"


def encode_shard(path: Path, base: BaseModel, conditions: Sequence[str], *, fast: bool) -> dict[str, Tensor]:
    """The examples of one data shard, as `CachedMaps` reads them; damaged samples are left out."""
    columns: dict[str, list[Tensor]] = {name: [] for name in columns_of(conditions)}
    words: dict[str, int] = {}
    names, text = [], []
    samples = read_maps(path, conditions)
    while some := list(islice(samples, MAPS_AT_ONCE)):
        for name in conditions:
            pixels = torch.stack([_pixels(sample.maps[name]) for sample in some]).to(base.vae.device)
            latents = encode(base.vae, pixels.float() / 255, fast=fast)
            columns[name].append(latents.half().cpu())
            if name == SEGMENTATION == conditions[0]:
                columns["weight"].append(area_weights(pixels, latents.shape[-2:]).half().cpu())
        for sample in some:
            names.append(sample.id)
            own = [words.setdefault(caption, len(words)) for caption in sample.captions or ("",)]
            text.append([own[i % len(own)] for i in range(CAPTIONS)])
    if not names:
        raise ValueError(f"data: {path} has no sample with {', '.join(conditions)}; make it again with them.")
    return {name: torch.cat(parts) for name, parts in columns.items()} | {
        "text": torch.tensor(text),
        "names": as_bytes(names),
        "words": as_bytes(list(words)),
    }


def columns_of(conditions: Sequence[str]) -> list[str]:
    """What is kept of maps: each condition's latents, and of a segmentation to learn its cells' weights."""
    return [*conditions, *(["weight"] if conditions[0] == SEGMENTATION else [])]


def area_weights(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(B, 1, h, w), mean 1 in each map: a colour of n pixels in flat maps uint8 (B, 3, H, W) weighs sqrt(n).

    Else a segmentation factor learns from its backgrounds, which cover most of the cells (h, w) = `size`.
    """
    packed = (maps.long() * torch.tensor([1 << 16, 1 << 8, 1], device=maps.device)[:, None, None]).sum(1)
    weights = []
    for own in packed:  # HW
        _, place, count = own.unique(return_inverse=True, return_counts=True)
        weight = count.float().rsqrt()[place]
        weights.append(weight / weight.mean())
    return F.adaptive_avg_pool2d(torch.stack(weights)[:, None], size)


def _pixels(picture: Image.Image) -> Tensor:
    return pil_to_tensor(picture.convert("RGB"))
