"""*Select Seed by Recall* in this process, on ComfyUI's own modules."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from finesse.core.maps.palettes import COCO_STUFF, PALETTES
from finesse.core.maps.prompt_objects import labels_from, shown_by
from finesse.core.maps.recall import ranked
from finesse.tests.nodes.maps.ranked_maps import FIVE, FRAME, coco_maps, pixels_of, place_of, rows
from finesse.tests.nodes.maps.running import painted, solid

# The ranking


def test_the_best_map_comes_with_its_seed(select):
    found = select(FIVE, seeds=[70, 71, 72, 73, 74])
    assert (found.seed, found.index, found.recall) == (73, 3, 1.0)
    assert (found.seeds, found.indices) == ([73], [3])
    assert torch.equal(found.best, FIVE[3:4])


def test_the_table_tells_of_every_map(select):
    table = select(FIVE, seeds=[70, 71, 72, 73, 2**64 - 1]).table
    assert rows(table) == [
        dict(zip(("rank", "seed", "index", "recall", "found", "missing"), row, strict=True))
        for row in [
            ("1", "73", "3", "100%", "dog, cat", "-"),
            ("2", "71", "1", "100%", "dog, cat", "-"),
            ("3", str(2**64 - 1), "4", "50%", "dog", "cat"),
            ("4", "70", "0", "50%", "dog", "cat"),
            ("5", "72", "2", "0%", "-", "dog, cat"),
        ]
    ]
    bars = {tuple(match.start() for match in re.finditer(r"\|", line)) for line in table.splitlines()}
    assert len(bars) == 1


def test_ties_go_by_area_then_by_seed(select):
    same = FIVE[[1, 3, 1, 3]]
    assert select(same, seeds=[1, 9, 0, 8], top_k=4).seeds == [8, 9, 0, 1]


@pytest.mark.parametrize("top_k", [1, 3, 5, 9])
def test_top_k_maps_the_best_first_and_no_more_than_there_are(select, top_k):
    found = select(FIVE, seeds=[70, 71, 72, 73, 74], top_k=top_k)
    assert found.indices == [3, 1, 4, 0, 2][:top_k]
    assert found.seeds == [70 + index for index in found.indices]
    assert torch.equal(found.best, FIVE[found.indices])


def test_without_seeds_the_maps_go_by_their_index(select):
    found = select(FIVE, top_k=2)
    assert (found.seed, found.seeds) == (3, [3, 1])
    assert "seed" not in rows(found.table)[0]


def test_minimal_area_decides_what_is_shown(select):
    assert select(FIVE, minimal_area=0.1, seeds=[0, 1, 2, 3, 4]).recall == 1.0
    assert rows(select(FIVE, minimal_area=0.2).table)[1]["found"] == "dog"
    assert select(FIVE, minimal_area=0.9).recall == 0.0


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_numbers_are_those_of_core_also_of_noisy_maps(select, noise):
    maps, labels = coco_maps(7, noise)
    objects = "dog, cat, person, wall, table, zebra"
    wanted = shown_by(labels_from(objects, COCO_STUFF), COCO_STUFF)
    expected = ranked(labels, wanted, 0.003, range(40, 47))
    found = select(maps, objects, palette="coco-stuff", seeds=list(range(40, 47)), top_k=7)
    assert found.seeds == [candidate.seed for candidate in expected]
    assert found.recall == expected[0].recall
    for row, candidate in zip(rows(found.table), expected, strict=True):
        assert row["recall"] == f"{candidate.recall:.0%}"
        assert row["found"] == (", ".join(candidate.found) or "-")
        assert row["missing"] == (", ".join(candidate.missing) or "-")


@pytest.mark.parametrize("seed", range(5))
def test_permuted_maps_give_the_same_result_permuted(select, seed):
    maps, _ = coco_maps(6, noise=0.02, seed=seed)
    order = torch.randperm(6, generator=torch.Generator().manual_seed(seed))
    inputs = {"objects": "dog, cat, person, grass", "palette": "coco-stuff", "top_k": 6}
    before = select(maps, seeds=list(range(6)), **inputs)
    after = select(maps[order], seeds=order.tolist(), **inputs)
    assert after.seeds == before.seeds
    assert [order[index] for index in after.indices] == before.indices
    assert torch.equal(after.best, before.best)
    assert torch.equal(after.contact_sheet, before.contact_sheet)


def test_every_built_in_palette_is_read(select):
    for name, palette in PALETTES.items():
        maps = torch.tensor(palette.encode(np.array([[[0, 1]], [[1, 2]]])) / 255).float()
        assert select(solid(maps), palette.labels[2], palette=name, seeds=[5, 6]).seed == 6


def test_alpha_is_not_read_but_kept(select):
    maps = torch.cat([FIVE, torch.rand(*FIVE.shape[:3], 1)], dim=-1)
    found = select(maps)
    assert found.index == 3
    assert torch.equal(found.best, maps[3:4])


def test_values_past_the_range_are_clipped(select):
    assert select(FIVE * 1.5 - 0.1).table == select(FIVE).table


# The contact sheet


@pytest.mark.parametrize(
    ("size", "factor", "step"),
    [((64, 64), 4, 1), ((40, 100), 2, 1), ((256, 256), 1, 1), ((512, 300), 1, 2), ((9, 7), 23, 1)],
)
def test_each_map_stands_in_the_sheet_pixel_by_pixel_the_best_first(select, size, factor, step):
    maps = torch.rand(7, *size, 3, generator=torch.Generator().manual_seed(0))
    found = select(maps, "dog, cat, grass", top_k=7)
    sheet = pixels_of(found.contact_sheet[0])
    assert found.contact_sheet.shape[0] == 1
    tiles = pixels_of(maps).repeat(factor, 1).repeat(factor, 2)[:, ::step, ::step]
    places = [place_of(tiles[index], sheet) for index in found.indices]
    assert places == sorted(places)
    assert len({y for y, _ in places}) == len({y for y, x in places if x == places[0][1]})
    assert max(tiles.shape[1:3]) >= 128


@pytest.mark.parametrize("top_k", [1, 2])
def test_the_best_maps_are_framed_and_no_others(select, top_k):
    maps = torch.rand(5, 64, 64, 3, generator=torch.Generator().manual_seed(0))
    found = select(maps, "dog, cat, grass", top_k=5, seeds=[1, 2, 3, 4, 5])
    sheet = pixels_of(select(maps, "dog, cat, grass", top_k=top_k, seeds=[1, 2, 3, 4, 5]).contact_sheet[0])
    tiles = pixels_of(maps).repeat(4, 1).repeat(4, 2)
    for rank, index in enumerate(found.indices):
        y, x = place_of(tiles[index], sheet)
        ring = [sheet[y - 1, x : x + 256], sheet[y + 256, x : x + 256]]
        ring += [sheet[y : y + 256, x - 1], sheet[y : y + 256, x + 256]]
        framed = [(line == FRAME).all() for line in ring]
        assert framed == [rank < top_k] * 4


def test_captions_tell_maps_apart_and_stay_inside_the_sheet(select):
    map_, label = painted("dg gg"), "a very long label " * 10
    palette = {"palette": "custom", "custom_palette": f'{{"dog": "#ff0000", "{label}": "#00ff00"}}'}
    sheets = {
        missing: pixels_of(select(map_, missing, seeds=[2**64 - 1], **palette).contact_sheet[0])
        for missing in ("dog", label, f"dog, {label}")
    }
    assert len({sheet.tobytes() for sheet in sheets.values()}) == 3
    for sheet in sheets.values():
        assert (sheet[:, -8:] == sheet[0, 0]).all()
        assert (sheet[-8:] == sheet[0, 0]).all()


def test_a_single_map_and_many_make_a_sheet(select):
    one, many = select(FIVE[:1]).contact_sheet, select(FIVE.repeat(13, 1, 1, 1)).contact_sheet
    assert many.shape[1] > one.shape[1]
    assert many.shape[2] > one.shape[2]
    assert one.dtype == torch.float32
    assert 0 <= float(one.min()) < float(one.max()) <= 1


def test_of_very_many_maps_the_best_and_the_pinned_one_are_in_the_sheet(select):
    few = torch.rand(100, 8, 8, 3, generator=torch.Generator().manual_seed(0))
    maps = torch.cat([few, torch.zeros(500, 8, 8, 3)])
    maps[-1] = torch.rand(8, 8, 3, generator=torch.Generator().manual_seed(1))
    many = select(maps, "dog, cat, grass", pinned_seed="599")
    alone = select(few, "dog, cat, grass")
    assert many.contact_sheet.numel() < 1.1 * alone.contact_sheet.numel()
    tiles, sheet = pixels_of(maps).repeat(25, 1).repeat(25, 2), pixels_of(many.contact_sheet[0])
    ranked = [int(row["index"]) for row in rows(many.table)]
    for index in (ranked[0], ranked[98], 599):
        place_of(tiles[index], sheet)
    with pytest.raises(AssertionError):
        place_of(tiles[ranked[99]], sheet)


# Bad input


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"objects": ""}, "objects is '', so there is nothing to rank by; link Objects from Prompt"),
        ({"objects": " , "}, "objects is ' , '"),
        ({"objects": "dog, zebra"}, "objects: the palette custom has no 'zebra'"),
        ({"seeds": [1, 2]}, "seeds: got 2 for 5 maps; give one seed for each map"),
        ({"seeds": list(range(6))}, "seeds: got 6 for 5 maps"),
        ({"seeds": 7}, "seeds must be a list of whole numbers, got 7"),
        ({"seeds": "1, 2"}, "seeds must be a list of whole numbers, got '1, 2'"),
        ({"seeds": [1, 2, 3, 4, 5.5]}, "seeds holds 5.5, which is no whole number"),
        ({"seeds": [1, 2, 3, 4, True]}, "seeds holds True"),
        ({"top_k": 0}, "top_k is 0; ask for 1 map at least"),
        ({"minimal_area": 1.5}, "minimal_area: got 1.5"),
        ({"minimal_area": float("nan")}, "minimal_area: got nan"),
        ({"custom_palette": "{"}, "custom_palette: '{' is not JSON"),
        ({"maps": torch.zeros(2, 4, 4)}, r"maps must be pictures .* got \(2, 4, 4\)"),
        ({"maps": torch.zeros(0, 4, 4, 3)}, r"maps must be pictures"),
        ({"maps": torch.full((1, 4, 4, 3), torch.nan)}, "maps holds 48 values that are NaN"),
    ],
)
def test_what_is_wrong_is_named(select, inputs, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        select(**{"maps": FIVE, **inputs})


def test_seeds_may_be_numpy_integers_or_a_tuple(select):
    for seeds in (tuple(range(5)), list(np.arange(5)), list(np.arange(5, dtype=np.uint64))):
        assert select(FIVE, seeds=seeds).seeds == [3]
