"""The miniature trained for a few steps by its own stages, then measured by its own benchmark."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from accelerate import Accelerator
from diffusers import StableDiffusionPipeline
from finesse.benchmarks import miniature as benchmark
from finesse.core import files
from finesse.core.lora_files import PARTS, layer_key, read_lora
from finesse.miniature import train
from finesse.miniature.model import networks
from finesse.miniature.model.subjects import RANK
from finesse.miniature.world.things import SUBJECTS_LORA
from finesse.training.loop.config import TrainConfig
from torch import nn
from transformers import HfArgumentParser

SCENES = 24


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """All stages, two steps each."""
    folder = tmp_path_factory.mktemp("miniature")
    arguments = train.StageArguments(folder=str(folder), scenes=SCENES)
    config = TrainConfig(steps=2, batch_size=4, warmup_steps=1, log_every=1, preview_every=2)
    for stage in train.STAGES.values():
        stage(arguments, config, Accelerator(cpu=True))
    return folder


def test_every_stage_logs_checkpoints_and_previews(trained):
    for stage in ("vae", "classifier", "segmenter", "text_to_image", "inpainting"):
        log = [json.loads(line) for line in (trained / stage / "log.jsonl").read_text().splitlines()]
        assert [line["step"] for line in log] == [1, 2], stage
        assert (trained / stage / "checkpoints" / "step-00000002.safetensors").is_file()
    for stage in ("vae", "text_to_image"):
        assert (trained / stage / "previews" / "00000002.png").stat().st_size > 1000


def test_the_weights_are_an_ordinary_diffusers_folder(trained):
    parts = networks.load(trained / "weights")
    assert parts.unet.config.in_channels == 4
    assert parts.unet_inpainting.config.in_channels == 9
    assert parts.tokenizer.model_max_length == parts.text_encoder.config.max_position_embeddings
    pipeline = StableDiffusionPipeline(
        vae=parts.vae,
        text_encoder=parts.text_encoder,
        tokenizer=parts.tokenizer,
        unet=parts.unet,
        scheduler=parts.scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    (picture,) = pipeline("a red car", num_inference_steps=2, height=64, width=64).images
    assert picture.size == (64, 64)


def test_latents_have_unit_spread(trained):
    scenes = train.load_scenes(trained / "cache", "train", SCENES, 64)
    vae = networks.load(trained / "weights").vae
    latents = benchmark.sampling.encode(vae, scenes["pixels"].float() / 255)
    assert latents.std().item() == pytest.approx(1.0, abs=0.2)


def test_the_subjects_are_a_lora_on_every_matrix(trained):
    file = read_lora(trained / "weights" / SUBJECTS_LORA)
    unet = networks.load(trained / "weights").unet
    layers = [name for name, layer in unet.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    assert file.layers == sorted(map(layer_key, layers))
    assert {len(file.tensors[layer + PARTS[0]]) for layer in file.layers} == {RANK}
    assert any(file.tensors[layer + PARTS[1]].any() for layer in file.layers)


def test_the_twin_starts_as_the_text_to_image_unet(trained):
    unet = networks.build_unet(9)
    widened = train.inpainting_examples.widened(unet, trained / "weights" / "unet")
    original = networks.load(trained / "weights").unet
    latents, timestep, context = torch.randn(1, 4, 16, 16), torch.tensor([5]), torch.randn(1, 32, 192)
    extra = torch.randn(1, 5, 16, 16)
    torch.testing.assert_close(
        widened(torch.cat([latents, extra], dim=1), timestep, context).sample,
        original(latents, timestep, context).sample,
        rtol=1e-3,
        atol=1e-4,
    )


def test_a_stage_goes_on_from_other_weights(trained, tmp_path):
    start = shutil.copytree(trained / "weights", tmp_path / "start")
    vocabulary = json.loads((start / "tokenizer" / "vocab.json").read_text())
    words = list(vocabulary)[::-1]
    (start / "tokenizer" / "vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    shutil.copytree(trained / "weights" / "vae", tmp_path / "run" / "weights" / "vae")
    arguments = train.StageArguments(folder=str(tmp_path / "run"), scenes=SCENES, start=str(start))
    config = TrainConfig(steps=1, batch_size=2, learning_rate=1e-9, preview_every=0, ema_decay=0.0)
    for stage in ("text_to_image", "segmenter"):
        train.STAGES[stage](arguments, config, Accelerator(cpu=True))
    made = tmp_path / "run" / "weights"
    assert json.loads((made / "tokenizer" / "vocab.json").read_text())["car</w>"] == words.index("car</w>")
    for file in ("unet/diffusion_pytorch_model.safetensors", "judges/segmenter.safetensors"):
        before, after = files.read_tensors(start / file)[0], files.read_tensors(made / file)[0]
        for name, tensor in before.items():
            torch.testing.assert_close(after[name].float(), tensor.float(), rtol=0, atol=1e-3)


def test_the_benchmark_measures_all_it_promises(trained, monkeypatch, tmp_path):
    monkeypatch.setattr(benchmark, "FOLDER", tmp_path)
    monkeypatch.setattr("finesse.benchmarks.results.FOLDER", tmp_path)
    flags = ["--scenes", "12", "--pictures", "4", "--steps", "2"]
    monkeypatch.setattr("sys.argv", ["miniature", "--weights", str(trained / "weights"), *flags])
    benchmark.main()
    found = json.loads((tmp_path / "miniature.json").read_text())
    assert found["command"].startswith("python -m finesse.benchmarks.miniature --weights")
    promised = "vae.psnr vae.small_object_accuracy judge.accuracy judge.miou t2i.recall_1 t2i.recall_5 "
    promised += "inpaint.accuracy_large inpaint.accuracy_small parity.comfy_diffusers_max_abs"
    assert set(promised.split()) <= set(found["metrics"])
    assert found["metrics"]["parity.comfy_diffusers_max_abs"] < 1e-3
    assert (tmp_path / "miniature.png").is_file()


def test_an_unknown_stage_is_named(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train", "--stage", "vea"])
    with pytest.raises(ValueError, match="stage: got 'vea'; use one of vae, classifier"):
        train.main()


def test_a_stage_has_its_own_defaults_which_flags_override(monkeypatch):
    ran = []
    monkeypatch.setitem(train.STAGES, "vae", lambda arguments, config, accelerator: ran.append(config))
    monkeypatch.setattr("sys.argv", ["train", "--stage", "vae", "--steps", "7"])
    train.main()
    assert (ran[0].steps, ran[0].learning_rate, ran[0].optimizer) == (7, 4e-3, "muon")


def test_every_setting_is_a_flag_with_help():
    for kind in (train.StageArguments, TrainConfig):
        actions = [action for action in HfArgumentParser(kind)._actions if action.dest != "help"]
        assert all(action.help for action in actions)
