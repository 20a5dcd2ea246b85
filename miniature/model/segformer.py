"""A small SegFormer for the miniature's pictures, in transformers' layout, for *Segment Image*.

It stands where users of real models put a published segmentation model.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor

from ...core.maps.palettes import COCO_STUFF
from ...training.loop.batches import Draw
from ...training.loop.trainer import Task
from ..world.palette import GROUNDS, MERGED
from ..world.things import THINGS
from .judges import blemish, segmentation_loss

LABELS = (*THINGS, *GROUNDS, *MERGED)


def build_segformer(size: int) -> SegformerForSemanticSegmentation:
    """An untrained one for every label of the world and pictures of `size` pixels a side."""
    config = SegformerConfig(
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
        hidden_sizes=[24, 48, 64, 96],
        depths=[2, 2, 1, 1],
        strides=[2, 2, 2, 2],
        patch_sizes=[5, 3, 3, 3],
        sr_ratios=[4, 2, 1, 1],
        num_attention_heads=[1, 2, 4, 4],
        decoder_hidden_size=96,
        image_size=size,
        drop_path_rate=0.0,
        classifier_dropout_prob=0.0,
    )
    return SegformerForSemanticSegmentation(config)


class SegformerTask(Task):
    """`segmentation_loss`, as the judge has it. Batch: as `load_pairs`."""

    def __init__(self, segformer: SegformerForSemanticSegmentation) -> None:
        super().__init__()
        self.segformer = segformer
        own = [LABELS.index(label) if label in LABELS else 0 for label in COCO_STUFF.labels]
        self.register_buffer("own", torch.tensor(own), persistent=False)
        shape = (1, 3, 1, 1)
        processor = SegformerImageProcessor()
        self.register_buffer("mean", torch.tensor(processor.image_mean).view(shape), persistent=False)
        self.register_buffer("std", torch.tensor(processor.image_std).view(shape), persistent=False)

    def forward(self, batch: dict[str, Tensor], draw: Draw) -> dict[str, Tensor]:
        labels = self.own[batch["labels"].long()]
        pixels = (blemish(batch["pixels"].float() / 255, draw) - self.mean) / self.std
        logits = F.interpolate(self.segformer(pixels).logits.float(), size=labels.shape[1:], mode="bilinear")
        return {"segment": segmentation_loss(logits, labels)}


def save_segformer(segformer: SegformerForSemanticSegmentation, size: int, folder: Path) -> None:
    """As a transformers folder in fp16, with what tells how pictures are prepared."""
    segformer.half().save_pretrained(folder)
    side = {"height": size, "width": size}
    SegformerImageProcessor(size=side, do_reduce_labels=False).save_pretrained(folder)
