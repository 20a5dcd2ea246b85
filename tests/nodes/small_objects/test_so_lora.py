"""*Load SO-LoRA* on ComfyUI's own modules: the weights that it adds, and what it refuses."""

from __future__ import annotations

import time
from statistics import median

import pytest
import torch
from diffusers import AutoencoderKL
from finesse.benchmarks import parity
from finesse.core import files
from finesse.miniature.model import networks
from finesse.training.models import lora

KEY = "diffusion_model.middle_block.1.transformer_blocks.0.attn2.to_k.weight"
LAYER = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"


@pytest.fixture(scope="module")
def comfyui(tmp_path_factory):
    """Loads the miniature's UNets, keeps a models folder, and runs the node."""
    parity.import_comfyui()
    import folder_paths
    from finesse.miniature.comfy import diffusers_folder
    from finesse.nodes.small_objects.so_lora import LoadSOLoRA

    class ComfyUI:
        folder = tmp_path_factory.mktemp("models")

        def model(self, part="unet_inpainting"):
            return diffusers_folder.load_unet(weights, part)

        def run(self, model, lora, strength=1.0, tuned_vae="none"):
            return LoadSOLoRA.execute(model, lora, strength, tuned_vae).args

    weights = tmp_path_factory.mktemp("miniature")
    networks.random(weights)
    for kind in ("loras", "vae"):
        (ComfyUI.folder / kind).mkdir()
        folder_paths.add_model_folder_path(kind, str(ComfyUI.folder / kind))
    return ComfyUI()


@pytest.fixture(scope="module")
def trained(comfyui):
    """A UNet with adapters that change something, saved by kohya's names and by peft's."""
    unet = networks.build_unet(9)
    adapted = lora.add_lora(unet, 4, ["to_k", "conv1"])
    torch.manual_seed(0)
    for name, parameter in unet.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    header = {"finesse.base": "the miniature's inpainting twin", "finesse.in_channels": "9"}
    lora.save_lora(unet, comfyui.folder / "loras" / "ours.safetensors", header)
    theirs = lora.get_peft_model_state_dict(unet)
    theirs = {f"unet.base_model.model.{name}": tensor.detach() for name, tensor in theirs.items()}
    files.write_tensors(comfyui.folder / "loras" / "theirs.safetensors", theirs)
    return unet, adapted


def weight(model, key=KEY):
    model.patch_model()
    found = dict(model.model.named_parameters())[key].detach().float().clone()
    model.unpatch_model()
    return found


@pytest.mark.parametrize("name", ["ours.safetensors", "theirs.safetensors"])
@pytest.mark.parametrize("strength", [1.0, -0.5])
def test_the_weights_change_by_up_times_down(comfyui, trained, name, strength):
    unet, adapted = trained
    model = comfyui.model()
    before = weight(model)
    patched, _ = comfyui.run(model, name, strength)
    layer = unet.get_submodule(LAYER)
    change = layer.lora_B["default"].weight @ layer.lora_A["default"].weight
    torch.testing.assert_close(weight(patched), before + strength * change.detach(), rtol=0, atol=1e-4)
    assert change.abs().max() > 0.01
    assert torch.equal(weight(model), before)
    assert len(patched.patches) == len(adapted)


def test_sampling_takes_no_longer(comfyui, trained, measured):
    plain, (patched, _) = comfyui.model(), comfyui.run(comfyui.model(), "ours.safetensors")
    inputs = torch.randn(2, 9, 16, 16), torch.full((2,), 500.0), torch.randn(2, 32, networks.TEXT_WIDTH)
    seconds = {"plain": [], "patched": []}
    patched.patch_model()
    for _ in range(40):
        for name, model in (("plain", plain), ("patched", patched)):
            start = time.process_time()
            with torch.inference_mode():
                model.model.diffusion_model(inputs[0], inputs[1], context=inputs[2])
            seconds[name].append(time.process_time() - start)
    ratio = median(b / a for a, b in zip(seconds["plain"], seconds["patched"], strict=True))
    measured(f"time of ComfyUI's UNet with a SO-LoRA over without: {ratio:.3f}")
    assert ratio < 1.1  # the same work; what a busy machine adds is not the adapters'


def test_at_strength_0_nothing_changes(comfyui, trained):
    model = comfyui.model()
    patched, _ = comfyui.run(model, "ours.safetensors", 0.0)
    assert torch.equal(weight(patched), weight(model))
    assert not patched.patches


def test_a_file_for_inpainting_is_not_put_on_a_plain_model(comfyui, trained):
    with pytest.raises(
        ValueError, match=r"lora: ours.safetensors was made for the miniature's inpainting twin"
    ):
        comfyui.run(comfyui.model("unet"), "ours.safetensors")


def test_a_file_for_another_base_is_refused(comfyui):
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {
        f"{name}.lora_down.weight": torch.zeros(2, 2048),
        f"{name}.lora_up.weight": torch.zeros(1280, 2),
    }
    files.write_tensors(comfyui.folder / "loras" / "sdxl.safetensors", tensors)
    model = comfyui.model()
    with pytest.raises(
        ValueError,
        match=r"sdxl.safetensors was made for SDXL, but model is .*lora_down.weight is of shape \[2, 2048\]",
    ):
        comfyui.run(model, "sdxl.safetensors")
    assert not model.patches


@pytest.mark.parametrize(
    ("text", "rank", "said"),
    [
        ("lora_te_text_model_q_proj", 2, "bad.safetensors is no LoRA of a UNet alone: .* of a text encoder"),
        (None, 1, "bad.safetensors is damaged: in layer .* do not agree on one rank"),
    ],
)
def test_a_bad_file_is_named_with_its_input(comfyui, text, rank, said):
    name = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {}
    for layer in filter(None, (name, text)):
        tensors |= {
            f"{layer}.lora_down.weight": torch.zeros(rank, networks.TEXT_WIDTH),
            f"{layer}.lora_up.weight": torch.zeros(128, 2),
        }
    files.write_tensors(comfyui.folder / "loras" / "bad.safetensors", tensors)
    with pytest.raises(ValueError, match=f"^lora: {said}"):
        comfyui.run(comfyui.model(), "bad.safetensors")


def test_files_that_are_cut_short_are_named_with_their_input(comfyui, trained):
    for kind in ("loras", "vae"):
        (comfyui.folder / kind / "cut.safetensors").write_bytes(b"\x00" * 4)
    with pytest.raises(ValueError, match=r"^lora: .*cut.safetensors is cut short or damaged"):
        comfyui.run(comfyui.model(), "cut.safetensors")
    with pytest.raises(ValueError, match=r"^tuned_vae: .*cut.safetensors is cut short or damaged"):
        comfyui.run(comfyui.model(), "ours.safetensors", tuned_vae="cut.safetensors")


def test_a_tuned_vae_is_an_ordinary_vae_file(comfyui, trained):
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
    ).eval()
    halves = {name: tensor.half() for name, tensor in vae.state_dict().items()}
    files.write_tensors(comfyui.folder / "vae" / "tuned.safetensors", halves)
    _, loaded = comfyui.run(comfyui.model(), "ours.safetensors", tuned_vae="tuned.safetensors")
    latent = torch.randn(1, 4, 4, 4)
    with torch.no_grad():
        expected = vae.load_state_dict(halves) and vae.decode(latent).sample
    expected = (expected / 2 + 0.5).clamp(0, 1).movedim(1, -1)
    torch.testing.assert_close(loaded.decode(latent), expected, rtol=0, atol=1e-2)


def test_a_file_without_a_vae_is_refused(comfyui, trained):
    files.write_tensors(comfyui.folder / "vae" / "odd.safetensors", {"x": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"tuned_vae: odd.safetensors holds no VAE"):
        comfyui.run(comfyui.model(), "ours.safetensors", tuned_vae="odd.safetensors")


def test_the_vae_output_without_a_file_stops_what_reads_it(comfyui, trained):
    _, vae = comfyui.run(comfyui.model(), "ours.safetensors")
    assert "tuned_vae is 'none'" in vae.message
