"""SO-LoRA on a small SDXL: two text encoders, pooled text and size embeddings, through the same script."""

from __future__ import annotations

import json

import pytest
import torch
from finesse.core.lora_files import read_lora
from finesse.tests.training.models.small_sdxl import PROJECTED, write_small_sdxl
from finesse.training import so_lora
from finesse.training.models import sampling
from finesse.training.models.base_model import load_base


@pytest.fixture(scope="module")
def sdxl(miniature, tmp_path_factory):
    return write_small_sdxl(tmp_path_factory.mktemp("sdxl"), miniature, in_channels=9)


def test_texts_are_the_last_layer_but_one_of_both_encoders(sdxl):
    base = load_base(sdxl)
    found = base.embed(["a red car", ""])
    assert found.context.shape == (2, 32, 64)
    assert found.pooled.shape == (2, PROJECTED)
    ids = base.tokenizers[1](
        ["a red car"], padding="max_length", max_length=32, return_tensors="pt"
    ).input_ids
    with torch.no_grad():
        expected = base.text_encoders[1](ids, output_hidden_states=True)
    torch.testing.assert_close(found.context[:1, :, 32:], expected.hidden_states[-2])
    torch.testing.assert_close(found.pooled[:1], expected.text_embeds)


def test_the_script_trains_and_previews_it(sdxl, small_objects, tmp_path, capsys, monkeypatch):
    settings = {
        "base": sdxl,
        "data": small_objects,
        "folder": tmp_path,
        "resolution": 64,
        "crop": 32,
        "rank": 2,
        "steps": 2,
        "batch_size": 4,
        "preview_every": 2,
        "held_out": 8,
        "validate_every": 1,
    }
    given = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
    so_lora.main([*given, "--dry_run"])
    assert "SDXL-inpainting (sdxl0)" in capsys.readouterr().out
    sample, used = sampling.sample, []
    monkeypatch.setattr(
        sampling, "sample", lambda *args, **named: used.append(named["scheduler"]) or sample(*args, **named)
    )
    so_lora.main(given)
    assert [scheduler.config.beta_end for scheduler in used] == [0.012] * 2  # the base's own
    assert read_lora(tmp_path / "so_lora.safetensors").base == "SDXL-inpainting (sdxl0)"
    assert (tmp_path / "previews" / "00000002.png").is_file()
    validated = list(map(json.loads, (tmp_path / "validation.jsonl").read_text().splitlines()))
    assert [line.keys() for line in validated] == [{"step", "denoise", "csd"}] * 2
