"""The models, the prompts and the ways to a picture of many objects that FG-DM is measured with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.factors.files import read_factor
from ...core.factors.selection import Rows
from ...core.maps.palettes import COCO_STUFF
from ...core.maps.recall import Candidate, ranked
from ...core.schedule import NoiseSchedule
from ...miniature.map_set import MAP_SIZE
from ...miniature.model import judges, networks
from ...miniature.world.captions import plain_caption
from ...miniature.world.palette import PALETTE
from ...miniature.world.scenes import scene
from ...miniature.world.things import ON_MAPS
from ...training.factors.chain_sampling import RowsUNet
from ...training.loop.config import option
from ...training.models import sampling
from ...training.models.controlled_unet import ControlledUNet, load_controlnet
from ...training.models.factor_unet import FactoredUNet

MINIMAL_AREA = 0.003  # of the map, from which on an object counts
FEWEST, MOST = 4, 8  # objects of a prompt
CHUNK = 40  # rows at a time


@dataclass
class MapStudioConfig:
    """Which weights draw, and how."""

    base: str = option(str(networks.WEIGHTS), "folder of the miniature")
    factor: str = option(
        str(networks.WEIGHTS / "factors" / "segmentation.safetensors"), "segmentation factor"
    )
    guidance: float = option(5.0, "classifier-free guidance of pictures")
    map_guidance: float = option(3.0, "classifier-free guidance of maps")
    picture_steps: int = option(20, "sampling steps of a picture")
    early_steps: int = option(6, "early stop: sampling steps of a map")
    keep: int = option(2, "early stop: candidates of a pass that go on after half of the steps")
    stop_at: float = option(0.9, "early stop: recall from which on no further pass is made")
    precision: Literal["no", "bf16"] = option("bf16", "autocast of the networks")


@dataclass(frozen=True)
class ScenePrompt:
    """A sentence, and the things that it names."""

    text: str
    things: tuple[str, ...]


def prompts_of(count: int, split: str = "held_out") -> list[ScenePrompt]:
    """Prompts of 4 to 8 things that maps know, each a scene's; held-out ones of combinations never seen."""
    found: list[ScenePrompt] = []
    seed = 0
    while len(found) < count:
        objects = FEWEST + seed % (MOST - FEWEST + 1)
        drawn = scene(seed, count=objects, split=split, things=ON_MAPS)
        text = plain_caption(drawn, np.random.default_rng(seed))
        named = tuple(item.name for item in drawn.objects if f" {item.name}" in f" {text}")
        if FEWEST <= len(named) <= MOST:
            found.append(ScenePrompt(text, named))
        seed += 1
    return found


class MapStudio:
    """The models; each method works on rows, a prompt and a seed each, which give one result anywhere."""

    def __init__(self, config: MapStudioConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        folder = Path(config.base)
        self.models = networks.load(folder, device=device)
        self.controlled = ControlledUNet(self.models.unet, load_controlnet(folder / "controlnet").to(device))
        self.factor = read_factor(config.factor)[0].float().to(device)
        self.segmenter, self.classifier = judges.load_judges(folder, device)
        self.table = torch.from_numpy(PALETTE.table).to(device).float()
        self.empty = self.models.embed([""])[0]

    def pictures(self, texts: list[str], seeds: list[int], hints: Tensor | None = None) -> Tensor:
        """(B, 3, 64, 64) by the plain model, or by the image factor from maps (B, 3, H, W)."""

        def draw(rows: slice) -> Tensor:
            unet = self.models.unet
            if hints is not None:
                unet, self.controlled.hint = self.controlled, hints[rows]
            config = self.config
            return self._sampled(unet, texts[rows], seeds[rows], 16, config.picture_steps, config.guidance)

        return self._in_chunks(draw, len(texts))

    def maps(
        self,
        texts: list[str],
        seeds: list[int],
        steps: int,
        judge: Callable[[Tensor], Sequence[int]] | None = None,
    ) -> Tensor:
        """Segmentation maps (B, 3, 64, 64); judge: of a chunk's maps, seen halfway, the rows that go on."""

        def draw(rows: slice) -> Tensor:
            guidance, cells = self.config.map_guidance, MAP_SIZE // sampling.cell_of(self.models.vae)
            sampled = Rows(
                len(texts[rows]),
                sampling.timesteps(steps),
                judge=judge and (lambda latents: judge(sampling.decode(self.models.vae, latents))),
            )
            with FactoredUNet(self.models.unet, self.factor, is_first=True).attached() as factored:
                schedule = NoiseSchedule.scaled_linear()
                unet = RowsUNet(factored, sampled, schedule=schedule, guidance=guidance)
                return self._sampled(unet, texts[rows], seeds[rows], cells, steps, guidance)

        return self._in_chunks(draw, len(texts))

    @torch.no_grad()
    def segmented(self, pixels: Tensor) -> Tensor:
        """Labels of PALETTE (B, H, W) that the segmenter sees in pictures."""
        with self._half():
            logits = torch.cat([self.segmenter(part) for part in pixels.split(CHUNK)])
        known = [COCO_STUFF.index(label) for label in PALETTE.labels]
        return logits[:, known].argmax(dim=1)

    def decoded(self, maps: Tensor) -> Tensor:
        """Labels of PALETTE (B, H, W) whose colours are nearest to maps (B, 3, H, W)."""
        return torch.from_numpy(PALETTE.decode(sampling.to_arrays(maps))).long().to(maps.device)

    @torch.no_grad()
    def features(self, pixels: Tensor) -> Tensor:
        """(B, D) of whole pictures, by the classifier: what FID is measured on."""
        with self._half():
            small = F.interpolate(pixels, size=[judges.CROP] * 2, mode="area")
            return torch.cat([self.classifier.features(part) for part in small.split(CHUNK)]).float()

    def _sampled(
        self, unet: object, texts: list[str], seeds: list[int], cells: int, steps: int, guidance: float
    ) -> Tensor:
        noise = sampling.noise_for(seeds, (4, cells, cells), self.device)
        with self._half():
            latents = sampling.sample(
                unet, self.models.embed(texts), self.empty, noise, steps=steps, guidance=guidance
            )
            return sampling.decode(self.models.vae, latents)

    def _half(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.precision == "bf16")

    @staticmethod
    def _in_chunks(draw: Callable[[slice], Tensor], rows: int) -> Tensor:
        return torch.cat([draw(slice(start, min(start + CHUNK, rows))) for start in range(0, rows, CHUNK)])


def judged(labels: Tensor, prompt: ScenePrompt) -> list[Candidate]:
    """Maps of one prompt, labels of PALETTE (N, H, W), the best first."""
    wanted = {name: [PALETTE.index(name)] for name in prompt.things}
    return ranked(labels.cpu(), wanted, MINIMAL_AREA)


def recalls(labels: Tensor, prompts: list[ScenePrompt]) -> Tensor:
    """(B,) object recall of labels (B, H, W), a prompt each."""
    return torch.tensor([judged(own[None], p)[0].recall for own, p in zip(labels, prompts, strict=True)])


def unasked(labels: Tensor, prompts: list[ScenePrompt]) -> Tensor:
    """(B,) share of the things not asked for that labels (B, H, W) show: what recall would be by chance."""
    return recalls(labels, [ScenePrompt(p.text, tuple(set(ON_MAPS) - set(p.things))) for p in prompts])


def mean_iou(seen: Tensor, asked: Tensor) -> float:
    """Intersection over union of labels (B, H, W), averaged over the labels that are asked for."""
    labels = asked.unique().tolist()
    ious = [((seen == i) & (asked == i)).sum() / ((seen == i) | (asked == i)).sum() for i in labels]
    return torch.stack(ious).mean().item()
