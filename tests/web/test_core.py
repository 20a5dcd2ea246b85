"""The page's logic: its own tests in Node, and what of the map editor's model must agree with Python.

Recall, snapping and hashes must agree bit for bit. A drawing travels as pixels; that an edit by hand gives
what the same JSON edit gives puts all that edits are made of to the test, on real maps.
"""

from __future__ import annotations

import hashlib
import io
import math
from base64 import b64decode

import numpy as np
import pytest
from finesse.core.maps.edits import apply_edits
from finesse.core.maps.objects import objects_of
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
    rng,
    run_node,
    sent,
    sent_palette,
    text,
)
from PIL import Image


def test_the_tests_in_node_pass():
    done = run_node("--test", *sorted(HERE.glob("*.test.js")))
    print(done.stdout)
    assert not done.returncode, done.stdout + done.stderr


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


EDITS = {
    "move": (["move", 9, -5], {"op": "move", "dx": 9, "dy": -5}),
    "scale": (["scale", 1.7, 0.6], {"op": "scale", "fx": 1.7, "fy": 0.6}),
    "grow": (["scale", 4], {"op": "scale", "factor": 4}),
    "rotate": (["rotate", 37], {"op": "rotate", "degrees": 37}),
    "quarter": (["rotate", -90], {"op": "rotate", "degrees": -90}),
    "mirror": (["flip", "horizontal"], {"op": "flip", "direction": "horizontal"}),
    "turn over": (["flip", "vertical"], {"op": "flip", "direction": "vertical"}),
    "duplicate": (["duplicate", -8, 3], {"op": "duplicate", "dx": -8, "dy": 3}),
    "delete": (["delete"], {"op": "delete"}),
    "recolour": (["recolour", 0xFF0000C0], {"op": "recolour", "to": [192, 0, 0]}),
}


@pytest.mark.parametrize(("ours", "json_edit"), EDITS.values(), ids=EDITS)
def test_what_is_done_by_hand_is_what_the_json_edit_does(ours, json_edit):
    cases, expected = [], []
    for seed in range(6):
        labels = scene(seed, 64).labels
        image = COCO_STUFF.encode(labels)
        for thing in scene(seed, 64).objects:
            y, x = (int(places[len(places) // 2]) for places in np.nonzero(labels == labels[thing.mask][0]))
            cases.append({"map": sent(image), "x": x, "y": y, "edit": ours})
            expected.append(apply_edits(image, [{**json_edit, "select": {"point": [x, y]}}], COCO_STUFF))
    assert len(cases) > 6
    cases = [case | {"palette": sent_palette(COCO_STUFF)} for case in cases]
    for answer, edited in zip(ask("edit", *cases), expected, strict=True):
        assert np.array_equal(received(answer), edited)


def with_crumbs(random, labels):
    """A map with regions of one to six pixels sprinkled over it, most where labels meet."""
    crumbed = labels.copy()
    edges = np.argwhere(np.diff(labels, axis=0, append=labels[-1:]) != 0)
    for y, x in random.permutation(edges)[: len(edges) // 2]:
        height, width = random.integers(1, 4, 2)
        crumbed[y : y + height, x : x + width] = random.integers(9)
    return np.where(random.random(labels.shape) < 0.01, 9, crumbed).astype(np.uint8)


@pytest.mark.parametrize("palette", [COCO_STUFF, None], ids=["palette", "none"])
@pytest.mark.parametrize("edit", ["move", "delete"])
def test_holes_among_crumbs_are_filled_as_by_the_json_edit(edit, palette):
    ours, json_edit = EDITS[edit]
    random, cases, expected, skipping = rng(13), [], [], 0
    sampled = [with_crumbs(random, scene(seed, 96).labels) for seed in range(8)]
    for labels in [*sampled, *label_maps()]:
        image = COCO_STUFF.encode(labels)
        for thing in objects_of(labels)[:4]:
            y, x = np.argwhere(thing.mask)[0].tolist()
            edits = [json_edit | {"select": {"point": [x, y]}}]
            cases.append({"map": sent(image), "x": x, "y": y, "edit": ours})
            if palette:
                cases[-1]["palette"] = sent_palette(palette)
            expected.append(apply_edits(image, edits, palette))
            skipping += not np.array_equal(expected[-1], apply_edits(image, edits))
    assert skipping > 0.3 * len(cases) if palette else not skipping
    for answer, edited in zip(ask("edit", *cases), expected, strict=True):
        assert np.array_equal(received(answer), edited)
