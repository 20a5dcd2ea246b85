"""Bad input to *Inpaint Small Box*: each message names the input, the value and what to do."""

import pytest
import torch
from finesse.tests.nodes.stand_ins import BOX, FIVE, PoolingVAE, cond


def broken(image, value):
    image = image.clone()
    image[0, 0, 0, 0] = value
    return image


IMAGE = torch.full((2, 64, 64, 3), 0.5)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"box": {**BOX, "width": 0}}, r"box has no area: 0×16 px at \(16, 24\); give it"),
        ({"box": {**BOX, "x": float("nan")}}, "box must hold four finite numbers, got .*nan.*enter pixels"),
        (
            {"box": {**BOX, "x": 64}},
            r"box lies outside the image: 24×16 px at \(64, 24\), image 64×64 px; move",
        ),
        ({"box": [BOX, {**BOX, "height": -1}]}, "box 2 has no area"),
        ({"box": [BOX, {**BOX, "y": 64}]}, r"box 2 lies outside the image"),
        ({"box": [BOX, {**BOX, "seed": "seven"}]}, "box 2 has the seed 'seven'; give"),
        ({"box": {**BOX, "text": ["a cat"]}}, r"box must have a text made of words, got \['a cat'\]"),
        ({"box": {**BOX, "text": "a cat"}}, r"box has texts \('a cat'\) but clip is not linked; link"),
        ({"box": []}, r"box is empty: \[\]; draw at least one box"),
        ({"box": None}, "box must be a list of boxes, got None"),
        ({"image": broken(IMAGE, torch.nan)}, "image holds 1 values that are NaN or infinite; check"),
        ({"image": IMAGE[..., :1]}, r"image must be pictures .* got \(2, 64, 64, 1\)"),
        ({"mask": torch.zeros(1, 64, 63)}, "mask is 63×64 px but image is 64×64 px; resize"),
        ({"mask": torch.ones(3, 64, 64)}, "mask has 3 pictures but image has 2; give"),
        ({"mask": torch.eye(64)[None] * torch.tensor(0.3)}, "covers no latent cell.*paint the mask stronger"),
        ({"boxes": []}, r"boxes is empty: \[\]; draw at least one box"),
        ({"boxes": FIVE}, "boxes has texts .*'a red car'.* but clip is not linked; link"),
        (
            {"context": 32, "positive": cond(area=(2, 2, 6, 6))},
            r"positive has no effect in the window \(40×32 px at \(8, 16\)\): .*Enlarge context",
        ),
        (
            {"context": 32, "negative": cond(mask=torch.zeros(1, 64, 64))},
            "negative has no effect in the window .*combine it with a prompt for the whole picture",
        ),
    ],
)
def test_bad_input_is_named(inpaint, inputs, said):
    with pytest.raises(ValueError, match=said):
        inpaint(**{"image": IMAGE, **inputs})


def test_vae_that_overflows_is_named(inpaint):
    class OverflowingVAE(PoolingVAE):
        def encode(self, pixels):
            return super().encode(pixels) / 0

    with pytest.raises(ValueError, match=r"vae gave \d+ latent values that are NaN or infinite; use a VAE"):
        inpaint(IMAGE, vae=OverflowingVAE())
