"""Pictures with their maps out of prompts: the best of some sampled maps, its children, its picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ...core.factors.selection import RecallJudge, Rows, Trajectory
from ...core.maps.conversion import convert
from ...core.maps.palettes import Palette
from ...core.maps.prompt_objects import objects_in, shown_by
from ...core.maps.recall import Candidate
from ...core.seeds import mix
from ..data.map_samples import MapSample
from ..models import sampling
from ..models.base_model import BaseModel
from ..models.controlled_unet import ControlledUNet
from ..models.factor_unet import FactoredUNet
from .chain_sampling import Link, RowsUNet, sample_chain

SMOOTH = ("depth", "normal")  # enlarged bilinearly, the others by their nearest pixel


@dataclass(frozen=True)
class SampleRecipe:
    """How a prompt becomes a sample.

    palette: of the segmentation maps; control_palette: what the ControlNet reads. candidates: maps sampled a
    prompt; keep: of these, how many go on after half of the steps, 0 for all. map_size, size: sides in pixels
    of maps and pictures. minimal_area: see `core.recall.ranked`. half: compute in bfloat16.
    """

    palette: Palette
    control_palette: Palette
    candidates: int = 10
    keep: int = 0
    map_size: int = 256
    size: int = 512
    steps: int = 20
    guidance: float = 5.0
    minimal_area: float = 0.003
    seed: int = 0
    half: bool = False


@dataclass(frozen=True)
class BestMap:
    """The best map of a prompt: how its latents (1, C, h, w) were sampled, its RGB (h, w, 3), its recall."""

    record: Trajectory
    painted: np.ndarray
    candidate: Candidate


class Maker:
    """A base, a chain of factors, the first of them a segmentation, and the ControlNet of the last."""

    def __init__(
        self, base: BaseModel, chain: Sequence[Link], controlled: ControlledUNet, recipe: SampleRecipe
    ) -> None:
        self.base, self.chain, self.controlled, self.recipe = base, chain, controlled, recipe
        self.empty = base.embed([""])

    def wanted(self, prompt: str) -> dict[str, list[int]]:
        """The palette's objects that a prompt names, each with the labels that show it."""
        palette = self.recipe.palette
        return shown_by(map(palette.index, objects_in(prompt, palette)), palette)

    @torch.no_grad()
    def best(self, prompt: str, index: int) -> BestMap:
        """The best of the candidates for the prompt of that index in its list, which names objects."""
        recipe, first = self.recipe, self.chain[0]
        judge = RecallJudge(recipe.palette, self.wanted(prompt), recipe.minimal_area, recipe.keep)
        noise = self._noise(index, first.info.condition, recipe.map_size, recipe.candidates)
        rows = Rows(
            recipe.candidates,
            sampling.timesteps(recipe.steps, self.base.scheduler),
            recorded=True,
            judge=(lambda clean: judge.survivors(self._painted(clean))) if recipe.keep else None,
        )
        with FactoredUNet(self.base.unet, first.factor, is_first=True).attached() as unet:
            watched = RowsUNet(unet, rows, schedule=self.base.schedule, guidance=recipe.guidance)
            latents = self._sampled(watched, prompt, noise, recipe.map_size)
        rows.trajectory.final = latents
        painted = self._painted(latents[rows.kept])
        winner = judge.ranked(painted, rows.kept)[0]
        row = rows.kept[winner.index]
        labels = recipe.palette.decode(painted[winner.index])
        record = rows.trajectory.take([row])
        return BestMap(record, recipe.palette.encode(labels), replace(winner, index=row))

    @torch.no_grad()
    def sample(self, prompt: str, index: int, found: BestMap) -> MapSample:
        """The picture of a map, with that map and those of the other factors."""
        recipe, (first, *others) = self.recipe, self.chain
        size = (recipe.size, recipe.size)
        maps = {first.info.condition: Image.fromarray(found.painted).resize(size, Image.NEAREST)}
        names = [link.info.condition for link in others]
        with self._autocast():
            children = sample_chain(
                self.base.unet,
                self.chain,
                *self._texts(prompt, 1),
                {name: self._noise(index, name, recipe.map_size) for name in names},
                given={first.info.condition: found.record.final},
                recorded={first.info.condition: found.record},
                scheduler=self.base.scheduler,
                added=self._added(prompt, 1, recipe.map_size),
                steps=recipe.steps,
                guidance=recipe.guidance,
            )
        for name in names:
            enlarge = Image.BILINEAR if name in SMOOTH else Image.NEAREST
            maps[name] = Image.fromarray(self._painted(children[name])[0]).resize(size, enlarge)
        picture = self._picture(prompt, index, found.painted)
        return MapSample(f"{index:08}", (prompt,), picture, maps, "made")

    def _picture(self, prompt: str, index: int, painted: np.ndarray) -> Image.Image:
        recipe = self.recipe
        hint = convert(painted, recipe.palette, recipe.control_palette).painted
        self.controlled.hint = torch.from_numpy(hint).movedim(-1, 0)[None].to(self.base.vae.device) / 255
        noise = self._noise(index, "picture", recipe.size)
        latents = self._sampled(self.controlled, prompt, noise, recipe.size)
        return Image.fromarray(self._painted(latents)[0])

    def _sampled(self, unet: Any, prompt: str, noise: Tensor, size: int) -> Tensor:
        context, empty = self._texts(prompt, len(noise))
        added = self._added(prompt, len(noise), size)
        with self._autocast():
            return sampling.sample(
                unet,
                context,
                empty,
                noise,
                scheduler=self.base.scheduler,
                added=added,
                steps=self.recipe.steps,
                guidance=self.recipe.guidance,
            )

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.base.vae.device.type, torch.bfloat16, enabled=self.recipe.half)

    def _noise(self, index: int, what: str, size: int, count: int = 1) -> Tensor:
        """A function of seed, prompt, what it becomes and the candidate: no other may change it."""
        seeds = [mix(self.recipe.seed, index, *what.encode(), row) for row in range(count)]
        cells = size // self.base.cell
        shape = (self.base.vae.config.latent_channels, cells, cells)
        return sampling.noise_for(seeds, shape, self.base.vae.device)

    def _texts(self, prompt: str, rows: int) -> tuple[Tensor, Tensor]:
        """The text (rows, L, width) and the empty one (L, width)."""
        context = self.base.embed([prompt]).context.float()
        return context.expand(rows, -1, -1), self.empty.context[0].float()

    def _added(self, prompt: str, rows: int, size: int) -> dict[str, Tensor] | None:
        if not self.base.is_sdxl:
            return None
        added = sampling.embeddings(self.empty.pooled[0].float(), size)
        return sampling.guided(added, self.base.embed([prompt]).pooled.float().expand(rows, -1))

    def _painted(self, latents: Tensor) -> np.ndarray:
        """Latents (B, C, h, w) as RGB uint8 (B, H, W, 3)."""
        return sampling.to_arrays(sampling.decode(self.base.vae, latents.float()))
