"""The small-box nodes as a program uses them: links, batches, plain models, several results."""

from __future__ import annotations

import numpy as np
import pytest
from finesse.tests.prompts import edit, node

BOX = {"x": 16, "y": 24, "width": 16, "height": 12}
BOX_PIXELS = np.s_[24:36, 16:32]


def is_edited_in_the_box_only(result, original):
    changed = (result != original).any(axis=-1)
    inside = np.zeros_like(changed)
    inside[BOX_PIXELS] = True
    return bool(changed[BOX_PIXELS].any()) and not bool(changed[~inside].any())


@pytest.mark.parametrize("model", ["inpainting", "text-to-image"])
@pytest.mark.parametrize("noise_mask", [True, False])
def test_only_the_box_changes(client, pixels, scene_png, scene_file, model, noise_mask):
    prompt = edit(scene_file, BOX, steps=2, noise_mask=noise_mask, model=["model", 0])
    prompt["model"]["inputs"]["model"] = model
    outputs = client.run(prompt)
    assert is_edited_in_the_box_only(pixels(client.images(outputs)["save"][0]), pixels(scene_png))
    warned = "no inpainting model and noise_mask is off" in outputs["inpaint"]["text"][0]
    assert warned == (model == "text-to-image" and not noise_mask)


def test_box_can_be_linked(client, pixels, scene_png, scene_file):
    prompt = edit(scene_file, ["primitive", 0], steps=1) | {"primitive": node("PrimitiveBoundingBox", **BOX)}
    assert is_edited_in_the_box_only(pixels(client.images(client.run(prompt))["save"][0]), pixels(scene_png))


def test_batch_of_pictures(client, pixels, scene_png, scene_file):
    prompt = edit(scene_file, BOX, steps=1)
    prompt["batch"] = node("RepeatImageBatch", image=["image", 0], amount=3)
    prompt["inpaint"]["inputs"]["image"] = prompt["composite"]["inputs"]["original"] = ["batch", 0]
    results = [pixels(data) for data in client.images(client.run(prompt))["save"]]
    assert len(results) == 3
    assert all(is_edited_in_the_box_only(result, pixels(scene_png)) for result in results)
    assert (results[0] != results[1]).any()


def test_many_results_of_one_picture(client, pixels, scene_png, scene_file):
    prompt = edit(scene_file, BOX, steps=1)
    prompt["repeat"] = node("RepeatLatentBatch", samples=["inpaint", 2], amount=4)
    prompt["sampler"]["inputs"]["latent_image"] = ["repeat", 0]
    results = [pixels(data) for data in client.images(client.run(prompt))["save"]]
    assert len(results) == 4
    assert all(is_edited_in_the_box_only(result, pixels(scene_png)) for result in results)
