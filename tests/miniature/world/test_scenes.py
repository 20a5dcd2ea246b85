"""The miniature world's scenes: every caption, box, mask and map agrees with the picture."""

import hashlib
import json
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from finesse.core.maps.palettes import COCO_STUFF
from finesse.miniature.world import scene_maps, sprites
from finesse.miniature.world.backgrounds import BACKGROUNDS
from finesse.miniature.world.captions import vocabulary
from finesse.miniature.world.keypoints import keypoints
from finesse.miniature.world.layout import HELD_OUT
from finesse.miniature.world.scenes import SPLITS, background_of, scene
from finesse.miniature.world.things import (
    ACTIONS,
    COLOUR_VALUES,
    COLOURABLE,
    COLOURS,
    KINDS,
    ON_MAPS,
    THINGS,
    held_out,
    object_phrase,
)
from PIL import Image, ImageFilter

MAPS = (scene_maps.depth, scene_maps.normal, scene_maps.sketch, scene_maps.pose, scene_maps.segmentation)


@pytest.fixture(scope="module")
def scenes():
    return [scene(seed) for seed in range(400)]


def fingerprint(seed, size):
    drawn = scene(seed, size)
    digest = hashlib.sha256(repr((drawn.caption, [(o.phrase, o.box) for o in drawn.objects])).encode())
    for values in (drawn.image, drawn.labels, *(draw(drawn) for draw in MAPS)):
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def test_the_world_is_rich_enough():
    assert len(THINGS) >= 48
    assert sum(len(KINDS[name].colours) >= 6 for name in COLOURABLE) >= 12
    assert len(COLOURS) >= 6
    assert len(ACTIONS) >= 5
    assert len(BACKGROUNDS) >= 6
    assert all(COCO_STUFF.index(name) for name in THINGS)
    assert len(vocabulary()) < 250


def test_another_process_draws_the_same():
    code = (
        "import json, runpy, sys; sys.path[:0] = json.loads(sys.argv[1]);"
        "print(*[runpy.run_path(sys.argv[2])['fingerprint'](s, z) for s in (0, 7) for z in (64, 128)])"
    )
    command = [sys.executable, "-c", code, json.dumps(sys.path), __file__]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    np.random.seed(3)  # global state must not matter
    assert printed == [fingerprint(seed, size) for seed in (0, 7) for size in (64, 128)]


@pytest.mark.parametrize("split", SPLITS)
def test_the_background_is_told_without_drawing(split):
    for seed in range(20):
        assert background_of(seed, split=split) == scene(seed, split=split).background


def test_both_sizes_show_the_same_composition(scenes):
    for seed, small in enumerate(scenes[:40]):
        large = scene(seed, 128)
        assert large.caption == small.caption
        assert [o.phrase for o in large.objects] == [o.phrase for o in small.objects]
        for a, b in zip(small.objects, large.objects, strict=True):
            assert np.allclose(np.array(a.frame) * 2, b.frame, atol=3)
        halved = np.asarray(Image.fromarray(large.image).reduce(2), float)
        assert np.abs(halved - small.image).mean() < 9


def test_maps_have_their_shapes(scenes):
    for drawn in scenes[:8]:
        coloured = (scene_maps.normal(drawn), scene_maps.pose(drawn), scene_maps.segmentation(drawn))
        for picture in (drawn.image, *coloured):
            assert picture.shape == (64, 64, 3)
            assert picture.dtype == np.uint8
        assert (
            scene_maps.sketch(drawn).shape == drawn.labels.shape == scene_maps.depth(drawn).shape == (64, 64)
        )
        assert scene_maps.sketch(drawn).dtype == drawn.labels.dtype == np.uint8
        assert scene_maps.depth(drawn).dtype == np.float32
        assert 0 <= scene_maps.depth(drawn).min() <= scene_maps.depth(drawn).max() <= 1


def test_boxes_masks_and_labels_agree(scenes):
    for drawn in scenes:
        assert np.sum([o.mask for o in drawn.objects], 0).max() <= 1, "masks overlap"
        for o in drawn.objects:
            rows, columns = np.nonzero(o.mask)
            x, y, width, height = o.box
            assert (x, y) == (columns.min(), rows.min())
            assert (x + width - 1, y + height - 1) == (columns.max(), rows.max())
            assert (drawn.labels[o.mask] == COCO_STUFF.index(o.name)).all()
        covered = np.any([o.mask for o in drawn.objects], 0)
        assert not np.isin(drawn.labels[~covered], [COCO_STUFF.index(name) for name in THINGS]).any()
        assert np.array_equal(COCO_STUFF.decode(scene_maps.segmentation(drawn)), drawn.labels)


def test_objects_stay_visible_and_nearer_ones_come_later(scenes):
    for drawn in scenes:
        assert [o.depth for o in drawn.objects] == sorted(o.depth for o in drawn.objects)
        for o in drawn.objects:
            _, alpha = sprites.picture(o.sprite.index, o.colour, *o.frame[2:], o.flipped)
            assert o.mask.sum() >= 0.7 * (alpha >= min(0.5, 0.9 * alpha.max())).sum(), o.phrase


def test_sizes_and_counts_cover_their_ranges(scenes):
    sides = np.array([max(o.frame[2:]) / 64 for drawn in scenes for o in drawn.objects])
    assert sides.min() == 1 / 16
    assert 0.45 < sides.max() <= 0.5
    assert (np.histogram(np.log2(sides), bins=[-4, -3.5, -3, -2.5, -2, -1.5, -1])[0] > 20).all()
    assert {len(drawn.objects) for drawn in scenes} == set(range(1, 9))
    assert {drawn.background for drawn in scenes} == set(BACKGROUNDS)
    assert all(len(scene(seed, count=count).objects) == count for seed in range(5) for count in range(1, 9))


def split_caption(text):
    """The phrases of a caption, and the relation between its two objects if it tells one."""
    text = re.sub(
        r" (on grass|on the beach|in the snow|at night|in a (forest|room)|on a (street|table))$", "", text
    )
    related = re.fullmatch(r"(.+) (left of|right of|above|below|in front of) (.+)", text)
    if related:
        return [related[1], related[3]], related[2]
    return re.split(r", | and ", text), None


def test_captions_are_true(scenes):
    told = 0
    for drawn in scenes:
        phrases, relation = split_caption(drawn.caption)
        known = {
            object_phrase(o.name, colour, o.action): o for o in drawn.objects for colour in (o.colour, None)
        }
        assert set(phrases) <= set(known), drawn.caption
        assert set(drawn.caption.replace(",", " ,").split()) <= set(vocabulary())
        for o in drawn.objects:
            assert max(o.frame[2:]) < 7 or o in [known[phrase] for phrase in phrases], drawn.caption
        if relation:
            told += 1
            first, second = (known[phrase] for phrase in phrases)
            (ax, ay), (bx, by) = ((o.box[0] + o.box[2] / 2, o.box[1] + o.box[3] / 2) for o in (first, second))
            assert {
                "left of": ax < bx - 3,
                "right of": ax > bx + 3,
                "above": ay < by - 3,
                "below": ay > by + 3,
                "in front of": first.depth > second.depth,
            }[relation], drawn.caption
    assert told > 20


def test_phrases_have_the_right_article():
    assert object_phrase("car", "red") == "a red car"
    assert object_phrase("apple") == "an apple"
    assert object_phrase("apple", "green") == "a green apple"
    assert object_phrase("person", None, "dancing") == "a dancing person"
    assert object_phrase("scissors", "blue") == "blue scissors"


def test_held_out_combinations_are_shown_only_where_asked():
    assert 0.02 < len(HELD_OUT) / sum(8 * len(KINDS[name].colours or (None,)) for name in THINGS) < 0.04
    for split in SPLITS:
        for seed in range(300):
            drawn = scene(seed, split=split)
            seen = [held_out(o.name, o.colour, drawn.background) for o in drawn.objects]
            assert any(seen) == (split == "held_out")


@pytest.mark.parametrize("split", ["train", "held_out"])
def test_a_scene_shows_the_things_asked_for_and_by_default_all(split):
    few = ON_MAPS[:9]
    shown = [scene(seed, 32, count=4, split=split, things=few) for seed in range(40)]
    assert {item.name for drawn in shown for item in drawn.objects} == set(few)
    for drawn in shown[:5]:
        assert any(held_out(o.name, o.colour, drawn.background) for o in drawn.objects) == (
            split == "held_out"
        )
    assert {o.name for seed in range(400) for o in scene(seed, 32, count=8).objects} == set(THINGS)


def test_splits_share_no_scene():
    pictures = {scene(seed, 32, split=split).image.tobytes() for split in SPLITS for seed in range(50)}
    assert len(pictures) == 50 * len(SPLITS)


def test_painted_things_have_the_colour_they_are_named_after():
    values = np.array([COLOUR_VALUES[colour] for colour in COLOURS], float)
    for name in COLOURABLE:
        sprite = sprites.sprites_of(name)[0]
        others = [np.asarray(sprites.painted(sprite.index, c), float) for c in KINDS[name].colours]
        changing = (np.ptp(others, 0).max(-1) > 60) & (others[0][..., 3] > 200)
        for colour, pixels in zip(KINDS[name].colours, others, strict=True):
            median = np.median(pixels[changing][:, :3], 0)
            assert COLOURS[np.abs(values - median).sum(1).argmin()] == colour, name


def test_skeletons_lie_on_their_people():
    for sprite in sprites.sprites_of("person"):
        *_, width, height = sprite.rect
        for flipped in (False, True):
            _, alpha = sprites.picture(sprite.index, None, width, height, flipped)
            near = np.asarray(Image.fromarray(np.uint8(alpha[..., 0] * 255)).filter(ImageFilter.MaxFilter(5)))
            points = keypoints(sprite.action, sprite.variant, (0, 0, width, height), flipped)
            assert len(points) == 18
            assert all(near[int(y), int(x)] > 128 for x, y in filter(None, points)), sprite
    right, left = (keypoints("running", "light man", (0, 0, 100, 100), flipped) for flipped in (True, False))
    assert right[2] == (100 - left[5][0], left[5][1])


def test_poses_are_drawn_for_people_only(scenes):
    for drawn in scenes[:60]:
        people = [o for o in drawn.objects if o.name == "person"]
        assert scene_maps.pose(drawn).any() == bool(people)
        assert all((o.keypoints is None) == (o.name != "person") for o in drawn.objects)


def test_normals_are_unit_vectors_and_sketches_draw_outlines(scenes):
    for drawn in scenes[:20]:
        lengths = np.linalg.norm(scene_maps.normal(drawn) / 127.5 - 1, axis=-1)
        assert np.allclose(lengths, 1, atol=0.02)
        steps = drawn.labels[:, 1:] != drawn.labels[:, :-1]
        assert (scene_maps.sketch(drawn)[:, 1:][steps] == 255).all()


def test_the_atlas_matches_its_index():
    with Image.open(sprites.FOLDER / "atlas.png") as image:
        alpha = np.asarray(image.getchannel("A"))
    owners = np.zeros_like(alpha)
    for sprite in sprites.sprites():
        x, y, width, height = sprite.rect
        assert max(width, height) == 96
        inside = alpha[y : y + height, x : x + width]
        assert inside.shape == (height, width)
        assert all(edge.max() > 8 for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1])), sprite
        owners[y : y + height, x : x + width] += 1
    assert owners.max() == 1
    assert not alpha[owners == 0].any()
    assert {sprite.name for sprite in sprites.sprites()} == set(THINGS)
    assert {sprite.action for sprite in sprites.sprites_of("person")} == set(ACTIONS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "split: got 'dev'; use one of train"),
        ({"count": 9}, "count: got 9; use 1 to 8"),
        ({"count": 0}, "count: got 0"),
        ({"size": 8}, "size: got 8; use at least 16"),
        ({"seed": -1}, "seed: got -1"),
        ({"things": ["cow", "dog"]}, "things: got cow, dog; give at least 8"),
    ],
)
def test_bad_arguments_are_explained(arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        scene(**{"seed": 0, **arguments})


def test_scenes_are_drawn_fast():
    for size in (64, 128):
        for seed in range(200):
            scene(seed, size)
        start = time.process_time()
        for seed in range(200, 500):
            scene(seed, size)
        milliseconds = (time.process_time() - start) / 300 * 1000
        print(f"{milliseconds:.2f} ms per scene of {size} pixels")
        assert milliseconds < 10  # far above what is usual, for slow machines
