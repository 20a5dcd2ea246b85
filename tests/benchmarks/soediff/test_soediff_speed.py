"""The peer that SO-LoRA's speed is measured against: it computes the same, and the command runs."""

from __future__ import annotations

import json

import pytest
import torch
from accelerate import Accelerator
from finesse.benchmarks import full_size
from finesse.benchmarks.soediff import speed
from finesse.training import so_lora
from finesse.training.loop.batches import Draw
from finesse.training.models.base_model import load_base
from finesse.training.small_objects.examples import CachedExamples, prepare


def test_the_peer_computes_the_losses_of_ours(miniature, tmp_path):
    config = so_lora.SoLoraConfig(
        base=str(miniature), unet="unet_inpainting", resolution=64, crop="32", rank=2
    )
    shard = speed.write_pictures(tmp_path, 1, 64)
    accelerator, draw = Accelerator(), Draw(3, 1, slice(0, 1), torch.device("cpu"))
    base = load_base(config.base, config.unet)
    found = prepare([shard], base, config.views, tmp_path / "cache", accelerator)
    batches = CachedExamples(*found, 1, accelerator.device)
    ours = so_lora.build_task(config, base, batches, 0)(batches(0, slice(0, 1)), draw)
    peer = speed.build_peer(config, load_base(config.base, config.unet))
    pictures = speed.Pictures(shard, config.views, 4, accelerator.device)
    draw = Draw(3, 1, slice(0, 1), torch.device("cpu"))
    theirs = peer(pictures(0, slice(0, 1)), draw)
    assert ours.keys() == theirs.keys() == {"denoise", "csd"}
    for name, value in ours.items():  # ours come from a cache in fp16
        torch.testing.assert_close(value, theirs[name], rtol=0.02, atol=1e-4)


def test_the_command_writes_a_ratio(miniature, tmp_path, monkeypatch):
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path)
    flags = f"--base {miniature} --unet unet_inpainting --resolution 64 --crop 32 --rank 2"
    monkeypatch.setattr("sys.argv", ["speed", *flags.split(), "--batch_size", "2", "--steps_timed", "1"])
    speed.main()
    found = json.loads((tmp_path / "speed.json").read_text())["metrics"]
    assert found.keys() == {"train.speed_ratio"}
    assert found["train.speed_ratio"] > 0


def test_an_unknown_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="sd16'; give one of sd15-inpainting, sdxl-inpainting"):
        full_size.write_base("sd16", tmp_path)


def test_write_base_makes_what_load_base_reads(tmp_path, monkeypatch):
    small = {"block_out_channels": (32, 32, 32, 32), "attention_head_dim": 4, "sample_size": 8}
    monkeypatch.setitem(full_size.UNETS, "sd15-inpainting", full_size.UNETS["sd15-inpainting"] | small)
    monkeypatch.setattr(full_size, "VAE", full_size.VAE | {"block_out_channels": (32, 32, 32, 32)})
    base = load_base(full_size.write_base("sd15-inpainting", tmp_path))
    assert base.cell == 8
    assert base.embed(["a dog"]).context.shape == (1, 77, 768)
