"""The holes the twin learns from, and what it is shown of them."""

from __future__ import annotations

import pytest
import torch
from finesse.miniature.model import networks
from finesse.miniature.model.inpainting_examples import SMALLEST_OBJECT, _hole, around_objects
from finesse.miniature.model.judges import CROP, crop
from finesse.miniature.world.backgrounds import PLACES
from finesse.miniature.world.tensors import caption_text, load_scenes
from finesse.miniature.world.things import THINGS
from finesse.training.models.inpainting import condition, draw_masks


def drawn(scenes, objects):
    """A hole a scene, and its text."""
    generator = torch.Generator().manual_seed(0)
    rows = range(len(scenes["pixels"]))
    return zip(*(_hole(scenes, row, generator, objects) for row in rows), strict=True)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return load_scenes(tmp_path_factory.mktemp("cache"), "train", 300, 64)


def test_holes_are_never_small(scenes):
    holes, texts = drawn(scenes, 0.5)
    sides = torch.stack([(hole[2:] - hole[:2]).amax() for hole in holes]) / 64
    assert sides.min() >= SMALLEST_OBJECT
    assert sum(text.removeprefix("a ").split()[-1] in THINGS for text in texts) > 0.2 * 300


def test_a_hole_without_objects_is_told_by_its_place(scenes):
    places = {place.phrase.split(maxsplit=1)[1] for place in PLACES.values()}
    alone = 0
    for row, (hole, text) in enumerate(zip(*drawn(scenes, 0.0), strict=True)):
        box = scenes["box"][row][scenes["thing"][row] >= 0]
        shared = torch.minimum(box[:, 2:], hole[2:]) - torch.maximum(box[:, :2], hole[:2])
        free = not (shared > 0).all(dim=1).any()
        assert free == (text in places), text
        alone += free
    assert 20 < alone < 280


def test_windows_show_their_object_at_its_size(scenes):
    near = around_objects(scenes, seed=0)
    assert near["pixels"].shape[1:] == (3, 32, 32)
    box = near["box"][:, 0]
    assert box.min() >= 0
    assert box.max() <= 32
    assert (box[:, 2:] - box[:, :2]).amax(dim=1).min() >= SMALLEST_OBJECT * 64
    texts = [caption_text(row) for row in near["caption"]]
    things = [THINGS[i] for i in near["thing"][:, 0].tolist()]
    assert all(thing in text for thing, text in zip(things, texts, strict=True))
    extent = (scenes["box"][..., 2:] - scenes["box"][..., :2]).amax(dim=-1)
    fits = (scenes["thing"] >= 0) & (extent >= SMALLEST_OBJECT * 64) & (extent <= 0.9 * 32)
    for row, (i, j) in enumerate(fits.nonzero().tolist()):
        x, y = (scenes["box"][i, j, :2] - box[row, :2]).int().tolist()
        assert torch.equal(near["pixels"][row], scenes["pixels"][i, :, y : y + 32, x : x + 32])


def test_masks_cover_exactly_their_boxes():
    mask = draw_masks(torch.tensor([[8.0, 16.0, 24.0, 20.0]]), 64)
    assert mask.shape == (1, 1, 64, 64)
    assert mask.sum() == 16 * 4
    assert mask[0, 0, 16:20, 8:24].all()


def test_the_masked_latent_does_not_see_the_hole():
    vae = networks.build_vae(64).eval()
    mask = draw_masks(torch.tensor([[16.0, 16.0, 48.0, 48.0]]), 64)
    pixels = torch.rand(1, 3, 64, 64)
    other = torch.where(mask > 0, torch.rand(1, 3, 64, 64), pixels)
    first, second = (condition(vae, p, mask) for p in (pixels, other))
    assert torch.equal(first, second)
    assert torch.equal(first[:, :1].bool()[..., 4:12, 4:12], torch.ones(1, 1, 8, 8, dtype=torch.bool))
    assert first[:, :1].sum() == 64


def test_a_crop_shows_its_box_with_a_margin():
    pixels = torch.zeros(1, 3, 64, 64)
    pixels[:, 0, 16:32, 20:36] = 1.0
    shown = crop(pixels, torch.tensor([[20.0, 16.0, 36.0, 32.0]]))
    assert shown.shape == (1, 3, CROP, CROP)
    margin = round(0.15 / 1.3 * CROP)
    inside = shown[0, 0, margin + 1 : -margin - 1, margin + 1 : -margin - 1]
    assert inside.min() > 0.999
    assert shown[0, 0, 0].max() == 0.0
