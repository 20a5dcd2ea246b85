"""Order and randomness of training are functions of seed and step."""

from __future__ import annotations

import pytest
import torch
from finesse.training.loop.batches import Alternating, Crops, Draw, ShuffledRows

CPU = torch.device("cpu")


def test_every_epoch_shows_every_row_once_in_a_new_order():
    rows = ShuffledRows({"x": torch.arange(10)}, batch_size=4)
    seen = torch.cat([rows(step, slice(0, 4))["x"] for step in range(5)])
    first, second = seen[:10].tolist(), seen[10:].tolist()
    assert sorted(first) == sorted(second) == list(range(10))
    assert first != second


def test_any_step_can_be_asked_for_in_any_order():
    rows = ShuffledRows({"x": torch.arange(100)}, batch_size=8)
    forward = [rows(step, slice(0, 8))["x"].tolist() for step in range(30)]
    again = ShuffledRows({"x": torch.arange(100)}, batch_size=8)
    assert [again(step, slice(0, 8))["x"].tolist() for step in reversed(range(30))] == forward[::-1]


def test_alternating_streams_lose_no_batch():
    a = ShuffledRows({"x": torch.arange(100)}, batch_size=5)
    b = ShuffledRows({"x": torch.arange(100, 200)}, batch_size=5)
    both = Alternating([a, b], (0, 0, 1))
    picked = [both(step, slice(0, 5))["x"].tolist() for step in range(30)]
    assert [row for i, row in enumerate(picked) if i % 3 < 2] == [
        a(s, slice(0, 5))["x"].tolist() for s in range(20)
    ]
    assert [row for i, row in enumerate(picked) if i % 3 == 2] == [
        b(s, slice(0, 5))["x"].tolist() for s in range(10)
    ]


def test_crops_show_an_object_and_stay_in_the_picture():
    """Pixels that tell their own place: each crop is a window of its picture, an object's centre inside."""
    row, column = torch.meshgrid(torch.arange(64), torch.arange(64), indexing="ij")
    pixels = torch.stack([row, column]).expand(40, 2, 64, 64)
    box = torch.zeros(40, 2, 4)
    box[:, 0] = torch.tensor([50.0, 4.0, 60.0, 10.0])
    box[:20, 1] = torch.tensor([20.0, 30.0, 30.0, 50.0])
    seen = torch.where(torch.arange(40)[:, None] < 20, torch.tensor([0.0, 9.0]), torch.tensor([9.0, 0.0]))
    stream = ShuffledRows({"pixels": pixels, "box": box, "seen": seen, "id": torch.arange(40)}, 10)
    crops = Crops(stream, 32, 10, seed=1)
    for step in range(8):
        cut = crops(step, slice(0, 10))["pixels"]
        assert torch.equal(
            cut[:, :, 1:, 1:] - cut[:, :, :-1, :-1], torch.ones(10, 2, 31, 31, dtype=cut.dtype)
        )
        top, left = cut[:, 0, 0, 0], cut[:, 1, 0, 0]
        second = stream(step, slice(0, 10))["id"] < 20
        assert (left[~second] >= 31).all()
        assert (top[~second] == 0).all()
        assert ((left[second] <= 17) & (left[second] >= 1)).all()
        assert ((top[second] <= 32) & (top[second] >= 16)).all()
        assert torch.equal(cut[3:7], crops(step, slice(3, 7))["pixels"])


def test_processes_draw_the_rows_of_one_global_batch():
    def draws(rows):
        draw = Draw(7, 12, rows, CPU)
        return [draw.normal(3), draw.uniform(), draw.timesteps(1000)]

    for whole, first, rest in zip(draws(slice(0, 12)), draws(slice(0, 5)), draws(slice(5, 12)), strict=True):
        assert torch.equal(whole, torch.cat([first, rest]))


def test_timesteps_are_stratified():
    drawn = Draw(1, 50, slice(0, 50), CPU).timesteps(1000)
    assert torch.equal(torch.sort(drawn // 20).values, torch.arange(50))


def test_unusable_data_is_named():
    with pytest.raises(ValueError, match=r"differ in length.*'x': 3"):
        ShuffledRows({"x": torch.zeros(3), "y": torch.zeros(4)}, batch_size=1)
    with pytest.raises(ValueError, match="empty"):
        ShuffledRows({"x": torch.zeros(0)}, batch_size=1)
