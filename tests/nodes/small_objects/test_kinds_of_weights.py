"""*Inpaint Small Box* with models whose weights are small, packed or not all loaded."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from finesse.tests.nodes.families import KINDS, family, make_model

BOX = {"x": 32, "y": 16, "width": 32, "height": 32}
IMAGE = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))
NAMES = ["sdxl-inpainting", "flux-fill", "z-image"]


@pytest.fixture
def edited(edit_with):
    """What the node makes with a model of a family, and the samples of a stock sampler."""

    def run(name, model):
        made = replace(family(name), model=model)
        output = edit_with(made, IMAGE, BOX)
        return output, made.sample(*output[:3])

    return run


def packed_operations():
    """Linear layers that store rows of bytes, as ComfyUI-GGUF's do, and unpack them when they are used."""
    import comfy.ops

    class Packed(comfy.ops.manual_cast):
        class Linear(comfy.ops.manual_cast.Linear):
            def pack(self):
                self.weight = torch.nn.Parameter(self.weight.data.view(torch.uint8), requires_grad=False)

            def forward(self, x):
                return F.linear(x, self.weight.data.view(torch.float32), self.bias)

    return Packed


def pack(model):
    for module in model.model.diffusion_model.modules():
        if hasattr(module, "pack"):
            module.pack()
    return model


@pytest.mark.parametrize("name", NAMES)
def test_packed_weights_give_what_the_plain_ones_give(edited, name):
    kind = KINDS[name]
    packed = pack(make_model(kind.config, kind.unet, operations=packed_operations()))
    assert any(weight.dtype == torch.uint8 for weight in packed.model.diffusion_model.parameters())
    (output, samples), (plain, expected) = edited(name, packed), edited(name, family(name).model)
    assert output[4] == plain[4]
    assert output[0][0][1].keys() == plain[0][0][1].keys()
    torch.testing.assert_close(samples, expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.bfloat16])
def test_small_weights_are_sampled_too(edited, name, dtype):
    kind = KINDS[name]
    small = make_model(kind.config, kind.unet, dtype)
    (output, samples), (plain, expected) = edited(name, small), edited(name, family(name).model)
    assert output[4] == plain[4]
    assert samples.dtype == expected.dtype
    assert 0 < (samples - expected).norm() < 0.2 * expected.norm()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_is_loaded_in_part_gives_what_the_whole_one_gives(edited, name):
    """As ComfyUI does it with --lowvram."""
    kind = KINDS[name]
    model = make_model(kind.config, kind.unet)
    model.load(model.load_device, lowvram_model_memory=1)
    assert model.model.model_lowvram
    (output, samples), (plain, expected) = edited(name, model), edited(name, family(name).model)
    assert output[4] == plain[4]
    torch.testing.assert_close(samples, expected)
