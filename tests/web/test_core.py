"""The page's logic: its own tests in Node, and that the map editor's model agrees with Python bit for bit."""

from __future__ import annotations

import hashlib
import io
import math
from base64 import b64decode

import numpy as np
import pytest
from finesse.core.maps.canvas import Canvas, stroke_mask
from finesse.core.maps.edits import apply_edits
from finesse.core.maps.objects import fill_holes_by_nearest
from finesse.core.maps.palettes import COCO_STUFF, PALETTES
from finesse.core.maps.recall import ranked
from finesse.miniature.world.scene_maps import pose
from finesse.miniature.world.scenes import scene
from finesse.tests.web.model_answers import (
    HERE,
    ask,
    label_maps,
    noise,
    received,
    received_mask,
    rng,
    run_node,
    sent,
    sent_palette,
    text,
)
from finesse.training.data.skeletons import Skeleton, draw_skeletons
from PIL import Image


def test_the_tests_in_node_pass():
    done = run_node("--test", *sorted(HERE.glob("*.test.js")))
    print(done.stdout)
    assert not done.returncode, done.stdout + done.stderr


def test_the_object_under_a_pixel_is_pythons():
    random, cases, expected = rng(1), [], []
    for labels in label_maps():
        image = COCO_STUFF.encode(labels)
        canvas = Canvas(image, COCO_STUFF)
        for _ in range(4):
            y, x = (int(random.integers(side)) for side in labels.shape)
            cases.append({"map": sent(image), "x": x, "y": y})
            expected.append(canvas.object_at(x, y))
    for answer, mask in zip(ask("region", *cases), expected, strict=True):
        assert np.array_equal(received_mask(answer, mask.shape), mask)


@pytest.mark.parametrize("tolerance", [1, 40, 255])
def test_the_object_of_similar_pixels_is_pythons(tolerance):
    image = rng(2).integers(0, 120, (40, 50, 3), np.uint8)
    places = [(0, 0), (49, 39), (20, 11)]
    answers = ask(
        "region", *({"map": sent(image), "x": x, "y": y, "tolerance": tolerance} for x, y in places)
    )
    for answer, place in zip(answers, places, strict=True):
        mask = Canvas(image).object_at(*place, tolerance)
        assert np.array_equal(received_mask(answer, mask.shape), mask)


def test_a_hole_is_filled_as_in_python():
    random, cases, expected = rng(3), [], []
    for labels in label_maps():
        blobs = noise(random, *labels.shape, 2, 5).astype(bool)
        few = random.random(labels.shape) < 0.97
        for hole in (blobs, few, labels == labels[labels.shape[0] // 2, labels.shape[1] // 2]):
            if hole.all() or not hole.any():
                continue
            # every pixel has a colour of its own, so that it shows which of equally near ones was taken
            image = np.arange(labels.size, dtype="<u4").view(np.uint8).reshape(*labels.shape, 4)[..., :3]
            cases.append({"map": sent(image), "hole": text(hole)})
            expected.append(fill_holes_by_nearest(image, hole))
    assert len(cases) > 30
    for answer, filled in zip(ask("fill", *cases), expected, strict=True):
        assert np.array_equal(received(answer), filled)


@pytest.mark.parametrize("area", [0.0, 0.003, 0.05])
def test_recall_is_pythons(area):
    names = ["tree", "grass", "sky-other", "dog", "person", "car"]
    wanted = {name: [COCO_STUFF.index(name)] for name in names}
    wanted["ground"] = [COCO_STUFF.index("grass"), COCO_STUFF.index("road"), COCO_STUFF.index("grass")]
    maps = [*(scene(seed, 64).labels for seed in range(4)), *label_maps()]
    wanted |= {f"label {label}": [label] for label in range(9)}
    asked = [{"name": name, "labels": labels} for name, labels in wanted.items()]
    answers = ask(
        "recall",
        *(
            {
                "map": sent(COCO_STUFF.encode(labels)),
                "palette": sent_palette(COCO_STUFF),
                "wanted": asked,
                "area": area,
            }
            for labels in maps
        ),
    )
    for answer, labels in zip(answers, maps, strict=True):
        (candidate,) = ranked(labels[None], wanted, area)
        assert answer == {
            "recall": candidate.recall,
            "found": list(candidate.found),
            "missing": list(candidate.missing),
        }


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
def test_snapping_takes_the_colours_that_decoding_takes(palette):
    colours = np.concatenate(
        [
            rng(4).integers(0, 256, (4000, 3), np.uint8),
            palette.table,
            # halfway between two labels, where several are equally near
            (palette.table[:-1].astype(int) + palette.table[1:]).astype(np.uint16) // 2,
        ]
    )
    image = colours.astype(np.uint8)[None]
    (answer,) = ask("snap", {"map": sent(image), "palette": sent_palette(palette)})
    assert np.array_equal(received(answer), palette.encode(palette.decode(image)))


def test_hashes_are_those_of_the_rgb_bytes():
    random = rng(5)
    messages = [random.bytes(length) for length in (0, 1, 55, 56, 63, 64, 65, 119, 120, 5000)]
    answers = ask("hash", *({"bytes": text(message)} for message in messages))
    assert answers == [[hashlib.sha256(message).hexdigest()] * 2 for message in messages]

    image = random.integers(0, 256, (13, 17, 3), np.uint8)
    assert ask("baseHash", {"map": sent(image)}) == [hashlib.sha256(image.tobytes()).hexdigest()]


def test_a_drawing_lays_on_the_base_what_was_drawn():
    random = rng(9)
    base = COCO_STUFF.encode(noise(random, 60, 80, 5, 4))
    current = base.copy()
    current[11:30, 5:61] = np.where(random.random((19, 56, 1)) < 0.5, COCO_STUFF.table[50], base[11:30, 5:61])
    drawing, nothing = ask(
        "drawing",
        {"base": sent(base), "current": sent(current)},
        {"base": sent(base), "current": sent(base)},
    )
    assert nothing is None
    assert drawing["base"] == hashlib.sha256(base.tobytes()).hexdigest()
    assert (drawing["width"], drawing["height"]) == (80, 60)

    with Image.open(io.BytesIO(b64decode(drawing["png"]))) as picture:
        patch = np.asarray(picture)
    place = base[drawing["y"] :, drawing["x"] :][: patch.shape[0], : patch.shape[1]]
    shown = patch[..., 3] == 255
    assert np.array_equal(
        shown, (place != current[drawing["y"] :, drawing["x"] :][: shown.shape[0], : shown.shape[1]]).any(-1)
    )
    place[shown] = patch[shown][:, :3]
    assert np.array_equal(base, current)


def test_strokes_are_pythons():
    random, cases = rng(10), []
    for thickness in (1, 2, 3, 4, 7, 20, 61):
        for count in (1, 2, 5):
            points = (random.random((count, 2)) * [90, 70] - 10).round(int(random.integers(3))).tolist()
            cases.append({"width": 70, "height": 50, "points": points, "thickness": thickness})
    cases.append({"width": 70, "height": 50, "points": [[3, 3], [60, 3], [60, 40], [60, 40]], "thickness": 4})
    for answer, case in zip(ask("stroke", *cases), cases, strict=True):
        mask = stroke_mask(case["points"], case["thickness"], (50, 70))
        assert np.array_equal(received_mask(answer, mask.shape), mask), case


@pytest.mark.parametrize("amount", [0.1, -0.3, 0.5 / 255, 1.5 / 255, -1])
def test_depth_moves_as_in_python(amount):
    levels = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    (answer,) = ask("depth", {"map": sent(levels), "amount": amount})
    box = {"x": 0, "y": 0, "width": 256, "height": 1}
    assert np.array_equal(
        received(answer), apply_edits(levels, [{"op": "depth", "select": {"box": box}, "add": amount}])
    )


def test_skeletons_are_drawn_as_in_python():
    random, cases, expected = rng(12), [], []
    for size in (32, 64, 200, 256):
        for _ in range(6):
            people = []
            for _ in range(int(random.integers(1, 4))):
                places = (random.random((18, 2)) * 1.2 - 0.1) * size  # some lie outside
                places = places.round(int(random.integers(4))).tolist()
                points = [None if random.random() < 0.2 else place for place in places]
                people.append((points, float(random.uniform(0.5, 1 + size / 40))))
            cases.append({"size": size, "skeletons": [{"points": p, "radius": r} for p, r in people]})
            skeletons = [Skeleton(tuple(p and tuple(p) for p in points), r) for points, r in people]
            expected.append(draw_skeletons(skeletons, size))
    for answer, drawn in zip(ask("drawPose", *cases), expected, strict=True):
        assert np.array_equal(received(answer), drawn)


@pytest.mark.parametrize(("size", "least_found"), [(128, 0.75), (256, 0.9), (512, 0.95)])
def test_the_joints_of_pose_maps_are_found_where_they_are(size, least_found):
    """In the miniature, where people are small: a fifth to a half of the map's height."""
    scenes = [scene(seed, size) for seed in range(60)]
    scenes = [drawn for drawn in scenes if any(thing.keypoints for thing in drawn.objects)][:20]
    offsets, joints = [], 0
    for answer, drawn in zip(ask("findPose", *({"map": sent(pose(s))} for s in scenes)), scenes, strict=True):
        for person in filter(None, (thing.keypoints for thing in drawn.objects)):
            joints += sum(place is not None for place in person)
            found = [_offsets(person, other["points"]) for other in answer]
            offsets += max(found, key=lambda far: sum(off < 2 for off in far), default=[])
    assert joints > 150
    assert sum(off < 2 for off in offsets) > least_found * joints
    assert sum(off >= 2 for off in offsets) < 0.05 * joints


def _offsets(places, others):
    return [math.dist(a, b) for a, b in zip(places, others, strict=True) if a and b]
