"""ComfyUI and diffusers give the same numbers for the same weights, whatever the miniature's size."""

import sys

import pytest
import torch
from finesse.benchmarks import parity
from finesse.core import files
from finesse.miniature.model import networks

BOUNDS = {
    "text": 1e-4,
    "vae.encode": 1e-4,
    "vae.decode": 1e-4,
    "unet.noise": 1e-4,
    "unet.latent": 1e-3,
    "unet_inpainting.noise": 1e-4,
    "unet_inpainting.latent": 1e-3,
}


def shake(folder):
    """Give norms and biases, one and zero in fresh networks, values in which a mix-up would show."""
    generator = torch.Generator().manual_seed(1)
    for path in folder.rglob("*.safetensors"):
        tensors, metadata = files.read_tensors(path)
        for name, tensor in tensors.items():
            if tensor.ndim == 1:
                tensors[name] = tensor + 0.1 * torch.randn(tensor.shape, generator=generator).half()
        files.write_tensors(path, tensors, metadata)


@pytest.mark.parametrize("size", [64, 128])
def test_comfyui_and_diffusers_agree(tmp_path, size):
    networks.random(tmp_path, size)
    shake(tmp_path)
    differences = parity.max_abs_difference(tmp_path, steps=20)
    assert differences.keys() == BOUNDS.keys()
    assert {stage: value for stage, value in differences.items() if not value < BOUNDS[stage]} == {}


def test_without_comfyui_the_variable_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("COMFYUI_PATH", str(tmp_path))
    monkeypatch.delitem(sys.modules, "comfy.model_management", raising=False)
    with pytest.raises(ValueError, match=r"COMFYUI_PATH is .*: set it to the folder of a ComfyUI"):
        parity.import_comfyui()
