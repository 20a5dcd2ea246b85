"""*Load SO-LoRA* in a real server: what it changes, and that nothing of it stays behind."""

from __future__ import annotations

import pytest
from finesse.core.files import read_tensors, write_tensors
from finesse.demo.client import ComfyError
from finesse.tests.prompts import edit, node

BOX = {"x": 16, "y": 40, "width": 8, "height": 8}


def with_lora(prompt, **inputs):
    settings = {"lora": "so_lora.safetensors", "strength": 1.0, "tuned_vae": "none"} | inputs
    prompt["lora"] = node("FinesseLoadSOLoRA", model=["model", 0], **settings)
    prompt["sampler"]["inputs"]["model"] = ["lora", 0]
    return prompt


@pytest.fixture
def drawn(client, pixels, scene_file):
    """Pixels of an edit; `change` gets the prompt first."""

    def run(seed, change=lambda prompt: prompt):
        prompt = change(edit(scene_file, BOX, seed=seed))
        return pixels(client.images(client.run(prompt))["save"][0])

    return run


def test_it_changes_the_box_alone_and_leaves_the_model_as_it_was(drawn, forget):
    ours, plain = drawn(31, with_lora), drawn(31)
    forget()
    assert (drawn(31) == plain).all()
    changed = (ours != plain).any(axis=-1)
    rows, columns = (slice(BOX[at], BOX[at] + BOX[side]) for at, side in (("y", "height"), ("x", "width")))
    assert changed[rows, columns].mean() > 0.5
    changed[rows, columns] = False
    assert not changed.any()


def test_a_file_that_is_trained_anew_under_its_name_is_read_again(server, drawn):
    loras = server.folder / "models" / "loras"
    tensors, metadata = read_tensors(loras / "so_lora.safetensors")
    write_tensors(loras / "again.safetensors", tensors, metadata)
    first = drawn(35, lambda prompt: with_lora(prompt, lora="again.safetensors"))
    stronger = {name: tensor * (3 if "lora_up" in name else 1) for name, tensor in tensors.items()}
    write_tensors(loras / "again.safetensors", stronger, metadata)
    assert (drawn(35, lambda prompt: with_lora(prompt, lora="again.safetensors")) != first).any()


def test_at_strength_0_the_pixels_are_the_plain_models(drawn):
    assert (drawn(32, lambda prompt: with_lora(prompt, strength=0.0)) == drawn(32)).all()


def test_a_linked_vae_without_a_file_is_refused_in_words(drawn):
    def link(prompt):
        with_lora(prompt)["decode"]["inputs"]["vae"] = ["lora", 1]
        return prompt

    with pytest.raises(ComfyError, match="tuned_vae is 'none'; choose a file or link another VAE"):
        drawn(33, link)


@pytest.mark.parametrize("name", ["../so_lora.safetensors", "/etc/passwd", "none.safetensors"])
def test_a_file_that_is_not_in_the_folder_is_refused(drawn, name):
    with pytest.raises(ComfyError, match="lora"):
        drawn(34, lambda prompt: with_lora(prompt, lora=name))
