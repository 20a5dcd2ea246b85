"""SOEDiff's tables on a miniature with random weights: what they hold, and what the methods draw."""

from __future__ import annotations

import json

import pytest
import torch
from finesse.benchmarks import soediff
from finesse.benchmarks.small_object_methods import Studio, StudioConfig
from finesse.miniature import judges, models
from finesse.training import lora


@pytest.fixture(scope="module")
def config(miniature, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lora")
    (unet,) = models.load_networks(miniature, "unet_inpainting")
    lora.add_lora(unet, 2)
    torch.manual_seed(0)
    for name, parameter in unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    lora.save_lora(unet, folder / "lora.safetensors", {})
    judges.save_judge(judges.Classifier(), miniature / "judges" / "classifier.safetensors")
    (vae,) = models.load_networks(miniature, "vae")
    vae.decoder.conv_out.bias.data += 0.1
    vae.save_pretrained(folder / "vae")
    path = str(folder / "lora.safetensors")
    return StudioConfig(
        str(miniature), so_lora=path, without_csd=path, tuned_vae=str(folder / "vae"), steps=2
    )


@pytest.fixture(scope="module")
def studio(config):
    return Studio(config, torch.device("cpu"))


@pytest.fixture(scope="module")
def boxes(studio, tmp_path_factory):
    return soediff.held_out(tmp_path_factory.mktemp("cache"), 6, studio, soediff.SIZES["small"])


def test_held_out_boxes_are_small_and_named(boxes):
    assert boxes.pixels.shape == boxes.near_pixels.shape == (6, 3, 64, 64)
    side = (boxes.boxes[:, 2:] - boxes.boxes[:, :2]).amax(dim=1)
    assert side.min() >= 8
    assert side.max() <= 16  # 1/6 of the side, grown to whole cells
    for (plain, coloured), (label, colour) in zip(boxes.texts, boxes.things, strict=True):
        assert plain.endswith(label)
        assert (colour in coloured) if colour else coloured == plain


@pytest.mark.parametrize("name", ["blended", "base", "crop_paste", "all", "so_lora_vt"])
def test_a_method_draws_inside_the_box_only(studio, boxes, name):
    method = {**studio.peers, **studio.ablation}[name]
    made = soediff.draw(studio, method, boxes, "label", 0)
    again = soediff.draw(studio, method, boxes, "label", 0)
    other = soediff.draw(studio, method, boxes, "label", 1)
    inside = soediff.draw_masks(boxes.boxes, 64).expand_as(made) > 0
    assert torch.equal(made[~inside], boxes.pixels[~inside])
    assert torch.equal(made, again)
    assert not torch.equal(made[inside], other[inside])
    assert not torch.equal(made[inside], boxes.pixels[inside])


def test_crop_and_paste_puts_the_window_back_where_it_was(studio, boxes, monkeypatch):
    monkeypatch.setattr(studio, "inpaint", lambda unet, vae, part, context, noise: part.pixels)
    pasted = studio.crop_paste(boxes, torch.zeros(6, 1, 1), torch.zeros(6, 1))
    assert (pasted - boxes.pixels).abs().mean() < 0.01


def test_the_command_writes_every_table(config, monkeypatch, tmp_path):
    monkeypatch.setattr(soediff, "FOLDER", tmp_path)
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path)
    flags = ["--base", config.base, "--so_lora", config.so_lora, "--without_csd", config.without_csd]
    flags += ["--tuned_vae", config.tuned_vae, "--steps", "1", "--boxes", "4", "--seeds", "1"]
    monkeypatch.setattr("sys.argv", ["soediff", *flags])
    soediff.main()
    found = json.loads((tmp_path / "soediff.json").read_text())["metrics"]
    names = [
        f"table1.{peer}.{prompt}.{value}"
        for peer in ("blended", "base", "crop_paste", "soediff")
        for prompt in ("label", "color_label")
        for value in ("accuracy", "fid")
    ]
    names += [
        f"table3.{row}.{value}"
        for row in ("base", "so_lora", "so_lora_vt", "so_lora_csd", "all")
        for value in ("accuracy", "fid")
    ]
    assert {*names, "table2.large.soediff.accuracy", "cost.sampling_ratio"} <= set(found)
    assert (tmp_path / "soediff.png").is_file()
