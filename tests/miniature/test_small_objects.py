"""What SO-LoRA learns from: every small object once, and the same object enlarged for the teacher."""

from __future__ import annotations

import torch
from finesse.miniature import models
from finesse.miniature.data import load_scenes
from finesse.miniature.small_objects import SIDES, make_examples


def test_each_small_object_has_its_box_and_an_enlarged_window(tmp_path):
    torch.manual_seed(0)
    vae = models.build_vae(64).eval()
    scenes = load_scenes(tmp_path, "train", 24, 64)
    texts: list[str] = []

    def embed(given):
        texts.extend(given)
        return torch.zeros(len(given), 3, 5)

    examples = make_examples(scenes, vae, embed, seed=0, fast=False)
    extent = (scenes["box"][..., 2:] - scenes["box"][..., :2]).amax(dim=-1)
    count = ((extent >= SIDES[0] * 64) & (extent <= SIDES[1] * 64)).sum().item()
    assert count > 5
    assert {len(tensor) for tensor in examples.values()} == {count}
    assert len(texts) == count
    for view in ("", "near_"):
        assert (
            examples[view + "latents"].shape == examples[view + "masked_latents"].shape == (count, 4, 16, 16)
        )
        assert examples[view + "box"].min() >= 0
        assert examples[view + "box"].max() <= 16
    side, near_side = (
        (examples[name][:, 2:] - examples[name][:, :2]).amax(dim=1) for name in ("box", "near_box")
    )
    assert torch.equal(near_side, 2 * side)
    area = examples["box"][:, 2:] - examples["box"][:, :2]
    assert torch.equal(examples["mask"].float().sum(dim=(1, 2, 3)), area.prod(dim=1))
