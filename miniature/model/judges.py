"""The judges, in the places of CLIP, Inception and Segformer: a classifier of boxes and a segmenter.

They are trained on scenes of the training split alone and never see what they judge.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import roi_align

from ...core.files import read_tensors, write_tensors
from ...core.maps.palettes import COCO_STUFF
from ...training.loop.batches import Draw
from ...training.loop.trainer import Task
from ..world.things import ACTIONS, COLOURS, THINGS

CROP = 32
MARGIN = 0.15  # of the box, shown around it
LOOSE = 0.35  # of the box: how far each of its edges may lie off the object, as latent cells make it
SMALLEST = 12.0  # visible pixels from which on an object teaches the classifier


class Residual(nn.Module):
    """Two 3x3 convolutions with a way around them, the first with a stride."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1)
        self.norm1 = nn.GroupNorm(8, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.norm2 = nn.GroupNorm(8, outputs)
        self.way_around = nn.Conv2d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(hidden)) + self.way_around(x))


class Classifier(nn.Module):
    """Names what a crop shows: thing, colour and action."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 48, 3, padding=1),
            Residual(48, 48),
            Residual(48, 96, 2),
            Residual(96, 128, 2),
            Residual(128, 160, 2),
        )
        self.thing = nn.Linear(160, len(THINGS))
        self.colour = nn.Linear(160, len(COLOURS))
        self.action = nn.Linear(160, len(ACTIONS))

    def features(self, crops: Tensor) -> Tensor:
        """(B, 160) features of crops (B, 3, 32, 32) in [0, 1]: Inception's place in the miniature's FID."""
        return self.body(crops * 2 - 1).mean(dim=(2, 3))

    def forward(self, crops: Tensor) -> dict[str, Tensor]:
        """Logits by head."""
        features = self.features(crops)
        return {name: getattr(self, name)(features) for name in ("thing", "colour", "action")}


class Segmenter(nn.Module):
    """A coco-stuff label for every pixel: a small U-net."""

    def __init__(self) -> None:
        super().__init__()
        widths = (48, 96, 128)
        self.stem = nn.Conv2d(3, widths[0], 4, stride=2, padding=1)
        self.down = nn.ModuleList(Residual(a, b, 2) for a, b in pairwise(widths))
        self.up = nn.ModuleList(Residual(a + b, b) for a, b in pairwise(widths[::-1]))
        self.head = nn.Sequential(nn.Conv2d(widths[0], 4 * len(COCO_STUFF.labels), 1), nn.PixelShuffle(2))

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits (B, labels, H, W) of pixels (B, 3, H, W) in [0, 1]; H and W multiples of 8."""
        x = self.stem(pixels * 2 - 1)
        passed = [x]
        for level in self.down:
            x = level(x)
            passed.append(x)
        for level, other in zip(self.up, passed[-2::-1], strict=True):
            x = level(torch.cat([F.interpolate(x, size=other.shape[-2:]), other], dim=1))
        return self.head(x)


def crop(pixels: Tensor, boxes: Tensor) -> Tensor:
    """(B, 3, 32, 32) crops of pixels (B, 3, H, W), one box (left, top, right, bottom) each, with a margin."""
    size = boxes[:, 2:] - boxes[:, :2]
    grown = torch.cat([boxes[:, :2] - MARGIN * size, boxes[:, 2:] + MARGIN * size], dim=1)
    rows = torch.arange(len(boxes), device=boxes.device, dtype=boxes.dtype)[:, None]
    return roi_align(pixels, torch.cat([rows, grown], dim=1).to(pixels.dtype), CROP, aligned=True)


def blemish(pixels: Tensor, draw: Draw) -> Tensor:
    """Blur and noise of random strength, so that a judge is not put off by a decoder's softness."""
    strength = draw.uniform(2)
    blurred = F.avg_pool2d(pixels, 3, 1, 1, count_include_pad=False)
    blur = strength[:, 0, None, None, None] * (draw.uniform(1, 1, 1) < 0.5)
    pixels = torch.lerp(pixels, blurred, blur)
    noise = 0.06 * strength[:, 1, None, None, None] * draw.normal(*pixels.shape[1:])
    return (pixels + noise).clamp(0, 1)


class ClassifierTask(Task):
    """Cross-entropy of one object a scene, its box jittered, half of the time loosened as well.

    A batch is as from `data.load_scenes`.
    """

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        chance = draw.uniform(batch["seen"].shape[1]) * (batch["seen"] >= SMALLEST)
        picked = chance.argmax(dim=1)
        rows = torch.arange(len(picked), device=picked.device)
        box = batch["box"][rows, picked]
        size = (box[:, 2:] - box[:, :2]).repeat(1, 2)
        box = box + 0.08 * size * draw.normal(4).clamp(-2, 2)
        outwards = LOOSE * draw.uniform(4) * (draw.uniform(1) < 0.5)
        box = box + size * outwards * torch.tensor([-1, -1, 1, 1], device=box.device)
        crops = crop(blemish(batch["pixels"].float() / 255, draw), box)
        valid = chance[rows, picked] > 0
        losses = {}
        for name, logits in self.classifier(crops).items():
            target = torch.where(valid, batch[name][rows, picked], -1)
            total = F.cross_entropy(logits.float(), target, ignore_index=-1, reduction="sum")
            losses[name] = total / (target >= 0).sum().clamp(min=1)
        return losses


class SegmenterTask(Task):
    """`segmentation_loss`. Batch: as `data.load_scenes`."""

    def __init__(self, segmenter: Segmenter) -> None:
        super().__init__()
        self.segmenter = segmenter

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        logits = self.segmenter(blemish(batch["pixels"].float() / 255, draw))
        return {"segment": segmentation_loss(logits, batch["labels"].long())}


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of every pixel, a label of n pixels in a picture weighing sqrt(n) there and not n.

    Backgrounds would else be nearly all there is to learn from. logits (B, C, H, W), labels (B, H, W).
    """
    losses = F.cross_entropy(logits.float(), labels, reduction="none")
    flat = labels.flatten(1)
    area = torch.zeros(len(flat), logits.shape[1], device=flat.device)
    area.scatter_add_(1, flat, torch.ones_like(flat, dtype=area.dtype))
    weight = area.gather(1, flat).rsqrt()
    return (weight * losses.flatten(1)).sum() / weight.sum()


def save_judge(judge: nn.Module, path: Path) -> None:
    """Store a judge in fp16."""
    write_tensors(path, {name: tensor.half() for name, tensor in judge.state_dict().items()})


def load_judge(judge: nn.Module, path: Path) -> nn.Module:
    """Fill `judge` from a file of `save_judge`, ready to judge."""
    judge.load_state_dict({name: tensor.float() for name, tensor in read_tensors(path)[0].items()})
    return judge.eval().requires_grad_(False)


def load_judges(weights: Path, device: torch.device | str = "cpu") -> tuple[Segmenter, Classifier]:
    """The segmenter and the classifier in a miniature's folder."""
    return tuple(
        load_judge(kind(), weights / "judges" / f"{kind.__name__.lower()}.safetensors").to(device)
        for kind in (Segmenter, Classifier)
    )
