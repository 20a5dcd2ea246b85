"""What holds for all edits of maps, whatever the map: tried on many."""

import copy
import json
import time

import numpy as np
import pytest
from finesse.core.maps.edits import OPERATIONS, apply_edits
from finesse.core.maps.objects import objects_of
from finesse.core.maps.palettes import COCO_STUFF, Palette

TOY = Palette("toy", ("grass", "dog", "cat", "sky"), ((0, 128, 0), (255, 0, 0), (0, 0, 255), (90, 90, 90)))


def touching(mask):
    padded = np.pad(mask, 1)
    height, width = mask.shape
    return np.any([padded[y : y + height, x : x + width] for y in range(3) for x in range(3)], 0)


@pytest.mark.parametrize("seed", range(10))
def test_a_deleted_object_leaves_what_brute_force_finds_nearest(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (9, 8)).repeat(3, 0).repeat(2, 1)
    mask = objects_of(labels)[seed].mask
    y, x = np.argwhere(mask)[0].tolist()
    crumbs = [
        thing.mask
        for thing in objects_of(np.where(mask, -1, labels), ignore=(-1,))
        if 10 * thing.area < mask.sum()
    ]
    skipped = mask.copy()
    for _ in crumbs:  # those that touch the hole, those that touch these, and so on
        for crumb in crumbs:
            if (touching(skipped) & crumb).any():
                skipped |= crumb
    outside = np.argwhere(~(mask if skipped.all() else skipped))
    expected = labels.copy()
    for pixel in np.argwhere(mask):
        expected[tuple(pixel)] = labels[tuple(outside[((outside - pixel) ** 2).sum(1).argmin()])]
    result = apply_edits(TOY.encode(labels), [{"op": "delete", "select": {"point": [x, y]}}], TOY)
    assert np.array_equal(TOY.decode(result), expected)


PICTURE = COCO_STUFF.encode(np.random.default_rng(5).integers(0, 4, (12, 11)).repeat(4, 0).repeat(5, 1))


@pytest.mark.parametrize(
    "edits",
    [
        [{"op": "move", "dx": 0}],
        [{"op": "rotate", "degrees": 360}],
        [{"op": "rotate", "degrees": -0.0}],
        [{"op": "scale", "factor": 1}],
        [{"op": "duplicate"}],
        [{"op": "flip", "direction": "vertical"}] * 2,
        [{"op": "flip", "direction": "horizontal"}] * 2,
        [{"op": "rotate", "degrees": 180}] * 2,
    ],
)
def test_edits_that_change_nothing(edits):
    select = {"box": {"x": 3, "y": 9, "width": 20, "height": 30}}
    same = [edit | {"select": select} for edit in edits]
    for picture in (PICTURE, PICTURE.astype(np.float32) / 255):
        assert np.array_equal(apply_edits(picture, same, COCO_STUFF), picture)
        assert np.array_equal(apply_edits(picture, same), picture)
    island = np.zeros((30, 30), int)
    island[8:15, 10:21] = np.random.default_rng(0).random((7, 11)) < 0.7
    same = [edit | {"select": {"label": "person"}} for edit in edits]
    result = apply_edits(COCO_STUFF.encode(island), same, COCO_STUFF)
    assert np.array_equal(COCO_STUFF.decode(result), island)


def random_edit(rng, width, height, palette):
    def pixels(reach):
        return int(rng.integers(-reach // 3, reach + reach // 3))

    def point():
        return [int(rng.integers(width)), int(rng.integers(height))]

    x, y = point()
    selects = [
        {"point": [x, y]},
        {"box": {"x": x - 5, "y": y - 5, "width": pixels(width) + 20, "height": 13}},
    ]
    selects[1]["box"]["width"] = max(6, selects[1]["box"]["width"])
    paint = list(palette.colours[rng.integers(len(palette.colours))]) if palette else [7, 100, 255]
    op = str(rng.choice(list(OPERATIONS)))
    while (op == "depth") == (palette is not None) and op in ("depth", "order"):
        op = str(rng.choice(list(OPERATIONS)))
    fields = {
        "select": selects[rng.integers(2)],
        "of": selects[rng.integers(2)],
        "dx": pixels(20),
        "dy": pixels(20),
        "fill": paint,
        "factor": float(rng.uniform(0.2, 3)),
        "degrees": float(rng.choice([90, 180, 37.5, -200])),
        "direction": str(rng.choice(["horizontal", "vertical"])),
        "to": str(rng.choice(["front", "back"])) if op == "order" else paint,
        "x": pixels(width),
        "y": pixels(height),
        "add": float(rng.uniform(-1, 1)),
        "points": [point() for _ in range(3)],
        "width": int(rng.integers(1, 6)),
        "colour": paint,
        "text": "Ab 1!\nz",
        "scale": int(rng.integers(1, 3)),
    }
    optional = {"fill", "factor", "x", "y", "dx"}
    return {"op": op} | {
        field: value
        for field, value in fields.items()
        if field in OPERATIONS[op].fields and (field not in optional or rng.random() < 0.5)
    }


@pytest.mark.parametrize("seed", range(30))
def test_random_edits_keep_shape_type_colours_and_input(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(13, 50, 2)
    palette = (TOY, COCO_STUFF, None)[seed % 3]
    picture, source = (
        (palette or TOY).encode(
            rng.integers(0, 4, (1 + height // 4, 1 + width // 3)).repeat(4, 0).repeat(3, 1)
        )
        for _ in range(2)
    )
    if seed % 2:
        picture = picture.astype(np.float32) / 255
    edits = [random_edit(rng, width, height, palette) for _ in range(12)]
    before, edits_before = picture.copy(), copy.deepcopy(edits)
    result = apply_edits(picture, edits, palette, [source])
    assert np.array_equal(picture, before)
    assert edits == edits_before
    assert not np.shares_memory(result, picture)
    assert (result.shape, result.dtype) == (picture.shape, picture.dtype)
    if palette:
        colours = np.unique(result.reshape(-1, 3), axis=0) * (255 if seed % 2 else 1)
        assert {tuple(int(part) for part in np.rint(colour)) for colour in colours} <= set(palette.colours)
    if result.dtype != np.uint8:
        assert 0 <= result.min() <= result.max() <= 1
    assert np.array_equal(apply_edits(picture, json.dumps(edits), palette, [source]), result)


def test_twenty_edits_of_a_large_map_are_quick(measured):
    yy, xx = np.mgrid[:512, :512]
    labels = np.where(yy < 200, 157, 124)
    rng = np.random.default_rng(0)
    for number in range(1, 25):
        y, x = rng.integers(40, 470, 2)
        labels[np.hypot(yy - y, xx - x) < rng.integers(10, 60)] = number
    labels[rng.random(labels.shape) < 0.01] = 30
    picture = COCO_STUFF.encode(labels).astype(np.float32) / 255
    kinds = [
        {"op": "move", "dx": 15, "dy": -9},
        {"op": "rotate", "degrees": 25},
        {"op": "scale", "factor": 1.4},
        {"op": "delete"},
        {"op": "duplicate", "dx": 60},
    ]
    seen = [thing.label for thing in objects_of(labels, minimal_area=0.002) if thing.label < 30][:5]
    edits = [
        kind | {"select": {"colour": list(COCO_STUFF.colours[label]), "index": 0}}
        for label in seen
        for kind in kinds
    ]
    edits = [edit for edit in edits if edit["op"] != "delete"] + [
        {"op": "delete", "select": {"label": "sky-other"}}
    ]
    start = time.process_time()
    apply_edits(picture, edits, COCO_STUFF)
    seconds = time.process_time() - start
    measured(f"map edits: {len(edits)} on 512×512 px in {seconds:.2f} s")
    assert len(edits) >= 20
    assert seconds < 5
