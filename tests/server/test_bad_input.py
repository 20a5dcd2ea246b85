"""Bad input to the small-box nodes on the real server: refused with a message, or served in full."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from finesse.demo.client import ComfyError
from finesse.tests.prompts import edit, node
from PIL import Image

BOX = {"x": 16, "y": 24, "width": 16, "height": 12}


@pytest.fixture
def upload(client):
    """Uploads random pixels of (height, width[, channels]) and gives the file's name."""

    def send(*shape, alpha=None):
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        if alpha is not None:
            pixels[..., 3] = alpha
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG")
        return client.upload(buffer.getvalue(), f"{'x'.join(map(str, shape))}.png"), pixels

    return send


def with_mask(picture, mask_picture, **inputs):
    """An edit whose mask is that of *Load Image*."""
    prompt = edit(picture, BOX, steps=1, mask=["mask", 1], **inputs)
    return prompt | {"mask": node("LoadImage", image=mask_picture)}


def with_batch_of_masks(picture):
    return edit(picture, BOX, steps=1, mask=["three", 0]) | {
        "solid": node("SolidMask", value=1.0, width=64, height=64),
        "images": node("MaskToImage", mask=["solid", 0]),
        "repeated": node("RepeatImageBatch", image=["images", 0], amount=3),
        "three": node("ImageToMask", image=["repeated", 0], channel="red"),
    }


def with_empty_mask(picture):
    """An empty mask of 64x48, so that it is not taken for the placeholder."""
    prompt = edit(picture, BOX, steps=1, mask=["empty", 0])
    return prompt | {"empty": node("SolidMask", value=0.0, width=64, height=48)}


def with_nan(picture, into):
    """An edit that gets the decoding of infinite latents as its picture or as its result."""
    prompt = edit(picture, BOX, steps=1)
    prompt["tenfold 0"] = node("VAEEncode", pixels=["image", 0], vae=["model", 2])
    for power in range(1, 41):
        times = node("LatentMultiply", samples=[f"tenfold {power - 1}", 0], multiplier=10.0)
        prompt[f"tenfold {power}"] = times
    prompt["broken"] = node("VAEDecode", samples=["tenfold 40", 0], vae=["model", 2])
    target, name = ("inpaint", "image") if into == "picture" else ("composite", "edited")
    prompt[target]["inputs"][name] = ["broken", 0]
    return prompt


REFUSED = {
    "zero area": (lambda p: edit(p, {**BOX, "width": 0}), "box has no area: 0×12 px at (16, 24); give it"),
    "outside": (lambda p: edit(p, {**BOX, "x": 64}), "box lies outside the image: 16×12 px at (64, 24)"),
    "NaN": (
        lambda p: edit(p, {**BOX, "y": math.nan}),
        "box must hold four finite numbers, got {'x': 16, 'y': nan",
    ),
    "no box": (lambda p: edit(p, {}), "box must be a bounding box with x, y, width and height, got {}"),
    "empty mask": (with_empty_mask, "mask is 64×48 px but image is 64×64 px"),
    "batch of masks": (with_batch_of_masks, "mask has 3 pictures but image has 1"),
    "tiny box unsnapped": (
        lambda p: edit(p, {**BOX, "width": 1, "height": 1}, snap=False),
        "covers no latent cell of 4×4 px: turn snap on",
    ),
    "NaN picture": (lambda p: with_nan(p, "picture"), "image holds"),
    "NaN result": (lambda p: with_nan(p, "result"), "edited holds"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_with_its_name_and_value(client, scene_file, case):
    make, said = REFUSED[case]
    with pytest.raises(ComfyError) as refused:
        client.run(make(scene_file))
    assert refused.value.kind == "ValueError"
    assert said in str(refused.value)


def test_mask_of_another_size_is_refused(client, scene_file, upload):
    other, _ = upload(48, 40, 4, alpha=100)
    with pytest.raises(ComfyError, match="mask is 40×48 px but image is 64×64 px; resize"):
        client.run(with_mask(scene_file, other))


def test_mask_that_is_empty_is_refused(client, upload):
    picture, _ = upload(48, 64, 4, alpha=255)
    with pytest.raises(ComfyError, match=r"mask is empty .*paint the part to change"):
        client.run(with_mask(picture, picture))


def test_placeholder_mask_is_ignored(client, scene_file):
    outputs = client.run(with_mask(scene_file, scene_file))
    assert "placeholder and was ignored" in outputs["inpaint"]["text"][0]


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((1, 1), {"x": 0, "y": 0, "width": 512, "height": 512}),
        ((37, 51), {"x": 40, "y": -5, "width": 30, "height": 20}),
        ((66, 65), {"x": -100, "y": -100, "width": 999, "height": 999}),
        ((130, 61), {"x": 1, "y": 1, "width": 59, "height": 128}),
    ],
)
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("context", [0, 48])
def test_every_size_is_served_and_untouched_outside(client, upload, pixels, size, box, channels, context):
    picture, sent = upload(*size, channels, alpha=255 if channels == 4 else None)
    prompt = edit(picture, box, steps=1, snap=True, context=context)
    prompt["plain"] = node("SaveImage", images=["image", 0], filename_prefix="plain")
    images = client.images(client.run(prompt))
    result, plain = pixels(images["save"][0]), pixels(images["plain"][0])

    assert result.shape == plain.shape
    touched = np.zeros(size, bool)
    left, top = max(box["x"], 0) // 4 * 4, max(box["y"], 0) // 4 * 4
    right, bottom = -(-(box["x"] + box["width"]) // 4) * 4, -(-(box["y"] + box["height"]) // 4) * 4
    touched[top:bottom, left:right] = True
    assert (result[~touched] == plain[~touched]).all()
    assert (plain[..., :3] == sent[..., :3]).all()
