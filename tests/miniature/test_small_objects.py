"""The miniature's small objects as the training scripts' data."""

from __future__ import annotations

import pytest
import torch
from finesse.core.files import read_json
from finesse.miniature.data import load_scenes
from finesse.miniature.scenes import COLOURS, THINGS
from finesse.miniature.small_objects import SIDES, write_samples
from finesse.training.data.samples import read_shard, shards


@pytest.mark.parametrize("split", SIDES)
def test_every_small_object_is_written_with_its_label_and_colour(tmp_path, split):
    counts = write_samples(tmp_path, tmp_path / "cache", split, 40, 64)
    scenes = load_scenes(tmp_path / "cache", split, 40, 64)
    extent = (scenes["box"][..., 2:] - scenes["box"][..., :2]).amax(dim=-1) / 64
    low, high = SIDES[split]
    wanted = {
        (row, THINGS[scenes["thing"][row, i]], tuple(scenes["box"][row, i].tolist()))
        for row, i in ((extent >= low) & (extent <= high)).nonzero().tolist()
        if scenes["thing"][row, i] >= 0
    }
    found = set()
    for sample in (s for path in shards(tmp_path / split) for s in read_shard(path)):
        row = int(sample.record.id)
        pixels = torch.tensor(list(sample.picture.tobytes())).view(64, 64, 3).permute(2, 0, 1)
        assert (pixels - scenes["pixels"][row]).abs().float().mean() < 2
        for thing in sample.record.objects:
            found.add((row, thing.label, tuple(64 * side for side in thing.box)))
            assert thing.colour is None or thing.colour in COLOURS
    assert found == wanted
    assert len(wanted) == counts["objects"] == read_json(tmp_path / f"{split}.json")["objects"] > 10
