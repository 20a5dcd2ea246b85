"""*Convert Palette* and *Map to Masks* in this process, on ComfyUI's own modules."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from finesse.core.maps.palettes import ADE20K, COCO_STUFF, PALETTES
from finesse.core.small_objects.boxes import Box, parse_boxes
from finesse.tests.nodes.maps.running import COLOURS, CUSTOM, painted, run
from finesse.tests.nodes.stand_ins import WordCLIP


@pytest.fixture(scope="module")
def convert(comfy):
    from finesse.nodes.maps.convert_palette import ConvertPalette

    return lambda map, source="coco-stuff", target="ade20k", **inputs: run(
        ConvertPalette, map=map, source=source, target=target, **inputs
    )


@pytest.fixture(scope="module")
def masks_of(comfy):
    from finesse.nodes.maps.map_to_masks import MapToMasks

    return lambda map, **inputs: run(MapToMasks, map=map, **{**CUSTOM, **inputs})


def image(palette, *rows):
    """An IMAGE of one map whose rows are lists of labels."""
    labels = np.array([[palette.index(name) for name in row] for row in rows])
    return torch.tensor(palette.encode(labels) / 255).float().unsqueeze(0)


def names(palette, map):
    labels = palette.decode((map * 255).round().byte().numpy())
    return [[palette.labels[label] for label in row] for row in labels[0]]


# Convert Palette


def test_labels_become_their_counterparts_and_the_report_tells(convert):
    found = convert(image(COCO_STUFF, ["dog", "grass", "grass", "fire hydrant"]))
    assert names(ADE20K, found.map) == [["animal", "grass", "grass", "grass"]]
    assert found.report == (
        "dog (25.0%) became animal\nfire hydrant (25.0%) has no counterpart: filled with the nearest label"
    )
    assert found.ui.as_dict()["text"] == (found.report,)


def test_the_result_is_an_exact_image(convert):
    found = convert(image(COCO_STUFF, ["dog", "grass"]))
    assert found.map.dtype == torch.float32
    expected = [ADE20K.colours[ADE20K.index(name)] for name in ("animal", "grass")]
    assert torch.equal(found.map[0, 0], torch.tensor(expected) / 255)


@pytest.mark.parametrize("name", PALETTES)
def test_the_same_palette_twice_cleans_noise(convert, name):
    palette = PALETTES[name]
    labels = np.arange(len(palette.labels))[None].repeat(3, 0)
    clean = torch.tensor(palette.encode(labels)).unsqueeze(0) / 255
    noisy = clean + 0.008 * (2 * torch.rand(clean.shape, generator=torch.Generator().manual_seed(0)) - 1)
    found = convert(noisy, name, name)
    assert torch.equal(found.map, clean)
    assert found.report == "every label has a counterpart of the same name"


def test_a_batch_is_converted_map_by_map(convert):
    one, two = image(COCO_STUFF, ["dog", "grass"]), image(COCO_STUFF, ["tree", "tree"])
    found = convert(torch.cat([one, two]))
    assert torch.equal(found.map, torch.cat([convert(one).map, convert(two).map]))
    assert found.report == (
        "map 0:\ndog (50.0%) became animal\nmap 1:\nevery label has a counterpart of the same name"
    )


def test_custom_palettes_on_either_side(convert):
    mine = json.dumps(COLOURS)
    there = convert(painted("dcg."), "custom", "coco-stuff", custom_source=mine)
    assert names(COCO_STUFF, there.map) == [["dog", "cat", "grass", "unlabeled"]]
    back = convert(there.map, "coco-stuff", "custom", custom_target=mine)
    assert torch.equal(back.map, painted("dcg."))


def test_alpha_is_left_out(convert):
    map = image(COCO_STUFF, ["dog", "grass"])
    with_alpha = torch.cat([map, torch.zeros(1, 1, 2, 1)], dim=-1)
    assert torch.equal(convert(with_alpha).map, convert(map).map)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"source": "custom"}, "custom_source is empty, but source is custom"),
        ({"target": "custom", "custom_target": "[1]"}, r"custom_target: got \[1\]"),
        ({"target": "voc"}, "target is 'voc'; choose one of"),
        ({"target": "celebamask", "source": "ade20k"}, None),
        ({"map": image(COCO_STUFF, ["fork", "spoon"])}, "map: none of its labels .* has a counterpart"),
        ({"map": torch.zeros(1, 4, 4, 1)}, "map must be pictures"),
    ],
)
def test_what_cannot_be_converted_is_named(convert, inputs, message):
    given = {"map": image(COCO_STUFF, ["dog", "grass"]), **inputs}
    if message is None:
        assert names(PALETTES["celebamask"], convert(**given).map) == [["background", "background"]]
        return
    with pytest.raises(ValueError, match=f"^{message}"):
        convert(**given)


# Map to Masks

# two dogs, a cat, grass around them
SCENE = painted("gggggggg gddgggcc gddgdgcc gggggggg")


def test_a_mask_and_a_box_for_each_object_the_largest_first(masks_of):
    found = masks_of(SCENE)
    assert found.labels == "grass, dog, cat, dog"
    assert found.masks.dtype == torch.float32
    assert torch.equal(found.masks.sum(0), torch.ones(4, 8))
    expected = torch.zeros(4, 8)
    expected[1:3, 1:3] = 1
    assert torch.equal(found.masks[1], expected)
    assert [item["metadata"]["desc"] for item in found.boxes[0]] == ["grass", "dog", "cat", "dog"]
    read = [item.box for item in parse_boxes(found.boxes, 8, 4)]
    assert read == [Box(0, 0, 8, 4), Box(1, 1, 2, 2), Box(6, 1, 2, 2), Box(4, 2, 1, 1)]


def test_a_box_is_the_smallest_around_its_mask(masks_of):
    generator = np.random.default_rng(0)
    letters = np.array(list("dcg."))[generator.integers(0, 4, (12, 15))]
    found = masks_of(painted(" ".join("".join(row) for row in letters)), minimal_area=0)
    for mask, item in zip(found.masks, found.boxes[0], strict=True):
        y, x = torch.nonzero(mask, as_tuple=True)
        box = {"x": x.min(), "y": y.min(), "width": x.max() - x.min() + 1, "height": y.max() - y.min() + 1}
        assert {key: item[key] for key in box} == box
    shown = torch.tensor((letters != ".").astype(np.float32))
    assert torch.equal(found.masks.sum(0), shown)


@pytest.mark.parametrize(
    ("objects", "minimal_area", "labels"),
    [
        ("dog", 0.003, "dog, dog"),
        ("cats; puppies", 0.003, "dog, cat, dog"),
        ("dog", 0.1, "dog"),
        ("dog", 4 / 32, "dog"),
        ("background, dog", 0.0, "dog, dog"),
    ],
)
def test_objects_and_minimal_area_choose(masks_of, objects, minimal_area, labels):
    found = masks_of(SCENE, objects=objects, minimal_area=minimal_area)
    assert found.labels == labels
    assert len(found.masks) == len(found.boxes[0]) == labels.count(",") + 1


def test_background_counts_only_when_named(masks_of):
    map = painted("..d. ....")
    assert masks_of(map).labels == "dog"
    assert masks_of(map, objects="background, dog").labels == "background, dog"


def test_objects_bear_the_names_they_are_wanted_under(masks_of):
    map = image(COCO_STUFF, ["wall-brick", "wall-tile", "dog", "dining table", "table"])
    wanted = {"palette": "coco-stuff", "custom_palette": ""}
    assert masks_of(map, **wanted).labels == "wall-brick, wall-tile, dog, dining table, table"
    assert masks_of(map, objects="wall, table", **wanted).labels == "wall-other, table"
    assert masks_of(map, objects="table, dining table", **wanted).labels == "dining table, table"
    skyscraper = image(ADE20K, ["road", "sky"])
    assert masks_of(skyscraper, palette="ade20k", objects="skyscraper").labels == "skyscraper"


def test_noise_and_alpha_change_nothing(masks_of):
    noise = 0.05 * torch.randn(1, 4, 8, 3, generator=torch.Generator().manual_seed(0))
    noisy = torch.cat([SCENE + noise, torch.rand(1, 4, 8, 1)], dim=-1)
    clean, found = masks_of(SCENE), masks_of(noisy)
    assert torch.equal(found.masks, clean.masks)
    assert (found.boxes, found.labels) == (clean.boxes, clean.labels)


def test_boxes_link_to_inpaint_small_box(masks_of, inpaint):
    scene = SCENE.repeat_interleave(16, 1).repeat_interleave(16, 2)
    boxes = masks_of(scene, objects="dog, cat").boxes
    positive, *_ = inpaint(scene, boxes=boxes, clip=WordCLIP())
    assert [values.get("text") for _, values in positive] == [None, "dog", "cat"]


def test_boxes_link_to_core(masks_of):
    from comfy_extras.nodes_bounding_boxes import CreateBoundingBoxes
    from comfy_extras.nodes_rtdetr import DrawBBoxes

    boxes = masks_of(SCENE, objects="dog, cat").boxes
    _, again, elements = CreateBoundingBoxes.execute(8, 4, bboxes=boxes).args
    assert [item.box for item in parse_boxes(again, 8, 4)] == [item.box for item in parse_boxes(boxes, 8, 4)]
    assert [element["desc"] for element in elements] == ["dog", "cat", "dog"]
    assert DrawBBoxes.execute(boxes, SCENE).args[0].shape == SCENE.shape


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"map": painted("gg", "gg")}, "map holds 2 maps, but boxes are those of one picture; take one"),
        (
            {"map": painted("ggg. gggd"), "objects": "cat"},
            r"map shows no object of cat with an area of 0.30% or more; it shows grass \(75.00%\), "
            r"dog \(12.50%\), background \(12.50%\)\. Name one",
        ),
        ({"map": painted("gd gg"), "objects": "dog", "minimal_area": 0.5}, r".* or more; it shows grass \("),
        ({"map": painted(".. ..")}, r"map shows no object of any label .* it shows background \(100.00%\)"),
        ({"objects": "zebra"}, "objects: the palette custom has no 'zebra'"),
        ({"minimal_area": -1.0}, "minimal_area: got -1.0"),
        ({"map": painted(" ".join(["dg" * 40, "gd" * 40] * 40)), "minimal_area": 0.0}, None),
        (
            {"map": painted(" ".join(["d." * 40, ".." * 40] * 40)), "minimal_area": 0.0},
            "map has 1600 objects, more than 1000; raise minimal_area from 0",
        ),
    ],
)
def test_what_is_wrong_is_named(masks_of, inputs, message):
    given = {"map": SCENE, **inputs}
    if message is None:
        assert masks_of(**given).labels.count(",") == 1  # corners connect
        return
    with pytest.raises(ValueError, match=f"^{message}"):
        masks_of(**given)


def test_a_message_lists_only_the_largest_labels(masks_of):
    map = image(COCO_STUFF, COCO_STUFF.labels)
    with pytest.raises(ValueError, match="and 171 more") as error:
        masks_of(map, palette="coco-stuff", minimal_area=0.5)
    assert len(str(error.value)) < 600
