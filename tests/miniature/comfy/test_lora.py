"""LoRA files of ours in ComfyUI's stock loader: every key is taken, and the picture is diffusers'."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel
from finesse.benchmarks.full_size import UNETS
from finesse.core import files
from finesse.miniature.model import networks
from finesse.training.models import lora


def trained(unet, rank=4, **settings):
    """Adapters that change something."""
    names = lora.add_lora(unet, rank, **settings)
    torch.manual_seed(1)
    for name, parameter in unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return names


def patches(model, path):
    """What ComfyUI's loader makes of a file, and how many tensors of it are used."""
    import comfy.lora
    import comfy.lora_convert

    tensors = comfy.lora_convert.convert_lora(files.read_tensors(path)[0])
    found = comfy.lora.load_lora(tensors, comfy.lora.model_lora_keys_unet(model, {}))
    return found, {key for adapter in found.values() for key in adapter.loaded_keys}


@pytest.mark.parametrize("name", UNETS)
def test_comfyui_takes_every_key_of_a_full_size_file(miniature, tmp_path, name):
    import comfy.model_detection

    with torch.device("meta"):
        unet = UNet2DConditionModel(**UNETS[name])
        adapted = lora.add_lora(unet, 2)
    path = tmp_path / "lora.safetensors"
    tensors = {key: torch.zeros(tensor.shape) for key, tensor in lora.kohya_tensors(unet).items()}
    files.write_tensors(path, tensors)
    weights = {key: tensor for key, tensor in unet.state_dict().items() if "lora" not in key}
    weights = {key.replace(".base_layer", ""): tensor for key, tensor in weights.items()}
    config = comfy.model_detection.model_config_from_diffusers_unet(weights)
    with torch.device("meta"):
        model = config.get_model({}, device="meta")
    found, used = patches(model, path)
    assert len(found) == len(adapted)
    assert used == set(tensors)


def test_the_miniature_samples_alike_in_comfyui_and_diffusers(miniature, tmp_path):
    import comfy.sd
    from finesse.miniature.comfy import diffusers_folder

    (unet,) = networks.load_networks(miniature, "unet")
    unet.eval()
    names = trained(unet)
    path = tmp_path / "lora.safetensors"
    lora.save_lora(unet, path, {"finesse.base": "miniature"})

    patcher = diffusers_folder.load_unet(miniature)
    found, used = patches(patcher.model, path)
    assert len(found) == len(names)
    assert used == set(files.read_tensors(path)[0])
    patched, _ = comfy.sd.load_lora_for_models(patcher, None, files.read_tensors(path)[0], 1.0, 0.0)
    patched.patch_model()
    x, text, timestep = torch.randn(2, 4, 16, 16), torch.randn(2, 7, networks.TEXT_WIDTH), torch.tensor(300.0)
    with torch.inference_mode():
        expected = unet(x, timestep, text).sample
        unet.disable_adapters()
        plain = unet(x, timestep, text).sample
        ours = patched.model.diffusion_model(x, timestep.expand(2), context=text)
    patched.unpatch_model()
    assert (expected - plain).abs().max() > 0.01
    torch.testing.assert_close(ours, expected, rtol=0, atol=2e-3)


def test_a_file_is_merged_as_the_adapters_work(tmp_path):
    first, second = networks.build_unet(), networks.build_unet()
    second.load_state_dict(first.state_dict())
    trained(first, 3, blocks=["mid_block", "up_blocks.1"])
    lora.save_lora(first, tmp_path / "lora.safetensors", {})
    plain = second.eval().state_dict()["mid_block.resnets.0.conv1.weight"].clone()
    third = lora.merged(second, tmp_path / "lora.safetensors")
    assert torch.equal(second.state_dict()["mid_block.resnets.0.conv1.weight"], plain)
    x, text = torch.randn(1, 4, 16, 16), torch.randn(1, 7, networks.TEXT_WIDTH)
    with torch.no_grad():
        expected, found = (u.eval()(x, torch.tensor(9), text).sample for u in (first, third))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)


def test_only_the_adapters_learn():
    unet = networks.build_unet(9)
    names = lora.add_lora(unet, 2, blocks=["mid_block"])
    assert names
    assert all(name.startswith("mid_block.") for name in names)
    learning = [name for name, parameter in unet.named_parameters() if parameter.requires_grad]
    assert len(learning) == 2 * len(names)
    assert all("lora_" in name for name in learning)


def test_bad_input_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"modules: to_x is in no layer"):
        lora.add_lora(networks.build_unet(), 2, ["to_q", "to_x"])
    with pytest.raises(ValueError, match=r"blocks: up_blocks.7 is in no layer"):
        lora.add_lora(networks.build_unet(), 2, blocks=["up_blocks.7"])
    wide = UNet2DConditionModel(block_out_channels=(32, 64, 64, 64), cross_attention_dim=8)
    lora.add_lora(wide, 2)
    lora.save_lora(wide, tmp_path / "wide.safetensors", {})
    with pytest.raises(ValueError, match=r"wide.safetensors was made for .*its weight lora_unet_down_blocks"):
        lora.merged(networks.build_unet(), tmp_path / "wide.safetensors")
