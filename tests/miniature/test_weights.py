"""The weights that are shipped: whole, small enough, loadable everywhere, and better than chance."""

from __future__ import annotations

import pytest
import torch
from diffusers import StableDiffusionPipeline
from finesse.benchmarks.miniature import ORDINARY, MiniatureExam, accuracy, psnr, through
from finesse.core.files import read_json
from finesse.miniature.export import CARDS
from finesse.miniature.model import networks
from finesse.miniature.world.tensors import load_scenes
from finesse.training.models import sampling
from torch.nn import functional


@pytest.fixture(scope="module")
def exam():
    return MiniatureExam(networks.WEIGHTS, steps=8, device=torch.device("cpu"))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return load_scenes(tmp_path_factory.mktemp("cache"), "validation", 64, 64)


def test_each_part_has_a_card_and_is_small():
    files = [path for path in networks.WEIGHTS.rglob("*") if path.is_file()]
    assert all(path.stat().st_size < 16 * 2**20 for path in files)
    assert sum(path.stat().st_size for path in files) < 64 * 2**20
    for folder in {path.parent for path in files if path.suffix == ".safetensors"}:
        assert folder.name in CARDS
        assert "Trained by this project" in (folder / "README.md").read_text(encoding="utf-8")


def test_diffusers_reads_the_folder_as_a_pipeline():
    pipeline = StableDiffusionPipeline.from_pretrained(networks.WEIGHTS)
    assert pipeline.unet.config.in_channels == 4
    assert pipeline.vae_scale_factor == 4


def test_the_vae_and_the_classifier_see_what_is_there(exam, scenes):
    pixels = scenes["pixels"].float() / 255
    assert psnr(through(exam, pixels), pixels) > 22
    chance = 1 / 60
    assert accuracy(exam, pixels, scenes, ORDINARY)["thing"] > 20 * chance


def test_the_live_preview_is_the_picture_in_coarse(exam, scenes):
    pixels = scenes["pixels"].float() / 255
    linear = read_json(networks.WEIGHTS / "vae" / "latent_preview.json")
    latents = sampling.encode(exam.models.vae, pixels)
    colours = torch.einsum("bchw,cr->brhw", latents, torch.tensor(linear["factors"]))
    shown = (colours + torch.tensor(linear["bias"]).view(3, 1, 1)) / 2 + 0.5
    assert psnr(shown, functional.avg_pool2d(pixels, 4)) > 20


def test_the_text_changes_the_picture(exam):
    """The same noise under two texts: the segmenter sees each thing where it was asked for."""
    snow, grass = exam.pictures(["a red car on snow", "a red car on grass"])
    assert snow.mean() > grass.mean()
