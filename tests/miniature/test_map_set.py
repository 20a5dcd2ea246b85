"""The miniature's scenes as map data sets, and its captions for them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from finesse.core.maps.palettes import COCO_STUFF
from finesse.miniature.map_set import write_shards
from finesse.miniature.world.captions import SAID_ALWAYS, plain_caption
from finesse.miniature.world.palette import MERGED, PALETTE, PLACES, natural_colours
from finesse.miniature.world.scenes import scene
from finesse.miniature.world.tensors import MAPS, crowd, map_picture
from finesse.miniature.world.things import COLOURS, ON_MAPS
from finesse.training.data.map_samples import read_maps
from finesse.training.data.samples import shards

PAINTED = [MERGED.get(label, label) for label in COCO_STUFF.labels]


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maps")
    return write_shards(folder, "train", 12, 48), folder


def test_shards_hold_exact_maps_of_the_scenes(written):
    report, folder = written
    (path,) = shards(folder / "train")
    found = list(read_maps(path, MAPS))
    assert report["pictures"]["kept"] == len(found) == 12
    assert (report["palette"], set(report["conditions"])) == ("miniature", set(MAPS))
    for seed, sample in enumerate(found):
        drawn = scene(seed, 48, count=crowd(seed), things=ON_MAPS)
        assert drawn.caption == sample.captions[0]
        labels = PALETTE.decode(np.asarray(sample.maps["segmentation"]))
        names, own = np.array(PALETTE.labels), np.array(PAINTED)
        assert (names[labels] == own[drawn.labels]).all()
        for kind in set(MAPS) - {"segmentation"}:
            assert np.array_equal(np.asarray(sample.maps[kind]), map_picture(drawn, kind).transpose(1, 2, 0))


def test_written_again_the_shards_are_the_same(written, tmp_path):
    report, folder = written
    assert json.dumps(write_shards(tmp_path, "train", 12, 48)) == json.dumps(report)
    (name,) = (shard["file"] for shard in report["shards"])
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_every_second_scene_is_crowded():
    assert [crowd(number) for number in range(12)] == [
        *(None, 4, None, 5, None, 6, None, 7, None, 8, None, 4),
    ]


def test_a_plain_caption_names_all_but_tiny_objects_and_no_colour():
    for seed in range(40):
        drawn = scene(seed, 64, count=6)
        text = plain_caption(drawn, np.random.default_rng(seed))
        assert not set(text.split()) & set(COLOURS) - {"orange"}  # a thing too
        for item in drawn.objects:
            if max(item.frame[2:]) >= SAID_ALWAYS * 64:
                assert item.name in text


def test_the_palette_has_every_label_of_the_world():
    seen = {int(label) for seed in range(300) for label in np.unique(scene(seed, 32, things=ON_MAPS).labels)}
    assert {PAINTED[label] for label in seen} <= set(PALETTE.labels)
    assert [PALETTE.labels[PLACES[label]] for label in seen] == [PAINTED[label] for label in seen]


def test_the_palettes_colours_are_near_those_of_the_things_and_far_from_one_another():
    few = natural_colours(400).astype(int)
    colours = PALETTE.table.astype(int)
    assert np.corrcoef(few.ravel(), colours.ravel())[0, 1] > 0.95
    apart = np.sqrt(((colours[:, None] - colours) ** 2).sum(-1))
    assert (apart + 999 * np.eye(len(colours))).min() > 60
