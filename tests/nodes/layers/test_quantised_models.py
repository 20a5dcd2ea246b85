"""*Load Layered Edit* on a quantised base, whose weights are stored packed."""

from __future__ import annotations

import json

import pytest
import torch
from finesse.core.layers.files import LayeredEdit, write_edit
from finesse.tests.nodes.layers.trainable import small_sdxl

LAYERS = ("input_blocks.3.1.proj_in", "input_blocks.1.0.in_layers.2")  # a linear layer and a convolution


@pytest.fixture
def edit_of(factor_control, tmp_path, monkeypatch):
    """Writes an edit of a model's weights, and loads it by our node and by the stock one."""
    import folder_paths
    from comfy.sd import load_lora_for_models
    from finesse.nodes.layers.edit_files import FOLDER, SUFFIX, LoadLayeredEdit

    monkeypatch.setitem(folder_paths.folder_names_and_paths, FOLDER, ([str(tmp_path)], {SUFFIX}))
    texts = {"positive": torch.zeros(1, 32, 192), "positive.pooled": torch.zeros(1, 1280)}

    def load(model, lora):
        write_edit(tmp_path / "edit.safetensors", LayeredEdit(lora, texts))
        stock, _ = load_lora_for_models(model, None, lora, 1.0, 0.0)
        return LoadLayeredEdit.execute(model, "edit.safetensors", 1.0).args[0], stock

    return load


def changes(model, kind):
    """A LORA_MODEL on LAYERS of a plain model."""
    lora, generator = {}, torch.Generator().manual_seed(1)
    for layer in LAYERS:
        weight = model.model.diffusion_model.get_submodule(layer).weight
        parts = {"diff": weight.shape}
        if kind == "low-rank":
            parts = {"lora_up.weight": (len(weight), 2), "lora_down.weight": (2, weight[0].numel())}
        for part, shape in parts.items():
            lora[f"diffusion_model.{layer}.{part}"] = torch.randn(*shape, generator=generator)
    return lora


def in_nvfp4(model):
    """The same model as ComfyUI has it from a file with linear layers in NVFP4."""
    import comfy.ops
    from comfy.quant_ops import QuantizedTensor

    stored = {}
    for name, weight in model.model.diffusion_model.state_dict().items():
        if name.endswith(".weight") and weight.ndim == 2:
            packed = QuantizedTensor.from_float(weight.bfloat16(), "TensorCoreNVFP4Layout")
            stored |= packed.state_dict(name)
            told = json.dumps({"format": "nvfp4"}).encode()
            stored[name.removesuffix("weight") + "comfy_quant"] = torch.tensor(list(told), dtype=torch.uint8)
        else:
            stored[name] = weight
    quantised = small_sdxl(comfy.ops.mixed_precision_ops({}, torch.float32))
    quantised.model.diffusion_model.load_state_dict(stored)
    return quantised


class Packed(torch.Tensor):
    """Numbers that say of themselves which shape they unpack to, as GGUF's do."""

    unpacked: torch.Size

    @property
    def shape(self):
        return getattr(self, "unpacked", self.size())


def in_gguf(model):
    """The model with weights as ComfyUI-GGUF holds them: rows of bytes, and so in the state_dict."""
    for layer in LAYERS:
        module = model.model.diffusion_model.get_submodule(layer)
        packed = torch.zeros(len(module.weight), module.weight[0].numel() * 9 // 16, dtype=torch.uint8)
        weight = torch.nn.Parameter(packed.as_subclass(Packed), requires_grad=False)
        weight.unpacked = module.weight.shape
        module.weight = weight
    return model


@pytest.mark.parametrize("kind", ["full", "low-rank"])
@pytest.mark.parametrize("quantised", [in_nvfp4, in_gguf])
def test_a_quantised_base_takes_its_edit_as_stock_load_lora_does(edit_of, quantised, kind):
    plain = small_sdxl()
    lora = changes(plain, kind)
    model = quantised(plain)
    stored = model.model.state_dict()
    weights = [f"diffusion_model.{layer}.weight" for layer in LAYERS]
    assert stored[weights[0]].dtype == torch.uint8
    ours, stock = edit_of(model, lora)
    assert set(ours.patches) == set(stock.patches) == set(weights)


@pytest.mark.parametrize("quantised", [in_nvfp4, in_gguf])
def test_an_edit_of_another_model_is_still_refused(edit_of, quantised):
    model = quantised(small_sdxl())
    name = f"diffusion_model.{LAYERS[0]}.diff"
    with pytest.raises(
        ValueError, match=rf"its weight {name} is of shape \[64, 32\], but the model.s weight is \[64, 64\]"
    ):
        edit_of(model, {name: torch.zeros(64, 32)})


def test_a_base_in_nvfp4_computes_with_its_edit_what_stock_load_lora_does(edit_of):
    plain = small_sdxl()
    lora = changes(plain, "low-rank")
    model = in_nvfp4(plain)
    ours, stock = edit_of(model, lora)
    assert torch.equal(weight_of(ours), weight_of(stock))
    assert not torch.equal(weight_of(ours), weight_of(model))


@torch.no_grad()
def weight_of(model):
    """The first layer's weight as it is computed with."""
    model.patch_model(load_weights=True)
    weight = model.model.diffusion_model.get_submodule(LAYERS[0]).weight.dequantize().clone()
    model.unpatch_model()
    return weight
