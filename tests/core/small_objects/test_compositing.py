import random

import pytest
import torch
import torch.nn.functional as F
from finesse.core.small_objects.boxes import Box, Grid
from finesse.core.small_objects.compositing import composite, feather_ramp, fill_from_around
from finesse.core.small_objects.region import cut_window, plan_edit
from finesse.core.small_objects.window import Scale

SCALES = [
    Scale(),
    Scale("auto", 4.0, 256),
    Scale("auto", 7.3, 120),
    Scale("side", 128),
    Scale("side", 40),
    Scale("megapixels", 0.05),
]


def region_of(box, size, mask=None, *, cell=8, **options):
    options = {"snap": False, "grow": 0, "context": 0, **options}
    return plan_edit([box], ["box"], mask, size, grid=Grid(cell, levels=3), **options).region


def edited_for(region, batch=1):
    width, height = region.sampled_size
    return torch.rand(batch, height, width, 3)


def outside(region):
    """Bool (1 or B, H, W): every pixel that must not change."""
    mask = torch.ones(region.alpha.shape[0], region.image_height, region.image_width, dtype=torch.bool)
    visible = region.visible
    mask[visible.index] = region.alpha[:, : visible.height, : visible.width] == 0
    return mask


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_every_pixel_outside_the_region_is_bit_identical(dtype):
    rng = random.Random(0)
    torch.manual_seed(0)
    done = 0
    while done < 80:
        width, height = rng.randint(9, 150), rng.randint(9, 150)
        batch, channels = rng.randint(1, 3), rng.choice([3, 4])
        original = torch.rand(batch, height, width, channels, dtype=torch.float64).to(dtype)
        margin = rng.choice([1, 1, 3])
        box = Box(margin, margin, width - 2 * margin, height - 2 * margin)
        if rng.random() < 0.6:
            box = Box(rng.randrange(width), rng.randrange(height), rng.randint(8, 60), rng.randint(8, 60))
        mask = (torch.rand(batch, height, width) > 0.5).float() if rng.random() < 0.3 else None
        options = {"snap": rng.random() < 0.5, "grow": rng.choice([0, 0, 3]), "context": rng.choice([0, 48])}
        options["scale"] = rng.choice(SCALES)
        try:
            region = region_of(box, (width, height), mask, cell=rng.choice([4, 8]), **options)
        except ValueError:  # a sliver at the frame that covers no cell
            continue
        done += 1
        has_ring = bool(outside(region).flatten(1).any(1).all())
        match = rng.choice(["none", "ring", "adaptive"] if has_ring else ["none", "adaptive"])
        before = original.clone()
        result = composite(original, edited_for(region, batch), region, rng.choice([0, 2, 9]), match)
        assert torch.equal(original, before)
        assert result.dtype == dtype
        assert result.shape == original.shape
        kept = outside(region).expand(batch, -1, -1)
        assert torch.equal(result[kept], original[kept])
        if channels == 4:
            assert torch.equal(result[..., 3], original[..., 3])
        assert not torch.equal(result[..., :3], original[..., :3])


def test_even_nan_payloads_and_negative_zeros_survive_outside():
    original = torch.zeros(1, 32, 32, 3)
    original[0, 0, 0] = -0.0
    region = region_of(Box(8, 8, 8, 8), (32, 32))
    result = composite(original, edited_for(region), region)
    assert torch.equal(result.view(torch.int32)[0, 0, 0], original.view(torch.int32)[0, 0, 0])


def test_without_feather_the_box_is_the_edit():
    torch.manual_seed(0)
    original, box = torch.rand(1, 37, 51, 3), Box(11, 9, 13, 17)
    region = region_of(box, (51, 37))
    edited = edited_for(region)
    result = composite(original, edited, region)
    assert torch.equal(result[box.index], edited[box.index])


def test_window_is_pasted_where_it_was_cut():
    torch.manual_seed(0)
    original, box = torch.rand(1, 300, 200, 3), Box(120, 210, 24, 16)
    region = region_of(box, (200, 300), context=64)
    assert region.window.width == 64
    edited = edited_for(region)
    result = composite(original, edited, region)
    local = Box(box.x - region.window.x, box.y - region.window.y, box.width, box.height)
    assert torch.equal(result[box.index], edited[local.index])


def test_one_original_takes_many_edits():
    torch.manual_seed(0)
    original = torch.rand(1, 32, 32, 3)
    region = region_of(Box(8, 8, 8, 8), (32, 32))
    edited = edited_for(region, 3)
    result = composite(original, edited, region, 2)
    for index in range(3):
        assert torch.equal(
            result[index : index + 1], composite(original, edited[index : index + 1], region, 2)
        )


def slow_ramp(inside, feather):
    """The definition pixel by pixel, in float64: Chebyshev distance to the nearest pixel outside."""
    height, width = inside.shape
    ramp = torch.zeros(height, width, dtype=torch.float64)
    gaps = (~inside).nonzero().tolist()
    for y, x in inside.nonzero().tolist():
        depth = min((max(abs(y - v), abs(x - u)) for v, u in gaps), default=feather + 1)
        ramp[y, x] = min(depth / (feather + 1), 1)
    return ramp


def test_feather_is_the_distance_to_the_outside():
    torch.manual_seed(0)
    for feather in (0, 1, 3, 7):
        inside = torch.zeros(19, 23, dtype=torch.bool)
        inside[2:15, 5:23] = True
        inside[torch.rand(19, 23) > 0.97] ^= True
        ramp = feather_ramp(inside.float().unsqueeze(0), feather)[0]
        assert torch.allclose(ramp.double(), slow_ramp(inside, feather), atol=1e-6)
        assert bool((ramp[~inside] == 0).all())
        assert bool((ramp[inside] > 0).all())


def ramp_of_the_whole(alpha, feather):
    """The ramp by `feather` erosions of the whole picture, in the order of its sums."""
    inside = (alpha > 0).float()
    depth = inside.clone()
    for _ in range(feather):
        inside = -F.max_pool2d(-inside.unsqueeze(1), 3, stride=1, padding=1).squeeze(1)
        depth += inside
    return depth / (feather + 1)


def test_feather_of_a_part_is_that_of_the_whole_bit_for_bit():
    rng = random.Random(0)
    torch.manual_seed(0)
    for _ in range(60):
        width, height = rng.randint(1, 60), rng.randint(1, 60)
        alpha = torch.zeros(rng.randint(1, 3), height, width)
        for picture in alpha:
            x, y = rng.randrange(width), rng.randrange(height)
            picture[y : y + rng.randint(0, 40), x : x + rng.randint(0, 40)] = rng.choice([0.3, 1.0])
        alpha[torch.rand_like(alpha) > 0.995] = 0
        feather = rng.choice([0, 1, 5, 70])
        assert torch.equal(feather_ramp(alpha, feather), ramp_of_the_whole(alpha, feather))


def test_feather_looks_at_the_mask_alone(monkeypatch):
    looked_at, pool = [], F.max_pool2d

    def counted(pixels, *settings, **more):
        looked_at.append(pixels.numel())
        return pool(pixels, *settings, **more)

    monkeypatch.setattr(F, "max_pool2d", counted)
    alpha = torch.zeros(1, 2000, 3000)
    alpha[:, 900:940, 1500:1560] = 1
    feather_ramp(alpha, 256)
    assert sum(looked_at) <= 62 * 42 * 21  # the mask and a pixel around it, until nothing is left of it


def test_feathered_values_lie_between_original_and_edit():
    original = torch.zeros(1, 40, 40, 3)
    region = region_of(Box(8, 8, 24, 24), (40, 40))
    result = composite(original, torch.ones(1, 40, 40, 3), region, feather=3)[0, :, :, 0]
    assert result[20, 6:13].tolist() == [0, 0, 0.25, 0.5, 0.75, 1, 1]


def test_soft_mask_weights_the_edit():
    mask = torch.zeros(1, 40, 40)
    mask[:, 8:32, 8:32] = 0.75
    region = region_of(Box(0, 0, 40, 40), (40, 40), mask)
    result = composite(torch.zeros(1, 40, 40, 3), torch.ones(1, 40, 40, 3), region)
    assert set(result.unique().tolist()) == {0, 0.75}


def test_bad_input_is_named():
    region = region_of(Box(8, 8, 8, 8), (32, 24))
    original, edited = torch.rand(1, 24, 32, 3), torch.rand(2, 24, 32, 3)
    with pytest.raises(ValueError, match=r"original is 24×24 px.*32×24 px; link the same image"):
        composite(original[:, :, :24], edited, region)
    with pytest.raises(ValueError, match=r"edited is 32×16 px.*window is sampled at 32×24 px"):
        composite(original, edited[:, :16], region)
    with pytest.raises(ValueError, match="edited has 2 pictures, original 3 and region 1"):
        composite(original.repeat(3, 1, 1, 1), edited, region)
    with pytest.raises(ValueError, match=r"edited must be pictures.*\(2, 24, 32\)"):
        composite(original, edited[..., 0], region)
    edited[0, 3, 3, 1] = torch.nan
    with pytest.raises(ValueError, match=r"edited holds 1 values that are NaN.*--fp32-vae"):
        composite(original, edited, region)


def test_a_hole_is_filled_with_what_is_around_it():
    hole = torch.zeros(1, 32, 27)
    hole[:, 10:20, 8:18] = 1
    flat = torch.full((2, 32, 27, 3), 0.3)
    ramp = torch.linspace(0, 1, 27).expand(2, 32, 27)[..., None]
    for picture, tolerance in ((flat, 1e-6), (ramp, 0.2)):
        spoilt = torch.where(hole[..., None] > 0, 7.0, picture)
        filled = fill_from_around(spoilt, hole)
        assert torch.equal(filled[:, hole[0] == 0], picture[:, hole[0] == 0])
        torch.testing.assert_close(filled, picture, rtol=0, atol=tolerance)


@pytest.mark.parametrize("scale", [Scale("side", 192), Scale("side", 160), Scale("auto", 3.0, 200)])
def test_a_scaled_window_comes_back_where_it_was(scale):
    """A smooth picture that is enlarged and scaled back without an edit stays what it was."""
    columns, rows = torch.linspace(0, 1, 97), torch.linspace(0, 1, 75)
    image = torch.stack(torch.broadcast_tensors(columns, rows[:, None], columns * rows[:, None]), -1)[None]
    box = Box(41, 30, 14, 12)
    region = region_of(box, (97, 75), context=64, scale=scale)
    assert region.scaled is not None
    result = composite(image, cut_window(image, region), region)
    assert torch.allclose(result, image, atol=2e-3)
    changed = composite(image, edited_for(region), region) != image
    assert changed[box.index].all()
    assert changed.sum() == 3 * box.width * box.height


def test_a_scaled_edit_is_averaged_over_the_pixels_of_the_image():
    region = region_of(Box(8, 8, 8, 8), (32, 32), scale=Scale("side", 96))
    assert region.scaled == (96, 96)
    edited = edited_for(region)
    result = composite(torch.zeros(1, 32, 32, 3), edited, region)
    expected = edited.reshape(1, 32, 3, 32, 3, 3).mean(dim=(2, 4))
    assert torch.allclose(result[:, 8:16, 8:16], expected[:, 8:16, 8:16], atol=1e-6)


def test_in_a_batch_a_picture_without_boxes_stays_as_it_is():
    torch.manual_seed(0)
    original, boxes = torch.rand(3, 40, 40, 3), [Box(4, 4, 12, 12), Box(20, 20, 12, 12)]
    options = {"grid": Grid(4), "snap": True, "grow": 0, "context": 0}
    region = plan_edit(boxes, ["a", "b"], None, (40, 40), **options, pictures=[0, 2], batch=3).region
    result = composite(original, edited_for(region, 3), region, 2, "ring")
    assert torch.equal(result[1], original[1])
    for picture, box in ((0, boxes[0]), (2, boxes[1])):
        changed = (result[picture] != original[picture]).any(-1)
        inside = torch.zeros(40, 40, dtype=torch.bool)
        inside[box.index[1:]] = True
        assert torch.equal(changed, inside)
