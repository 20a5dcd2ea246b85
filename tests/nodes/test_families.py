"""The small models of the families run in ComfyUI's own samplers and VAEs."""

import pytest
import torch
from finesse.tests.nodes.families import KINDS, family

CELLS = {"flux2-klein": 16}


@pytest.mark.parametrize("name", KINDS)
def test_a_family_encodes_samples_and_decodes(comfy, name):
    made = family(name)
    cell = CELLS.get(name, 8)
    assert made.vae.spacial_compression_encode() == cell
    samples = made.vae.encode(torch.rand(1, 96, 64, 3))
    assert samples.shape[-2:] == (96 // cell, 64 // cell)
    assert samples.shape[1] == made.model.get_model_object("latent_format").latent_channels
    text = made.text()
    latent = made.sample(text, text, {"samples": samples})
    assert latent.shape == samples.shape
    assert bool(torch.isfinite(latent).all())
    picture = made.decode(latent)
    assert picture.shape == (1, 96, 64, 3)
    assert bool(torch.isfinite(picture).all())
    assert picture.std() > 0.01
