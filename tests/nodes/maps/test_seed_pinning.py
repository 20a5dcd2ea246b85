"""What *Select Seed by Recall* gives to its seed picker, and a pinned seed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from finesse.tests.nodes.maps.ranked_maps import FIVE, FRAME, coco_maps, pixels_of, place_of, rows

# What the node shows


def grid_of(found):
    """The picker's grid, and the thumbnail of each candidate in it."""
    import folder_paths
    from PIL import Image

    (grid,) = found.ui["finesse_candidates"]
    place = grid["sheet"]
    assert place["type"] == "temp"
    folder = Path(folder_paths.get_temp_directory()) / place["subfolder"]
    sheet = np.asarray(Image.open(folder / place["filename"]))
    height, width, columns = grid["height"], grid["width"], grid["columns"]
    places = [divmod(place, columns) for place in range(len(grid["candidates"]))]
    return grid, [sheet[y * height :, x * width :][:height, :width] for y, x in places]


def test_the_picker_gets_every_map_with_what_it_shows(select):
    found = select(FIVE, seeds=[70, 71, 72, 73, 2**64 - 1])
    grid, thumbnails = grid_of(found)
    assert (grid["pinned"], grid["seeded"]) == (None, True)
    first, *_, last = grid["candidates"]
    assert first == {
        "rank": 1, "seed": "73", "index": 3, "recall": 1.0, "found": ("dog", "cat"), "missing": ()
    }  # fmt: skip
    assert last["missing"] == ("dog", "cat")
    assert [candidate["seed"] for candidate in grid["candidates"]] == ["73", "71", str(2**64 - 1), "70", "72"]
    for candidate, thumbnail in zip(grid["candidates"], thumbnails, strict=True):
        assert np.array_equal(thumbnail, pixels_of(FIVE[candidate["index"]]))


def test_the_pictures_are_shown_once_and_the_table_is_told(select):
    found = select(FIVE)
    assert found.ui["text"] == (found.table,)
    assert "images" not in found.ui


@pytest.mark.parametrize("size", [(512, 300), (96, 96), (97, 60), (2, 1000)])
def test_thumbnails_are_small_and_of_the_maps_own_pixels(select, size):
    maps = torch.rand(3, *size, 3, generator=torch.Generator().manual_seed(0))
    grid, thumbnails = grid_of(select(maps, "dog, cat, grass"))
    assert max(grid["width"], grid["height"]) <= 96
    step = -(-max(size) // 96)
    for candidate, thumbnail in zip(grid["candidates"], thumbnails, strict=True):
        assert np.array_equal(thumbnail, pixels_of(maps[candidate["index"]])[::step, ::step])


def test_many_maps_come_in_one_light_file(select, tmp_path, monkeypatch):
    import folder_paths

    monkeypatch.setattr(folder_paths, "temp_directory", str(tmp_path))
    maps, _ = coco_maps(500)
    grid, thumbnails = grid_of(select(maps, "dog, cat", palette="coco-stuff", seeds=list(range(500))))
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert len(thumbnails) == 500
    assert file.stat().st_size < 100_000
    assert len(json.dumps(grid)) < 100_000


# A pinned seed


@pytest.mark.parametrize("top_k", [1, 3, 9])
def test_a_pinned_seed_comes_first_then_the_best(select, top_k):
    found = select(FIVE, seeds=[70, 71, 72, 73, 74], top_k=top_k, pinned_seed="72")
    assert (found.seed, found.index, found.recall) == (72, 2, 0.0)
    assert found.indices == [2, 3, 1, 4, 0][:top_k]
    assert found.seeds == [70 + index for index in found.indices]
    assert torch.equal(found.best, FIVE[found.indices])


@pytest.mark.parametrize("pin", ["auto", "", " Auto "])
def test_auto_takes_the_best(select, pin):
    assert select(FIVE, top_k=5, pinned_seed=pin).indices == [3, 1, 4, 0, 2]


def test_a_seed_of_64_bits_is_pinned_exactly(select):
    seeds = [2**64 - 1 - index for index in range(5)]
    found = select(FIVE, seeds=seeds, pinned_seed=str(seeds[2]))
    assert (found.seed, found.index) == (seeds[2], 2)
    assert grid_of(found)[0]["pinned"] == str(seeds[2])


def test_without_seeds_an_index_is_pinned(select):
    found = select(FIVE, pinned_seed="4")
    assert (found.seed, found.index) == (4, 4)
    grid, _ = grid_of(found)
    assert (grid["pinned"], grid["seeded"]) == ("4", False)


def test_of_several_maps_of_a_seed_the_best_is_pinned(select):
    assert select(FIVE, seeds=[7, 7, 7, 8, 8], pinned_seed="7").index == 1


def test_table_and_sheet_say_which_is_pinned_and_keep_their_order(select):
    auto, found = (select(FIVE, seeds=[70, 71, 72, 73, 74], pinned_seed=pin) for pin in ("auto", "71"))
    told = rows(found.table)
    assert {row["seed"]: row.pop("pinned") for row in told} == {
        "73": "-", "71": "yes", "74": "-", "70": "-", "72": "-"
    }  # fmt: skip
    assert told == rows(auto.table)
    assert grid_of(found)[0]["candidates"] == grid_of(auto)[0]["candidates"]
    assert not torch.equal(found.contact_sheet, auto.contact_sheet)


def test_a_pinned_map_is_framed_and_no_other(select):
    maps = torch.rand(5, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    found = select(maps, "dog, cat, grass", pinned_seed="2")
    sheet = pixels_of(found.contact_sheet[0])
    for index, tile in enumerate(pixels_of(maps).repeat(4, 1).repeat(4, 2)):
        y, x = place_of(tile, sheet)
        assert (sheet[y - 1, x : x + 256] == FRAME).all() == (index == 2)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"pinned_seed": "99", "seeds": [74, 73, 72, 71, 70]},
            r"pinned_seed is '99', which is no seed of these maps \(70, 71, 72, 73, 74\); set it to auto",
        ),
        ({"pinned_seed": "7.0", "seeds": [7] * 5}, r"pinned_seed is '7.0', which is no seed .* \(7\)"),
        ({"pinned_seed": "5"}, r"pinned_seed is '5', which is no index of these maps \(0, 1, 2, 3, 4\)"),
        (
            {"pinned_seed": "-1", "maps": FIVE.repeat(5, 1, 1, 1)},
            r"pinned_seed is '-1', .* \(0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 15 more\)",
        ),
    ],
)
def test_a_pin_of_no_map_is_named_with_what_there_is(select, inputs, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        select(**{"maps": FIVE, **inputs})
