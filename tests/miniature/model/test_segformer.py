"""The miniature's SegFormer is a transformers model like any other."""

from __future__ import annotations

import torch
from finesse.core.maps.palettes import COCO_STUFF
from finesse.miniature.model import segformer
from finesse.training.loop.batches import Draw
from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation


def test_it_learns_and_is_read_by_transformers(tmp_path):
    torch.manual_seed(0)
    network = segformer.build_segformer(64)
    task = segformer.SegformerTask(network)
    labels = torch.full((4, 64, 64), COCO_STUFF.index("grass"), dtype=torch.uint8)
    labels[:, 16:48, 16:48] = COCO_STUFF.index("dog")
    pixels = torch.where(labels[:, None] == COCO_STUFF.index("dog"), 200, 40).byte().expand(-1, 3, -1, -1)
    optimizer = torch.optim.AdamW(task.parameters(), 3e-3)
    losses = []
    for step in range(25):
        draw = Draw(step, 4, slice(0, 4), torch.device("cpu"))
        loss = task({"pixels": pixels, "labels": labels}, draw)["segment"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.25 * losses[0]

    segformer.save_segformer(network, 64, tmp_path)
    loaded = AutoModelForSemanticSegmentation.from_pretrained(tmp_path, local_files_only=True).float()
    processor = AutoImageProcessor.from_pretrained(tmp_path, local_files_only=True)
    inputs = processor(images=pixels[0].permute(1, 2, 0).numpy(), return_tensors="pt")
    with torch.no_grad():
        (found,) = processor.post_process_semantic_segmentation(loaded(**inputs), [(64, 64)])
    names = [[loaded.config.id2label[int(found[y, x])] for x in (4, 32)] for y in (32,)]
    assert names == [["grass", "dog"]]
    assert loaded.config.id2label[0] == segformer.LABELS[0]
