"""SOEDiff's losses against formulas written out in float64."""

from __future__ import annotations

import math

import pytest
import torch
from finesse.core.small_objects.losses import (
    cross_scale_loss,
    cut,
    denoise_loss,
    pseudo_huber,
    seen_from,
    windows,
)

H = 1e-3


def huber(d):
    return math.sqrt(d * d + H * H) - H


@pytest.fixture
def random():
    torch.manual_seed(0)


def test_pseudo_huber_in_float64():
    values = torch.tensor([0.0, 1e-4, -2e-3, 0.7, -30.0], dtype=torch.float64)
    expected = torch.tensor([huber(v) for v in values.tolist()], dtype=torch.float64)
    torch.testing.assert_close(pseudo_huber(values), expected, rtol=1e-12, atol=1e-15)
    torch.testing.assert_close(pseudo_huber(values.float()).double(), expected, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize("by_area", [True, False])
def test_denoise_loss_in_float64(random, by_area):
    predicted, noise = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64).unbind()
    mask = torch.zeros(3, 1, 5, 6, dtype=torch.float64)
    mask[0, 0, 1:3, 2:5] = 1
    mask[1] = 1
    found = denoise_loss(predicted, noise, mask, by_area=by_area)
    for row, area in enumerate((6, 30, 0)):
        cells = mask[row, 0].nonzero().tolist()
        total = sum(
            huber((predicted[row, c, y, x] - noise[row, c, y, x]).item()) for y, x in cells for c in range(4)
        )
        expected = total / (4 * max(area, 1)) if by_area else total / (4 * 30)
        assert found[row].item() == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_a_small_box_pulls_as_hard_as_a_large_one():
    predicted = torch.zeros(2, 4, 16, 16, requires_grad=True)
    mask = torch.zeros(2, 1, 16, 16)
    mask[0, :, :2, :2] = 1
    mask[1, :, :8, :8] = 1
    denoise_loss(predicted, torch.ones(2, 4, 16, 16), mask).sum().backward()
    pulls = predicted.grad.sum(dim=(1, 2, 3))
    assert pulls[0].item() == pytest.approx(pulls[1].item(), rel=1e-4)
    assert predicted.grad[0, :, 3:].abs().sum() == 0


def test_a_box_of_whole_cells_is_cut_exactly(random):
    latent = torch.randn(2, 4, 8, 10, dtype=torch.float64)
    box = torch.tensor([[2.0, 3.0, 6.0, 7.0], [0.0, 0.0, 4.0, 4.0]], dtype=torch.float64)
    found = cut(latent, box, 4)
    torch.testing.assert_close(found[0], latent[0, :, 3:7, 2:6])
    torch.testing.assert_close(found[1], latent[1, :, 0:4, 0:4])


def test_cross_scale_loss_sees_nothing_but_the_boxes(random):
    """What the student should draw in 2x2 cells, the teacher shows in 4x4: alike, and beside it anything."""
    ramp = torch.linspace(0, 1, 16, dtype=torch.float64)
    teacher = torch.randn(1, 4, 16, 16, dtype=torch.float64)
    student = torch.randn(1, 4, 16, 16, dtype=torch.float64)
    teacher[:, :, 4:12, 4:12] = ramp[:8]
    small = (ramp[0:8:2] + ramp[1:8:2]) / 2  # the same ramp, at half the size
    student[:, :, 6:10, 6:10] = small
    student_box = torch.tensor([[6.5, 6.5, 9.5, 9.5]], dtype=torch.float64)
    teacher_box = torch.tensor([[5.0, 5.0, 11.0, 11.0]], dtype=torch.float64)
    assert cross_scale_loss(student, teacher, student_box, teacher_box, 6).item() < 1e-9
    shifted = cross_scale_loss(student + 0.5, teacher, student_box, teacher_box, 6).item()
    assert shifted == pytest.approx(huber(0.5), rel=1e-6)


def test_windows_stay_in_the_picture_and_keep_their_box():
    boxes = torch.tensor([[30.0, 30, 34, 34], [0, 0, 4, 4], [60, 60, 64, 64], [0, 10, 40, 20]])
    found = windows(boxes, 64, 32)
    expected = [[16, 16, 48, 48], [0, 0, 32, 32], [32, 32, 64, 64], [0, 0, 40, 40]]
    assert found.tolist() == expected
    assert seen_from(found, boxes, 64)[0].tolist() == [28, 28, 36, 36]
    assert seen_from(found, boxes, 64)[2].tolist() == [56, 56, 64, 64]
