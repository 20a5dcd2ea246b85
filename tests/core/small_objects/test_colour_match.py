"""Colour matches against independent references, and where they must not believe the ring."""

import numpy as np
import pytest
import torch
from finesse.core.small_objects import colour_match
from finesse.core.small_objects.boxes import Box, Grid
from finesse.core.small_objects.colour_match import match_adaptively, match_colours
from finesse.core.small_objects.compositing import composite
from finesse.core.small_objects.region import plan_edit
from scipy.ndimage import gaussian_filter

CELL = 8
BOX = Box(48, 40, 32, 40)
SIZE = (120, 136)  # height, width


def region_of(box, size, cell=CELL):
    return plan_edit([box], ["box"], None, size, grid=Grid(cell), snap=False, grow=0, context=0).region


def scene(seed=0, batch=1):
    """Smooth colours and a little detail, (batch, h, w, 3)."""
    random = np.random.default_rng(seed)
    rough = gaussian_filter(random.random((batch, *SIZE, 3)), (0, 9, 9, 0))
    smooth = 0.5 + 0.18 * (rough - rough.mean()) / rough.std()
    return torch.from_numpy(smooth + 0.02 * random.standard_normal(smooth.shape)).float().clamp(0.02, 0.98)


def mask_of(*boxes, batch=1):
    alpha = torch.zeros(batch, *SIZE)
    for box in boxes:
        alpha[box.index] = 1
    return alpha


def drifted(pixels):
    """White balance, saturation and offset drift, and a shade from side to side."""
    matrix = torch.tensor([[1.05, 0.02, 0.0], [0.0, 0.96, 0.02], [0.03, 0.0, 0.92]])
    shade = torch.linspace(-0.03, 0.03, pixels.shape[2]).view(1, 1, -1, 1)
    return (pixels @ matrix + torch.tensor([0.01, 0.02, -0.02]) + shade).clamp(0, 1)


def error(made, wanted, alpha):
    return (made - wanted)[alpha.expand(len(made), -1, -1) > 0].abs().mean().item()


def test_colour_match_against_a_float64_reference():
    torch.manual_seed(0)
    original, edited = torch.rand(2, 20, 30, 3) * 0.5, torch.rand(2, 20, 30, 3) * 0.6 + 0.3
    ring = torch.zeros(1, 20, 30, dtype=torch.bool)
    ring[:, 4:9, 6:20] = True
    result = match_colours(edited, original, ring)
    for picture in range(2):
        for channel in range(3):
            theirs = edited[picture, :, :, channel].double()
            ours = original[picture, :, :, channel].double()
            old, new = ours[ring[0]], theirs[ring[0]]
            gain = (old.std(correction=0) + 1 / 255) / (new.std(correction=0) + 1 / 255)
            expected = ((theirs - new.mean()) * gain + old.mean()).clamp(0, 1)
            assert torch.allclose(result[picture, :, :, channel].double(), expected, atol=1e-6)


def test_colour_match_undoes_a_drift_of_the_decoder():
    torch.manual_seed(0)
    original = torch.rand(1, 64, 64, 3) * 0.6 + 0.2
    region = region_of(Box(24, 24, 16, 16), (64, 64))
    shifted = original * 0.9 + 0.06
    plain, matched = composite(original, shifted, region), composite(original, shifted, region, 0, "ring")
    assert (plain - original).abs().max() > 0.03
    assert (matched - original).abs().max() < 0.01


def test_colour_match_of_a_flat_ring_does_not_stretch_contrast():
    original = torch.full((1, 64, 64, 3), 0.5)
    region = region_of(Box(24, 24, 16, 16), (64, 64))
    edited = torch.full((1, 64, 64, 3), 0.4)
    edited[:, 28:36, 28:36] = 0.8
    result = composite(original, edited, region, 0, "ring")
    assert torch.allclose(result[0, 30, 30], torch.tensor(0.9), atol=1e-5)


def test_colour_match_without_a_ring_says_so():
    region = region_of(Box(0, 0, 16, 16), (16, 16))
    with pytest.raises(
        ValueError, match=r"colour_match needs pixels around the box.*set colour_match to none"
    ):
        composite(torch.rand(1, 16, 16, 3), torch.rand(1, 16, 16, 3), region, 0, "ring")


def test_adaptive_undoes_what_ring_cannot():
    original, alpha = scene(), mask_of(BOX)
    edited = drifted(original)
    assert error(edited, original, alpha) > 0.02
    by_ring = error(colour_match.match_ring(edited, original, alpha, CELL), original, alpha)
    assert error(match_adaptively(edited, original, alpha, CELL), original, alpha) < min(0.002, by_ring / 3)


def test_adaptive_keeps_the_object_and_corrects_its_colours():
    original, alpha = scene(), mask_of(BOX)
    wanted = original.clone()
    wanted[:, 56:72, 56:72] = torch.tensor([0.9, 0.1, 0.2])
    matched = match_adaptively(drifted(wanted), original, alpha, CELL)
    inside = mask_of(Box(56, 56, 16, 16))
    assert error(matched, wanted, inside) < 0.6 * error(drifted(wanted), wanted, inside)


def reference_slopes(causes, change, weight):
    """The fit of one picture as its definition says, by stacked least squares, in numpy."""
    design = np.column_stack([np.ones(len(causes)), causes])
    found = np.zeros((design.shape[1], change.shape[1]))
    for _ in range(colour_match.ROUNDS):
        distance = np.linalg.norm(change - design @ found, axis=1)
        scale = np.percentile(distance[weight > 0], 50, method="lower") + 1 / 255
        root = np.sqrt(weight / (1 + (distance / (2 * scale)) ** 2))[:, None]
        prior = np.eye(design.shape[1]) * scale / colour_match.USUAL_SLOPE
        prior[0] = 0
        rows = np.vstack([root * design, prior])
        aims = np.vstack([root * change, np.zeros((len(prior), change.shape[1]))])
        found = np.linalg.lstsq(rows, aims, rcond=None)[0]
    return found


def test_the_robust_fit_against_stacked_least_squares():
    random = np.random.default_rng(0)
    causes, weight = random.random((2, 61, 5)), random.random((2, 61, 1)) * (random.random((2, 61, 1)) > 0.3)
    change = causes @ random.normal(0, 0.05, (2, 5, 3)) + random.normal(0.02, 0.01, (2, 61, 3))
    change[:, :5] += 0.5
    given = (torch.from_numpy(part) for part in (causes, change, weight))
    found = colour_match.robust_slopes(*given).numpy()
    for picture in range(2):
        expected = reference_slopes(causes[picture], change[picture], weight[picture, :, 0])
        np.testing.assert_allclose(found[picture], expected, rtol=1e-5, atol=1e-7)


def test_the_fit_is_applied_to_every_pixel_by_its_own_colour_and_place():
    original = scene()
    ring = colour_match.ring_around(mask_of(BOX) > 0, 2 * CELL)
    edited = drifted(original)
    correction = colour_match.fit_drift(edited, original, ring, CELL)[0].double()
    pixels = edited[0].double()
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side).double() for side in SIZE), indexing="ij")
    design = torch.cat([torch.ones(*SIZE, 1), pixels, y[..., None], x[..., None]], dim=-1).reshape(-1, 6)
    flat = correction.reshape(-1, 3)
    slopes = torch.linalg.lstsq(design, flat).solution
    torch.testing.assert_close(design @ slopes, flat, rtol=0, atol=1e-5)
    assert slopes[5].abs().min() > 0.01  # the shade is found


def test_a_part_of_the_ring_that_shows_something_else_does_not_count():
    original, alpha = scene(), mask_of(BOX)
    edited = drifted(original)
    edited[:, 40:56, 80:96] = torch.tensor([1.0, 0.0, 1.0])
    edited[:, 24:40, 48:64] = 0
    assert error(match_adaptively(edited, original, alpha, CELL), original, alpha) < 0.01


def test_a_shift_of_the_box_alone_is_undone_at_its_edge():
    original, alpha = scene(), mask_of(BOX)
    edited = original + 0.03 * alpha.unsqueeze(-1)
    matched = match_adaptively(edited, original, alpha, CELL)
    edge = alpha - mask_of(BOX.grow(-CELL))
    assert error(matched, original, edge) < 0.012
    assert error(colour_match.match_ring(edited, original, alpha, CELL), original, edge) > 0.029


def test_what_replaces_the_original_at_the_edge_keeps_its_colours():
    original, alpha = scene(), mask_of(BOX)
    edited = original.clone()
    edited[BOX.index] = scene(1)[BOX.index].flip(-1) * torch.tensor([1.0, 0.2, 0.2])
    assert error(match_adaptively(edited, original, alpha, CELL), edited, alpha) < 0.012


def test_a_background_that_was_drawn_anew_is_not_pulled_to_the_old_one():
    original, alpha = scene(), mask_of(BOX)
    random = np.random.default_rng(2)
    texture = gaussian_filter(random.standard_normal((1, *SIZE, 3)), (0, 3, 3, 0))
    edited = original.clone()
    edited[BOX.index] += 0.08 * torch.from_numpy(texture / texture.std()).float()[BOX.index]
    assert error(original, edited, alpha) > 0.06
    assert error(match_adaptively(edited, original, alpha, CELL), edited, alpha) < 0.006


def test_surroundings_that_were_redrawn_are_not_believed():
    original, edited, alpha = scene(0), 1 - scene(1) * torch.tensor([1.0, 0.5, 0.2]), mask_of(BOX)
    assert error(match_adaptively(edited, original, alpha, CELL), edited, alpha) < 0.01


def test_a_ring_on_one_side_tells_nothing_of_the_other_side():
    original = scene()
    alpha = torch.ones(1, *SIZE)
    alpha[:, :, :16] = 0
    random = torch.Generator().manual_seed(0)
    edited = original + 0.02 + 0.02 * torch.randn(original.shape, generator=random)
    matched = match_adaptively(edited, original, alpha, CELL)
    shift = (matched - edited)[alpha > 0]
    assert (shift.mean(dim=0) + 0.02).abs().max() < 0.01
    assert shift.abs().max() < 0.06


def test_a_flat_ring_shifts_all_colours_alike():
    original = torch.full((1, *SIZE, 3), 0.4)
    edited = torch.full((1, *SIZE, 3), 0.36)
    edited[:, 56:64, 60:68] = torch.tensor([0.9, 0.1, 0.5])
    matched = match_adaptively(edited, original, mask_of(BOX), CELL)
    torch.testing.assert_close(matched[0, 60, 64], torch.tensor([0.94, 0.14, 0.54]), rtol=0, atol=0.01)


def test_adaptive_without_a_ring_leaves_the_edit():
    region = region_of(Box(0, 0, 16, 16), (16, 16))
    edited = torch.rand(2, 16, 16, 3)
    assert torch.equal(composite(torch.rand(1, 16, 16, 3), edited, region, 0, "adaptive"), edited)


def test_each_picture_is_matched_on_its_own():
    original, edited = (
        scene(batch=3),
        drifted(scene(batch=3)) * torch.tensor([1.0, 0.9, 1.1]).view(3, 1, 1, 1),
    )
    alpha = mask_of(BOX, batch=3)
    alpha[1, :, :] = 1  # one without a ring
    alpha[2] = mask_of(Box(40, 30, 60, 60))[0]
    together = match_adaptively(edited, original, alpha, CELL)
    assert torch.equal(together[1], edited[1])
    for picture in (0, 2):
        alone = [part[picture : picture + 1] for part in (edited, original, alpha)]
        wanted = match_adaptively(*alone, CELL)
        made = together[picture : picture + 1]
        assert error(made, original[picture : picture + 1], alone[2]) < 0.01
        assert error(wanted, original[picture : picture + 1], alone[2]) < 0.01


def test_two_boxes_take_their_own_drift():
    original = scene()
    left, right = Box(16, 40, 24, 24), Box(96, 40, 24, 24)
    alpha = mask_of(left, right)
    edited = original.clone()
    edited[:, :, :68] += 0.04
    edited[:, :, 68:] -= 0.04
    matched = match_adaptively(edited, original, alpha, CELL)
    for box in (left, right):
        assert error(matched, original, mask_of(box)) < 0.008


def test_the_given_tensors_stay():
    original, alpha = scene(), mask_of(BOX)
    edited = drifted(original)
    before = [part.clone() for part in (edited, original, alpha)]
    match_adaptively(edited, original, alpha, CELL)
    assert all(torch.equal(*pair) for pair in zip(before, (edited, original, alpha), strict=True))
