"""The miniature in ComfyUI: any size loads, stock nodes take it, and a bad folder is named."""

import shutil

import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from finesse.core import files
from finesse.miniature.model import networks
from finesse.tests.coroutines import awaited

ATTENTION = "CrossAttnDownBlock2D", "CrossAttnUpBlock2D"
PLAIN = "DownBlock2D", "UpBlock2D"

UNET_SHAPES = {
    "issue": {"widths": (96, 192, 288), "attention": (1, 1, 0), "attention_head_dim": 4},
    "sd15": {"widths": (32, 64, 128, 128), "attention": (1, 1, 1, 0), "attention_head_dim": 8},
    "sdxl": {
        "widths": (32, 64, 128),
        "attention": (0, 1, 1),
        "attention_head_dim": (2, 4, 8),
        "transformer_layers_per_block": (1, 2, 3),
        "use_linear_projection": True,
    },
}


@pytest.fixture
def broken(miniature, tmp_path):
    return shutil.copytree(miniature, tmp_path / "broken")


def load(folder, monkeypatch, model="text-to-image"):
    from finesse.miniature.comfy.loaders import FinesseMiniatureLoader

    monkeypatch.setenv("FINESSE_MINIATURE", str(folder))
    return FinesseMiniatureLoader.execute(model).args


def unet(widths, attention, **settings):
    down = tuple(ATTENTION[0] if has else PLAIN[0] for has in attention)
    up = tuple(ATTENTION[1] if has else PLAIN[1] for has in reversed(attention))
    torch.manual_seed(0)
    return UNet2DConditionModel(
        sample_size=16,
        block_out_channels=widths,
        layers_per_block=2,
        down_block_types=down,
        up_block_types=up,
        cross_attention_dim=networks.TEXT_WIDTH,
        **settings,
    )


@pytest.mark.parametrize("shape", UNET_SHAPES)
def test_a_unet_of_any_shape_loads(broken, shape):
    from finesse.miniature.comfy import diffusers_folder

    theirs = unet(**UNET_SHAPES[shape])
    networks.save(theirs, broken / "unet")
    theirs.load_state_dict(files.read_tensors(broken / "unet" / "diffusion_pytorch_model.safetensors")[0])
    ours = diffusers_folder.load_unet(broken).model.diffusion_model
    x, text, timestep = (
        torch.randn(1, 4, 16, 16),
        torch.randn(1, 7, networks.TEXT_WIDTH),
        torch.tensor([300.0]),
    )
    with torch.inference_mode():
        expected = theirs(x, timestep, text).sample
        assert torch.allclose(ours(x, timestep, context=text), expected, atol=1e-4)


@pytest.mark.parametrize("widths", [(32, 64), (64, 128, 192), (32, 64, 128, 128)])
def test_a_vae_of_any_depth_loads(broken, widths):
    from finesse.miniature.comfy import diffusers_folder

    blocks = len(widths)
    theirs = AutoencoderKL(
        sample_size=64,
        block_out_channels=widths,
        layers_per_block=2,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
        scaling_factor=0.5,
    )
    networks.save(theirs, broken / "vae")
    theirs.load_state_dict(files.read_tensors(broken / "vae" / "diffusion_pytorch_model.safetensors")[0])
    vae, scale = diffusers_folder.load_vae(broken), 2 ** (blocks - 1)
    image = torch.rand(1, 32, 48, 3)
    with torch.inference_mode():
        latent = vae.encode(image)
        assert latent.shape == (1, 4, 32 // scale, 48 // scale)
        assert torch.allclose(latent, theirs.encode(image.movedim(-1, 1) * 2 - 1).latent_dist.mean, atol=1e-4)
        assert vae.decode(latent).shape == image.shape
    assert vae.spacial_compression_encode() == vae.spacial_compression_decode() == scale
    latent_format = diffusers_folder.load_unet(broken).model.latent_format
    assert latent_format.spacial_downscale_ratio == scale
    assert latent_format.scale_factor == 0.5


def test_every_lora_key_of_the_unet_is_known(miniature):
    import comfy.lora
    from finesse.miniature.comfy import diffusers_folder

    patcher = diffusers_folder.load_unet(miniature)
    known = comfy.lora.model_lora_keys_unet(patcher.model, {})
    weights, _ = files.read_tensors(miniature / "unet" / "diffusion_pytorch_model.safetensors")
    layers = [name.removesuffix(".weight") for name, tensor in weights.items() if tensor.ndim > 1]
    assert [layer for layer in layers if f"lora_unet_{layer.replace('.', '_')}" not in known] == []


def test_prompts_take_weights_last_layer_and_embeddings(miniature, monkeypatch, tmp_path):
    import folder_paths

    from nodes import CLIPSetLastLayer, CLIPTextEncode

    embedding = torch.randn(2, networks.TEXT_WIDTH)
    files.write_tensors(tmp_path / "toy.safetensors", {"emb_params": embedding})
    monkeypatch.setattr(folder_paths, "get_folder_paths", lambda kind: [str(tmp_path)])
    _, clip, _ = load(miniature, monkeypatch)

    def encode(text, clip=clip):
        return CLIPTextEncode().encode(clip, text)[0][0][0]

    plain = encode("a red dog")
    assert plain.shape == (1, networks.TEXT_LENGTH, networks.TEXT_WIDTH)
    assert torch.equal(encode("A RED DOG"), plain)
    assert not torch.allclose(encode("a (red:1.5) dog"), plain)
    assert not torch.allclose(encode("a red dog", CLIPSetLastLayer().set_last_layer(clip, -2)[0]), plain)
    assert not torch.allclose(encode("a embedding:toy dog"), encode("a dog"))
    assert encode("word " * 100).shape[1] > networks.TEXT_LENGTH


def test_an_inpainting_model_without_a_mask_sees_grey(miniature, monkeypatch):
    model, _, vae = load(miniature, monkeypatch, "inpainting")
    assert model.model.concat_keys == ("mask", "masked_image")
    blank = model.model.blank_inpaint_image_like(torch.zeros(2, 4, 16, 16))
    with torch.inference_mode():
        grey = model.model.process_latent_in(vae.encode(torch.full((1, 64, 64, 3), 0.5)))
    assert blank.shape == (2, 4, 16, 16)
    assert torch.allclose(blank[0, :, 8, 8], grey[0].mean((1, 2)), atol=0.1)


def test_the_live_preview_has_the_folders_colours(broken, monkeypatch):
    from latent_preview import Latent2RGBPreviewer

    model, _, _ = load(broken, monkeypatch)
    assert model.model.latent_format.latent_rgb_factors is None
    red = {"factors": [[1.0, 0.0, 0.0], [0.0] * 3, [0.0] * 3, [0.0] * 3], "bias": [0.0, -1.0, -1.0]}
    files.write_json(broken / "vae" / "latent_preview.json", red)
    latent_format = load(broken, monkeypatch)[0].model.latent_format
    previewer = Latent2RGBPreviewer(latent_format.latent_rgb_factors, latent_format.latent_rgb_factors_bias)
    picture = previewer.decode_latent_to_preview(torch.ones(1, 4, 16, 16))
    assert picture.size == (16, 16)
    assert picture.getpixel((3, 3)) == (255, 0, 0)


@pytest.mark.parametrize(
    "part",
    [
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/config.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "scheduler/scheduler_config.json",
    ],
)
def test_a_missing_file_is_named(broken, monkeypatch, part):
    (broken / part).unlink()
    folder, name = part.split("/")
    with pytest.raises(ValueError, match=rf"{name} is missing in .*{folder}"):
        load(broken, monkeypatch)


def test_a_truncated_file_is_named(broken, monkeypatch):
    path = broken / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"vae/diffusion_pytorch_model.safetensors is cut short"):
        load(broken, monkeypatch)


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_weights_of_another_model_are_named(broken, monkeypatch, part):
    path = next((broken / part).glob("*.safetensors"))
    tensors, _ = files.read_tensors(path)
    name = next(name for name, tensor in tensors.items() if tensor.ndim > 1)
    files.write_tensors(path, {**tensors, name: tensors[name][:1], "stray": torch.zeros(1)})
    with pytest.raises(ValueError, match=rf"{path.name} does not fit .*config.json in 2 tensors; the first"):
        load(broken, monkeypatch)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("unet", {"norm_num_groups": 16}, "norm_num_groups in .* is 16: this loader takes only 32"),
        ("unet", {"block_out_channels": [64, 96, 128]}, "each must be a multiple of the first"),
        ("unet", {"attention_head_dim": [4, 4, 8]}, "give one number, or heads of one width"),
        ("vae", {"use_quant_conv": False}, "use_quant_conv in .* is False"),
        ("scheduler", {"prediction_type": "v_prediction"}, "prediction_type in .* is 'v_prediction'"),
    ],
)
def test_a_setting_that_comfyui_cannot_follow_is_named(broken, monkeypatch, part, change, message):
    path = next((broken / part).glob("*config.json"))
    files.write_json(path, {**files.read_json(path), **change})
    with pytest.raises(ValueError, match=message):
        load(broken, monkeypatch)


def test_the_extension_offers_the_loader(miniature):
    from finesse.miniature.comfy import loaders as nodes

    extension = awaited(nodes.comfy_entrypoint())
    loaders = [node.define_schema() for node in awaited(extension.get_node_list())]
    names = [schema.node_id.removeprefix("FinesseMiniature") for schema in loaders]
    assert names == ["Loader", "ControlNet", "Segmenter"]
    assert loaders[0].inputs[0].options == ["text-to-image", "inpainting", "subjects"]
    assert all(slot.tooltip for schema in loaders for slot in [*schema.inputs, *schema.outputs])
