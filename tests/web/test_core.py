"""The page's logic: its own tests in Node, and that the map editor's model agrees with Python bit for bit."""

from __future__ import annotations

import hashlib
import io
import json
import math
import subprocess
import sys
import zlib
from base64 import b64decode, b64encode
from pathlib import Path

import numpy as np
import playwright
import pytest
from finesse.core.map_drawing import Canvas, stroke_mask
from finesse.core.map_edits import apply_edits
from finesse.core.map_objects import Piece, fill_holes_by_nearest
from finesse.core.palettes import COCO_STUFF, PALETTES
from finesse.core.recall import ranked
from finesse.miniature.maps import pose
from finesse.miniature.scenes import scene
from finesse.training.data.skeletons import Skeleton, draw_skeletons
from PIL import Image

HERE = Path(__file__).resolve().parent / "js"
NODE = Path(playwright.__file__).parent / "driver" / ("node.exe" if sys.platform == "win32" else "node")


def run_node(*arguments, questions=None):
    return subprocess.run(
        [NODE, *arguments], input=questions, capture_output=True, text=True, encoding="utf-8", timeout=300
    )


def ask(name, *given):
    """The model's answers to questions of one kind, each given as a dict."""
    done = run_node(HERE / "parity.mjs", questions=json.dumps([[name, values] for values in given]))
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def text(data):
    return b64encode(
        bytes(data) if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes()
    ).decode()


def sent(image):
    """An RGB or RGBA picture, for a question."""
    if image.shape[2] == 3:
        image = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
    return {"width": image.shape[1], "height": image.shape[0], "rgba": text(image)}


def received(answer, channels=3):
    pixels = np.frombuffer(b64decode(answer["rgba"]), np.uint8)
    return pixels.reshape(answer["height"], answer["width"], 4)[..., :channels]


def received_mask(answer, shape):
    return np.frombuffer(b64decode(answer), np.uint8).reshape(shape).astype(bool)


def sent_palette(palette):
    return {"name": palette.name, "labels": palette.labels, "colours": palette.colours}


def rng(seed):
    return np.random.default_rng(seed)


def noise(random, height, width, labels, cell=1):
    """A map of random labels in cells of some pixels."""
    small = random.integers(labels, size=(-(-height // cell), -(-width // cell)))
    return np.kron(small, np.ones((cell, cell), int))[:height, :width].astype(np.uint8)


def label_maps():
    random = rng(0)
    yield from (scene(seed, 96).labels for seed in range(3))
    yield from (noise(random, 37, 53, labels, cell) for labels in (2, 3, 9) for cell in (1, 2, 7))
    yield noise(random, 1, 30, 2)
    yield noise(random, 30, 1, 2)


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


def test_pillow_reads_our_png_exactly_also_where_it_is_transparent():
    random = rng(6)
    images = [random.integers(0, 256, (h, w, 4), np.uint8) for h, w in ((1, 1), (7, 300), (64, 64))]
    images[1][..., 3] = random.choice([0, 255], (7, 300))
    for answer, image in zip(ask("encode", *({"map": sent(i)} for i in images)), images, strict=True):
        with Image.open(io.BytesIO(b64decode(answer))) as picture:
            assert picture.mode == "RGBA"
            assert np.array_equal(np.asarray(picture), image)


def picture_of(mode):
    random = rng(7)
    smooth = np.add.outer(np.arange(40), 3 * np.arange(51))[..., None] * np.array([1, 2, 3, 1])
    rgba = Image.fromarray((smooth + random.integers(0, 9, smooth.shape)).astype(np.uint8))
    if mode.startswith("P"):  # of 2, 4, 16 or 256 colours, which Pillow writes with 1, 2, 4 or 8 bits
        return rgba.convert("RGB").quantize(int(mode[1:]))
    return rgba.convert(mode)


@pytest.mark.parametrize("mode", ["RGBA", "RGB", "L", "LA", "1", "P2", "P4", "P16", "P256"])
def test_we_read_pillows_png(mode):
    picture, files = picture_of(mode), []
    for options in ({}, {"optimize": True}, {"compress_level": 0}):
        file = io.BytesIO()
        picture.save(file, "png", **options)
        files.append(file.getvalue())
    for answer in ask("decode", *({"png": text(file)} for file in files)):
        assert np.array_equal(received(answer, 4), np.asarray(picture.convert("RGBA")))


def test_we_read_a_palette_with_transparent_colours():
    picture, file = picture_of("P16"), io.BytesIO()
    picture.save(file, "png", transparency=bytes([0, 128, 255]))
    (answer,) = ask("decode", {"png": text(file.getvalue())})
    with Image.open(file) as reread:
        assert np.array_equal(received(answer, 4), np.asarray(reread.convert("RGBA")))


def png_with_filters(image, filters):
    """A PNG whose rows have these filters in turn."""
    rows, above = [], np.zeros(image.shape[1:], int)
    for number, row in enumerate(image.astype(int)):
        kind = filters[number % len(filters)]
        left, corner = (np.vstack([np.zeros((1, row.shape[1]), int), line[:-1]]) for line in (row, above))
        guess = left + above - corner
        far = [np.abs(guess - near) for near in (left, above, corner)]
        paeth = np.where(
            (far[0] <= far[1]) & (far[0] <= far[2]), left, np.where(far[1] <= far[2], above, corner)
        )
        predicted = [0, left, above, (left + above) // 2, paeth][kind]
        rows.append(bytes([kind]) + (row - predicted).astype(np.uint8).tobytes())
        above = row
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[image.shape[2]]
    header = b"".join(side.to_bytes(4, "big") for side in image.shape[1::-1]) + bytes([8, kind, 0, 0, 0])
    data = zlib.compress(b"".join(rows))
    chunks = ((b"IHDR", header), (b"IDAT", data[:50]), (b"IDAT", data[50:]), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
        for name, body in chunks
    )


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_we_read_rows_of_every_filter(channels):
    image = rng(8).integers(0, 256, (23, 31, channels), np.uint8)
    files = [png_with_filters(image, filters) for filters in ([0], [1], [2], [3], [4], [4, 3, 1, 0, 2])]
    for answer, file in zip(ask("decode", *({"png": text(file)} for file in files)), files, strict=True):
        with Image.open(io.BytesIO(file)) as picture:
            assert np.array_equal(received(answer, 4), np.asarray(picture.convert("RGBA")))


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
    for answer, edited in zip(ask("edit", *cases), expected, strict=True):
        assert np.array_equal(received(answer), edited)


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
