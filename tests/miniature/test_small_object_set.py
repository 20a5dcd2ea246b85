"""The miniature's small objects as the training scripts' data."""

from __future__ import annotations

import pytest
import torch
from finesse.core.files import read_json
from finesse.miniature.small_object_set import SIDES, write_samples
from finesse.miniature.world.tensors import load_scenes
from finesse.miniature.world.things import COLOURS, THINGS
from finesse.training.data.samples import read_shard, shards
from finesse.training.models.inpainting import snapped


@pytest.mark.parametrize("split", SIDES)
def test_every_small_object_is_written_with_its_label_and_colour(tmp_path, split):
    counts = write_samples(tmp_path, tmp_path / "cache", split, 40, 64)
    scenes = load_scenes(tmp_path / "cache", split, 40, 64)
    extent = (scenes["box"][..., 2:] - scenes["box"][..., :2]).amax(dim=-1) / 64
    low, high = SIDES[split]
    wanted = {
        (f"{row:06}-{i}", THINGS[scenes["thing"][row, i]])
        for row, i in ((extent >= low) & (extent <= high)).nonzero().tolist()
        if scenes["thing"][row, i] >= 0
    }
    found = set()
    for sample in (s for path in shards(tmp_path / split) for s in read_shard(path)):
        row, place = map(int, sample.record.id.split("-"))
        (thing,) = sample.record.objects
        box, given = 64 * torch.tensor(thing.box), scenes["box"][row, place]
        pixels = torch.tensor(list(sample.picture.tobytes())).view(64, 64, 3).permute(2, 0, 1)
        inside, original = (
            image[:, int(t) : int(b), int(x) : int(r)]
            for image, (x, t, r, b) in ((pixels, box), (scenes["pixels"][row], given))
        )
        assert (inside - original).abs().float().mean() < 2
        assert torch.equal(box[2:] - box[:2], given[2:] - given[:2])
        assert (box - given).abs().max() < 4
        assert thing.colour is None or thing.colour in COLOURS
        found.add((sample.record.id, thing.label))
        grown = snapped(box[None], 4)[0]
        assert ((box - grown).abs() < 3).all()  # never more than half a cell on one side
    assert found == wanted
    assert len(wanted) == counts["objects"] == read_json(tmp_path / f"{split}.json")["objects"] > 10
