"""FG-DM's use for training others: a segmenter that learns from few real pictures, and from made ones too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.images import to_bytes
from ...core.maps.palettes import COCO_STUFF
from ...miniature.model import judges
from ...miniature.world.palette import PALETTE
from ...miniature.world.tensors import load_scenes
from ...miniature.world.things import ON_MAPS
from ...training.loop.batches import ShuffledRows
from ...training.loop.cache import cached
from ...training.loop.config import TrainConfig
from ...training.loop.trainer import train
from .methods import MapStudio, mean_iou, prompts_of, recalls

REAL, MADE, TESTED = 400, 400, 300  # pictures
CANDIDATES = 3  # maps a made picture is chosen of
PLAN = TrainConfig(
    steps=300, batch_size=32, optimizer="muon", learning_rate=3e-3, warmup_steps=20, preview_every=0
)


def downstream(studio: MapStudio, work: Path, causes: Mapping[str, object]) -> dict[str, float]:
    """mIoU on test scenes of a segmenter trained on real pictures alone, and as long on made ones too."""
    real = load_scenes(work, "train", REAL, 64, things=ON_MAPS)
    made = cached(work, "made", {**causes, "made": [MADE, CANDIDATES]}, lambda: _made(studio))
    tested = load_scenes(work, "test", TESTED, 64, things=ON_MAPS)
    both = {name: torch.cat([real[name], made[name]]) for name in ("pixels", "labels")}
    metrics = {}
    for name, data in (("real", real), ("real_and_made", both)):
        torch.manual_seed(0)
        segmenter = judges.Segmenter().to(studio.device)
        rows = {key: data[key].to(studio.device) for key in ("pixels", "labels")}
        batches = ShuffledRows(rows, PLAN.batch_size)
        train(judges.SegmenterTask(segmenter), batches, PLAN, work / f"segmenter_{name}")
        with torch.no_grad():
            pixels = (tested["pixels"].float() / 255).to(studio.device).split(40)
            seen = torch.cat([segmenter(part).argmax(dim=1).cpu() for part in pixels])
        metrics[f"downstream.{name}.miou"] = mean_iou(seen, tested["labels"].long())
    return metrics


def _made(studio: MapStudio) -> dict[str, Tensor]:
    """Made pictures uint8 and their labels of COCO-Stuff, from prompts of the training split."""
    prompts = prompts_of(MADE, "train")
    texts = [prompt.text for prompt in prompts for _ in range(CANDIDATES)]
    labels = studio.decoded(studio.maps(texts, list(range(CANDIDATES)) * MADE, 10))
    recall = recalls(labels, [prompt for prompt in prompts for _ in range(CANDIDATES)])
    best = recall.view(-1, CANDIDATES).argmax(dim=1) + CANDIDATES * torch.arange(MADE)
    labels = labels[best.to(labels.device)]
    hints = studio.table[labels].movedim(-1, 1) / 255
    drawn = studio.pictures([prompt.text for prompt in prompts], best.tolist(), hints)
    numbers = torch.tensor([COCO_STUFF.index(label) for label in PALETTE.labels], device=labels.device)
    large = F.interpolate(numbers[labels][:, None].float(), size=drawn.shape[-2:])[:, 0]
    return {"pixels": to_bytes(drawn).cpu(), "labels": large.byte().cpu()}
