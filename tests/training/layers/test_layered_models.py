"""What the script of layered edits learns on other models and in less memory, and ComfyUI's view of it."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace

import pytest
import torch
from diffusers import DDPMScheduler
from finesse.benchmarks import parity
from finesse.core.files import read_json, read_tensors, write_json
from finesse.core.layers.files import read_edit
from finesse.miniature.model import networks
from finesse.tests.training.layers.photos import process
from finesse.tests.training.models.small_sdxl import write_small_sdxl
from finesse.training import layered
from finesse.training.layers.edit_learning import Editor
from finesse.training.models import sampling
from finesse.training.models.base_model import PLAIN, load_base
from tqdm import tqdm


@pytest.mark.parametrize("kind", ["full", "low-rank"])
def test_less_memory_gives_the_same_and_bfloat16_nearly(editing, kind):
    def losses(**changes):
        _, editor, edits = editing(weights=kind, pictures=1, **changes)
        found = editor.make(edits[1], tqdm(disable=True)).losses
        return torch.tensor(found["embeddings"] + found["weights"])

    plain = losses()
    torch.testing.assert_close(losses(gradient_checkpointing=True), plain, rtol=1e-5, atol=0)
    half = losses(precision="bf16")
    torch.testing.assert_close(half, plain, rtol=0.02, atol=0)
    assert not torch.equal(half, plain)


@pytest.mark.parametrize("kind", ["full", "low-rank"])
def test_comfyui_s_load_lora_maps_every_key(editing, photos, kind, caplog):
    parity.import_comfyui()
    import comfy.lora
    from finesse.miniature.comfy import diffusers_folder

    model = diffusers_folder.load_unet(photos / "base")
    keys = comfy.lora.model_lora_keys_unet(model.model, {})
    _, editor, edits = editing(weights=kind, pictures=0)
    tensors = editor.make(edits[0], tqdm(disable=True)).lora
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        patches = comfy.lora.load_lora(dict(tensors), keys)
    assert not caplog.records  # of keys that are not loaded
    weights = {name for name, _ in model.model.named_parameters() if name.startswith("diffusion_model.")}
    if kind == "low-rank":
        weights = {name for name in weights if model.model.get_parameter(name).ndim > 1}
    assert set(patches) == weights == set(model.clone().add_patches(patches))


@pytest.mark.parametrize("kind", ["full", "low-rank"])
@torch.no_grad()
def test_comfyui_computes_with_a_file_what_diffusers_does(editing, photos, tmp_path, kind):
    parity.import_comfyui()
    from comfy_extras.nodes_train import LoraModelLoader
    from finesse.miniature.comfy import diffusers_folder
    from finesse.tests.nodes.layers.trainable import in_comfyui, in_diffusers

    base, editor, edits = editing(weights=kind, rank=3, learning_rate=1e-2)
    expected, draw = [in_diffusers(base.unet)], editor._draw

    def drawn(*inputs):
        expected.append(in_diffusers(base.unet))
        return draw(*inputs)

    editor._draw = drawn  # is called while the UNet has what it has learnt
    learnt = editor.make(edits[1], tqdm(disable=True))
    layered.write(editor.config, edits[1], learnt, {})
    tensors, _ = read_tensors(tmp_path / "2.safetensors")
    model = diffusers_folder.load_unet(photos / "base")
    (patched,) = LoraModelLoader.execute(model, tensors, 1.0).args
    plain, changed = expected
    assert (changed - plain).abs().max() > 0.1
    torch.testing.assert_close(in_comfyui(model), plain, rtol=0, atol=1e-5)
    torch.testing.assert_close(in_comfyui(patched), changed, rtol=0, atol=2e-3 * float(changed.abs().max()))


def test_a_model_that_predicts_v_is_refused(photos, layered_config, tmp_path):
    shutil.copytree(photos / "base", tmp_path / "base")
    file = tmp_path / "base" / "scheduler" / "scheduler_config.json"
    write_json(file, read_json(file) | {"prediction_type": "v_prediction"})
    with pytest.raises(ValueError, match=r"base: .* predicts v_prediction; give a model that predicts noise"):
        layered.run(layered_config(tmp_path / "out", base=str(tmp_path / "base")), process())


@torch.no_grad()
def test_pictures_are_drawn_by_the_base_s_own_noise_schedule(editing):
    base, editor, _ = editing(object_every=0, sampling_steps=4)
    own = replace(base, scheduler=DDPMScheduler(beta_start=1e-4, beta_end=0.02))
    other, text = Editor(editor.config, own, editor.device), base.embed(["a dog"])
    noise = sampling.noise_for([3], (4, 8, 8), "cpu")
    inputs = (base.unet, text.context, editor.empty.context[0], noise)
    expected = sampling.sample(*inputs, scheduler=own.scheduler, steps=4, guidance=7.5)
    assert torch.equal(other._draw(text, [3]), expected)
    assert not torch.allclose(editor._draw(text, [3]), expected, atol=0.1)


def test_an_sdxl_learns_with_its_layers_pooled_texts(photos, layered_config, tmp_path, capsys):
    base = write_small_sdxl(tmp_path / "sdxl", photos / "base", in_channels=4)
    layered.run(layered_config(tmp_path / "out", base=str(base), weights="low-rank"), process())
    edit = read_edit(tmp_path / "out" / "dog.safetensors")
    assert edit.embeddings["positive"].shape == (1, networks.TEXT_LENGTH, 64)
    pooled = load_base(base, channels=PLAIN).embed(["a dog jumping", "a forest"]).pooled
    for name, expected in (("object", pooled[:1]), ("background", pooled[1:])):
        torch.testing.assert_close(edit.embeddings[f"{name}.pooled"], expected)
    mixed = 0.7 * pooled[:1] + 0.3 * pooled[1:]
    torch.testing.assert_close(edit.embeddings["positive.pooled"], mixed)
    assert edit.lora["lora_unet_add_embedding_linear_1.lora_up.weight"].any()
    layered.run(layered_config(tmp_path / "out", base=str(base), weights="low-rank", dry_run=True), process())
    assert "2 edits on SDXL (sdxl), 2 of them finished" in capsys.readouterr().out
