"""The small-box nodes as a program uses them: links, batches, plain models, several results."""

from __future__ import annotations

import numpy as np
import pytest
from finesse.demo.prompts import png
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


# Many boxes

PLACES = ((8, 8, 12, 12), (44, 10, 8, 8), (40, 44, 16, 12))  # x, y, width, height; as one reads them
TIDY = {
    "minimal_size": 1,
    "merge_distance": 0,
    "margin": 0,
    "order": "reading",
    "threshold": 0.5,
    "split": True,
}


@pytest.fixture
def painted(client, scene_png, pixels):
    """Uploads the scene with a mask over some boxes, as the mask editor saves it: the file's name."""

    def send(name, boxes):
        alpha = np.full((64, 64, 1), 255, np.uint8)
        for x, y, width, height in boxes:
            alpha[y : y + height, x : x + width] = 0
        return client.upload(png(np.concatenate([pixels(scene_png), alpha], axis=-1)), f"{name}.png")

    return send


def from_mask(picture, texts, **inputs):
    """An edit of the boxes that *Boxes from Mask* finds in a picture's mask."""
    prompt = edit(picture, BOX, steps=1, boxes=["parts", 0], clip=["model", 1], **inputs)
    parts = {"image": ["image", 0], "mask": ["image", 1], "texts": texts, **TIDY}
    return prompt | {"parts": node("FinesseBoxesFromMask", **parts)}


def touched(boxes):
    """The pixels of whole cells that boxes lie on."""
    cells = np.zeros((64, 64), bool)
    for x, y, width, height in boxes:
        cells[y // 4 * 4 : -(-(y + height) // 4) * 4, x // 4 * 4 : -(-(x + width) // 4) * 4] = True
    return cells


def changed_cells(result, original):
    """Cells of 4 pixels in which anything changed, as pixels."""
    cells = (result != original).any(-1).reshape(16, 4, 16, 4).any((1, 3))
    return cells.repeat(4, 0).repeat(4, 1)


def test_the_parts_of_a_painted_mask_are_drawn_under_their_texts(client, pixels, scene_png, painted):
    outputs = client.run(from_mask(painted("three", PLACES), "a dog\na red car"))
    assert outputs["parts"]["text"][0].splitlines()[:3] == [
        "box 1: 12×12 px at (8, 8): a dog",
        "box 2: 8×8 px at (44, 10): a red car",
        "box 3: 16×12 px at (40, 44): a red car",
    ]
    assert [image["type"] for image in outputs["parts"]["images"]] == ["temp"]
    assert "box 3 (a red car): 16×12 px" in outputs["inpaint"]["text"][0]
    result = pixels(client.images(outputs)["save"][0])
    assert (changed_cells(result, pixels(scene_png)) == touched(PLACES)).all()


def test_two_hundred_boxes_of_two_pixels(client, pixels, scene_png, painted):
    dots = [(4 * (place % 16) + 1, 4 * (place // 16) + 1, 2, 2) for place in range(200)]
    outputs = client.run(from_mask(painted("dots", dots), "a red car"))
    assert outputs["parts"]["text"][0].count("2×2 px") == 200
    result = pixels(client.images(outputs)["save"][0])
    assert not (result != pixels(scene_png)).any(-1)[~touched(dots)].any()
    assert changed_cells(result, pixels(scene_png)).sum() > 0.9 * touched(dots).sum()


def test_boxes_that_overlap_are_drawn_and_the_later_wins(client, pixels, scene_png, scene_file):
    boxes = [{"x": 8, "y": 8, "width": 24, "height": 24, "text": "a dog"}, {**BOX, "text": "a red car"}]
    prompt = edit(scene_file, {"__value__": [BOX, *boxes]}, steps=1, clip=["model", 1])
    outputs = client.run(prompt)
    assert "box 1 lies under later boxes, and they win." in outputs["inpaint"]["text"][0]
    result = pixels(client.images(outputs)["save"][0])
    places = [(box["x"], box["y"], box["width"], box["height"]) for box in boxes]
    assert (changed_cells(result, pixels(scene_png)) == touched(places)).all()


@pytest.mark.parametrize("colour_match", ["none", "ring"])
def test_each_picture_of_a_batch_has_its_own_boxes(client, pixels, scene_png, painted, colour_match):
    """The second picture has none."""
    own = [PLACES[:2], (), PLACES[2:]]
    prompt = from_mask(painted("batch 0", own[0]), "a dog\na red car")
    for place, boxes in enumerate(own):
        prompt[f"image {place}"] = node("LoadImage", image=painted(f"batch {place}", boxes))
        prompt[f"mask {place}"] = node("MaskToImage", mask=[f"image {place}", 1])
    del prompt["image"]
    batched = {"images": "image", "masks": "mask"}
    for name, source in batched.items():
        first = node("ImageBatch", image1=[f"{source} 0", 0], image2=[f"{source} 1", 0])
        prompt |= {f"two {name}": first}
        prompt[name] = node("ImageBatch", image1=[f"two {name}", 0], image2=[f"{source} 2", 0])
    prompt["mask"] = node("ImageToMask", image=["masks", 0], channel="red")
    prompt["parts"]["inputs"] |= {"image": ["images", 0], "mask": ["mask", 0]}
    prompt["inpaint"]["inputs"]["image"] = ["images", 0]
    prompt["composite"]["inputs"] |= {"original": ["images", 0], "colour_match": colour_match}
    outputs = client.run(prompt)
    assert "box 1 of picture 3: 16×12 px at (40, 44): a dog" in outputs["parts"]["text"][0]
    results = [pixels(data) for data in client.images(outputs)["save"]]
    assert len(outputs["parts"]["images"]) == len(results) == 3
    for result, boxes in zip(results, own, strict=True):
        assert (changed_cells(result, pixels(scene_png)) == touched(boxes)).all()
