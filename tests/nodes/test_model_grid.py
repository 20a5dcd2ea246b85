"""What the grid of a model is, and what it reads, told by the model itself."""

import pytest
import torch
from finesse.tests.nodes.families import KINDS, family, make_model

PATCHED = {"sd35", "z-image", "qwen-image", "qwen-image-edit"}
PATCHED |= {"flux", "flux-fill", "flux-canny", "flux-kontext"}
LEVELS = {"sd15": 4, "sd15-inpainting": 4, "sd15-instructpix2pix": 4, "sdxl": 3, "sdxl-inpainting": 3}
MASKED = {"sd15-inpainting", "sdxl-inpainting", "flux-fill"}
SHOWN = {*MASKED, "sd15-instructpix2pix", "flux-canny"}
COSMOS = {
    **{"max_img_h": 240, "max_img_w": 240, "max_frames": 128, "in_channels": 16, "out_channels": 16},
    **{"patch_spatial": 2, "patch_temporal": 1, "model_channels": 128, "num_blocks": 1, "num_heads": 1},
    **{"crossattn_emb_channels": 1024, "pos_emb_cls": "rope3d"},
}
# of models too big to be built: a class of comfy.supported_models, its settings, and the patch
OTHERS = [
    ("Anima", COSMOS, 2),
    ("HiDreamO1", {}, 32),
    ("Krea2", {}, 2),
    ("MageFlow", {}, 1),
    ("PixelDiTT2I", {}, 16),
    ("WAN21_T2V", {}, 2),
]


@pytest.fixture(scope="session")
def grid(comfy):
    from finesse.nodes import model_grid

    return model_grid


@pytest.fixture(scope="session")
def on_paper(comfy):
    """A MODEL of full size without weights."""
    import comfy.model_patcher
    import comfy.supported_models

    def make(config, **unet):
        kind, meta = getattr(comfy.supported_models, config), torch.device("meta")
        settings = kind({**kind.unet_config, **unet})
        settings.set_inference_dtype(torch.float32, None)
        return comfy.model_patcher.ModelPatcher(settings.get_model({}, device=meta), meta, meta)

    return make


@pytest.mark.parametrize("name", KINDS)
def test_patch_levels_mask_and_picture_of_each_family(grid, name):
    model = family(name).model
    assert grid.patch_of(model) == (2 if name in PATCHED else 1)
    assert grid.unet_levels(model) == LEVELS.get(name, 1)
    assert grid.reads_mask(model) == (name in MASKED)
    assert grid.reads_concat(model) == (name in SHOWN)


@pytest.mark.parametrize(("config", "unet", "patch"), OTHERS)
def test_the_patch_has_several_names_and_forms(grid, on_paper, config, unet, patch):
    model = on_paper(config, **unet)
    assert grid.patch_of(model) == patch
    assert grid.unet_levels(model) == 1
    assert not grid.reads_mask(model)
    assert not grid.reads_concat(model)


def test_an_inpainting_model_for_video_reads_mask_and_picture(grid, on_paper):
    model = on_paper("WAN21_I2V", in_dim=36)
    assert grid.reads_mask(model)
    assert grid.reads_concat(model)


def test_a_wrapped_transformer_is_known_by_its_settings(grid):
    """Loaders of quantised models put an object of their own in place of ComfyUI's."""
    model = family("flux").model.clone()
    model.add_object_patch("diffusion_model", torch.nn.Identity())
    assert grid.patch_of(model) == 2


def test_what_a_patch_of_the_model_reads_counts(grid):
    model = family("sd15").model.clone()
    model.add_object_patch("concat_cond", lambda **values: values["concat_mask"])
    assert grid.reads_mask(model)
    assert not grid.reads_concat(model)


def test_packed_weights_are_not_asked(grid, comfy):
    """Weights quantised by another's code, as GGUF's, are bytes of any shape."""
    model = make_model("SD15", {**KINDS["sd15-inpainting"].unet})
    for parameter in model.model.parameters():
        parameter.data = torch.zeros(3, 7, dtype=torch.uint8)
    assert grid.unet_levels(model) == 4
    assert grid.reads_mask(model)
    assert grid.patch_of(model) == 1
