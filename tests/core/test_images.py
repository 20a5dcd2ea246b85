"""Pictures and masks: what is let in, what is said of the others, and their bytes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from finesse.core.images import check_image, check_mask, to_bytes, unit_mask


@pytest.mark.parametrize("image", [torch.zeros(4, 4, 3), torch.zeros(1, 4, 4, 1), torch.zeros(0, 4, 4, 3)])
def test_image_of_a_wrong_shape_is_named(image):
    with pytest.raises(ValueError, match="image must be pictures"):
        check_image(image, "image")


def test_image_with_infinity_is_named():
    image = torch.zeros(1, 4, 4, 3)
    image[0, 0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match="image holds 1 values that are NaN or infinite; check"):
        check_image(image, "image")


def test_placeholder_mask_of_load_image_is_no_mask():
    assert check_mask(torch.zeros(1, 64, 64), torch.zeros(1, 512, 512, 3)) is None
    assert check_mask(torch.zeros(64, 64), torch.zeros(1, 64, 64, 3)) is None


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (torch.zeros(1, 32, 48), "mask is empty.*paint the part"),
        (torch.ones(1, 64, 64), "mask is 64×64 px but image is 48×32 px; resize"),
        (torch.zeros(1, 16, 16), "mask is 16×16 px"),
        (torch.ones(3, 32, 48), "mask has 3 pictures but image has 2"),
        (
            torch.full((1, 32, 48), 255.0),
            "values from 255 to 255; a mask lies between 0 and 1.*scale it by bilinear",
        ),
        (torch.full((1, 32, 48), torch.nan), "values from nan"),
    ],
)
def test_bad_mask_is_named(mask, said):
    with pytest.raises(ValueError, match=said):
        check_mask(mask, torch.zeros(2, 32, 48, 3))


@pytest.mark.parametrize("kind", [torch.float32, torch.float16, torch.float64])
def test_rounding_past_0_and_1_is_clamped(kind):
    error = torch.finfo(kind).eps
    mask = torch.tensor([[-error, 0.25], [1.0, 1 + 2 * error]], dtype=kind)
    assert unit_mask(mask).tolist() == [[0, 0.25], [1, 1]]
    assert unit_mask(mask).dtype == kind
    assert check_mask(mask, torch.zeros(1, 2, 2, 3)).tolist() == [[[0, 0.25], [1, 1]]]


def test_a_mask_of_rounding_alone_is_empty():
    with pytest.raises(ValueError, match="mask is empty"):
        check_mask(torch.full((1, 4, 4), -1e-9), torch.zeros(1, 4, 4, 3))


def test_the_overshoot_of_bicubic_scaling_is_named_with_its_remedy():
    mask = torch.zeros(1, 8, 8)
    mask[:, 2:6, 2:6] = 1
    scaled = F.interpolate(mask[None], (32, 32), mode="bicubic")[0]
    said = r"mask has values from -0\.\d+ to 1\.\d+; .* Bicubic scaling overshoots: scale it by bilinear"
    with pytest.raises(ValueError, match=said):
        check_mask(scaled, torch.zeros(1, 32, 32, 3))


def test_bytes_are_rounded_and_clamped():
    values = torch.tensor([[-0.1, 0, 0.5, 0.1251], [1, 1.2, 0.4 / 255, 0.6 / 255]])
    for given in (values, values.double()):
        found = to_bytes(given)
        assert found.dtype == torch.uint8
        assert found.tolist() == [[0, 0, 128, 32], [255, 255, 0, 1]]


def test_bytes_divided_in_any_precision_come_back():
    every = torch.arange(256, dtype=torch.uint8)
    for dtype in (torch.float16, torch.float32, torch.float64):
        assert torch.equal(to_bytes(every.to(dtype) / 255), every)
