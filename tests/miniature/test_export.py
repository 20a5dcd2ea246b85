"""Shipping trained weights: whole, or only the folders that were trained anew."""

from __future__ import annotations

import json
from dataclasses import asdict

import torch
from finesse.core.files import write_tensors
from finesse.miniature.export import export
from finesse.miniature.stored import FACTORS
from finesse.training.loop.config import TrainConfig


def test_parts_are_shipped_and_the_rest_stays(tmp_path):
    runs, target = tmp_path / "runs", tmp_path / "shipped"
    for name in ("weights/controlnet/new", "weights/vae/new", "weights/model_index.json"):
        (runs / name).parent.mkdir(parents=True, exist_ok=True)
        (runs / name).write_text(name)
    header = {"finesse.step": "7", "finesse.config": json.dumps(asdict(TrainConfig(steps=9)))}
    for file in FACTORS:
        run = runs / file.removesuffix(".safetensors")
        write_tensors(run / file, {"weight": torch.zeros(1)}, {})
        write_tensors(run / "checkpoints" / "step-00000007.safetensors", {"weight": torch.zeros(1)}, header)
    for name in ("vae/old", "controlnet/old", "factors/old"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).touch()

    export(runs, target, "scenes", "machine", ["factors", "controlnet"])

    assert {path.name for path in (target / "vae").iterdir()} == {"old"}
    assert {path.name for path in (target / "controlnet").iterdir()} == {"new", "README.md"}
    assert {path.name for path in (target / "factors").iterdir()} == {*FACTORS, "README.md"}
    assert "- `pose`: 7 of 9 planned steps" in (target / "factors" / "README.md").read_text("utf-8")
