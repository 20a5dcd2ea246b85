"""Objects that the map editor moves, scales, turns and deletes: bit for bit as the JSON edits do."""

from __future__ import annotations

import numpy as np
import pytest
from finesse.core.maps.edits import apply_edits
from finesse.core.maps.objects import Piece, objects_of
from finesse.core.maps.palettes import COCO_STUFF
from finesse.miniature.world.scenes import scene
from finesse.tests.web.model_answers import (
    ask,
    label_maps,
    received,
    received_mask,
    rng,
    sent,
    sent_palette,
    text,
)


def a_piece(random):
    height, width = random.integers(1, 24, 2)
    x, y = random.integers(-9, 30, 2)
    values = random.integers(1, 256, (height, width, 3), np.uint8)
    return Piece(int(x), int(y), random.random((height, width)) < 0.8, values)


TRANSFORMS = (
    *({"degrees": degrees} for degrees in (0, 90, 180, 270, -90, 450, 1, 30, 45, 60, 123.4, -17, 359.9)),
    *(
        {"scaleX": x, "scaleY": y}
        for x, y in ((1, 1), (2, 2), (0.5, 0.5), (0.01, 3), (1.37, 0.77), (2.5, 2.5))
    ),
    *({"flipX": True}, {"flipY": True}, {"flipX": True, "flipY": True}, {"dx": -7, "dy": 3}),
    *(
        {"flipX": True, "scaleX": 1.6, "scaleY": 0.7, "degrees": turn, "dx": 4, "dy": 9}
        for turn in (0, 90, 33)
    ),
)


def by_python(piece, transform):
    for key, horizontally in (("flipX", True), ("flipY", False)):
        if transform.get(key):
            piece = piece.flipped(horizontally)
    far = 10**6  # so that nothing is cut off
    piece = piece.moved(far, far)
    piece = piece.scaled(transform.get("scaleX", 1), transform.get("scaleY", 1), 2 * far, 2 * far)
    piece = piece.moved(-far, -far).rotated(transform.get("degrees", 0))
    return piece.moved(transform.get("dx", 0), transform.get("dy", 0))


def test_pieces_change_as_in_python():
    random = rng(11)
    pairs = [(a_piece(random), transform) for transform in TRANSFORMS for _ in range(6)]
    bounds = [
        None if number % 2 else {"x": 0, "y": 0, "width": 21, "height": 17} for number in range(len(pairs))
    ]
    answers = ask(
        "transform",
        *(
            {
                "piece": {"x": p.x, "y": p.y, "mask": text(p.mask), "values": sent(p.values)},
                "transform": transform,
                **({"bounds": limit} if limit else {}),
            }
            for (p, transform), limit in zip(pairs, bounds, strict=True)
        ),
    )
    for answer, (piece, transform), limit in zip(answers, pairs, bounds, strict=True):
        expected = by_python(piece, transform)
        if limit:
            expected = expected.clipped(21, 17)
        mask = received_mask(answer["mask"], (answer["values"]["height"], answer["values"]["width"]))
        if not expected.mask.size:
            assert not mask.size
            continue
        assert (answer["x"], answer["y"]) == (expected.x, expected.y), transform
        assert np.array_equal(mask, expected.mask), transform
        assert np.array_equal(received(answer["values"])[mask], expected.values[mask])


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
