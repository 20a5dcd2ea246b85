"""*Segment Object (SAM)* in this process, on a small model whose masks Meta's own code has found too."""

from __future__ import annotations

import json
import logging
import re

import numpy as np
import pytest
import torch
from finesse.core.files import write_tensors
from finesse.core.sam.masks import MOST_AREA, MOST_BORDER, point_grid, to_picture
from finesse.core.small_objects.boxes import Box
from finesse.tests.nodes.layers.small_sam import PICTURES, PROMPTS, REFERENCE, picture, weights
from finesse.tests.nodes.maps.running import run

META = json.loads(REFERENCE.read_text("utf-8"))
NAME = "sam_small.pth"
SURE = "sure.pth"
POINT = {"positive_coords": "12, 20"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory, comfy):
    """models/sams, with the small model in it as .pth and as .safetensors."""
    import folder_paths
    from finesse.nodes.layers import sam

    place = tmp_path_factory.mktemp("models") / sam.FOLDER
    place.mkdir()
    before = folder_paths.folder_names_and_paths[sam.FOLDER]
    folder_paths.folder_names_and_paths[sam.FOLDER] = ([str(place)], set(sam.SUFFIXES))
    torch.save(weights(META["shapes"]), place / NAME)
    write_tensors(place / "sam_small.safetensors", weights(META["shapes"]))
    torch.save(sure(weights(META["shapes"])), place / SURE)
    yield place
    folder_paths.folder_names_and_paths[sam.FOLDER] = before


def sure(tensors):
    """The same masks with steeper edges, so that they count as reliable."""
    last = r"mask_decoder\.output_hypernetworks_mlps\.\d\.layers\.2\."
    return {name: tensor * (10000 if re.match(last, name) else 1) for name, tensor in tensors.items()}


@pytest.fixture(scope="module")
def segment(folder):
    from finesse.nodes.layers.segment_object import SegmentObject

    def call(image, checkpoint=NAME, **inputs):
        return run(SegmentObject, image=image, checkpoint=checkpoint, **inputs)

    return call


def image(*names):
    """Pictures of one size as an IMAGE."""
    return torch.stack(
        [torch.from_numpy(picture(*PICTURES[name])).float() / 255 for name in names or ("exact",)]
    )


def as_inputs(prompt):
    """A prompt of Meta's predictor as the node's inputs."""
    points = list(zip(prompt.get("points", []), prompt.get("labels", []), strict=True))
    inputs = {
        name: json.dumps([{"x": x, "y": y} for (x, y), own in points if own == label])
        for name, label in (("positive_coords", 1), ("negative_coords", 0))
    }
    if "box" in prompt:
        x, y, right, bottom = prompt["box"]
        inputs["box"] = {"x": x, "y": y, "width": right - x, "height": bottom - y}
    return inputs


def masks_of_meta(name, kind):
    height, width = PICTURES[name]
    found = META["found"][f"{name}: {kind}"]
    bits = [np.unpackbits(np.frombuffer(bytes.fromhex(mask), np.uint8)) for mask in found["masks"]]
    return [torch.from_numpy(mask[: height * width].reshape(height, width)).float() for mask in bits], found[
        "ious"
    ]


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("name", PICTURES)
def test_the_mask_is_the_one_that_metas_own_code_finds(segment, name, kind):
    masks, ious = masks_of_meta(name, kind)
    best = int(np.argmax(ious))
    found = segment(image(name), **as_inputs(PROMPTS[kind]))
    assert found.mask.shape == (1, *PICTURES[name])
    # resizing in torch and in Pillow rounds differently
    assert (found.mask[0] != masks[best]).float().mean() <= (0 if name == "exact" else 0.01)
    assert f"predicted IoU {ious[best]:.2f}" in found.report
    assert found.ui.as_dict()["text"] == (found.report,)


@pytest.mark.parametrize("kind", PROMPTS)
@pytest.mark.parametrize("file", [NAME, "sam_small.safetensors"])
def test_the_logits_are_those_of_metas_own_code(folder, kind, file):
    from finesse.nodes.layers.sam import load_sam

    model, prompt, (height, width) = load_sam(file), PROMPTS[kind], PICTURES["exact"]
    points = torch.tensor(prompt["points"])[None] if "points" in prompt else None
    labels = torch.tensor(prompt["labels"])[None] if "points" in prompt else None
    x, y, right, bottom = prompt.get("box", (0, 0, 0, 0))
    box = Box(x, y, right - x, bottom - y) if "box" in prompt else None
    seen = model.embedding(image()[0])
    logits, ious = model.masks(seen, height, width, points, labels, box, several=kind == "point")
    expected = META["found"][f"exact: {kind}"]
    torch.testing.assert_close(logits[0].cpu(), torch.tensor(expected["logits"]), rtol=0, atol=3e-5)
    torch.testing.assert_close(ious[0].cpu(), torch.tensor(expected["ious"]), rtol=0, atol=1e-5)


def test_the_box_is_that_of_the_mask(segment):
    found = segment(image("larger"), **POINT)
    (((box,),), mask) = found.box, found.mask[0]
    rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
    assert (box["x"], box["y"]) == (int(columns.min()), int(rows.min()))
    assert box["width"] == int(columns.max() - columns.min()) + 1
    assert box["height"] == int(rows.max() - rows.min()) + 1
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert f"object of {Box.from_dict(box)}, {float(mask.mean()):.1%} of the picture" in found.report


@pytest.mark.parametrize("name", ["exact", "smaller"])
def test_without_a_prompt_it_is_the_largest_object_of_a_grid_of_points(segment, name):
    from finesse.nodes.layers.sam import load_sam

    pictures, model = image(name), load_sam(SURE)
    height, width = PICTURES[name]
    points = point_grid(height, width, 16)[:, None]
    inside = torch.ones(256, 1, dtype=torch.int64)
    logits, ious = model.masks(model.embedding(pictures[0]), height, width, points, inside, several=True)
    whole = to_picture(logits, height, width, model.side).flatten(0, 1)
    steady = (whole > 1).sum((1, 2)) / (whole > -1).sum((1, 2))
    masks = (whole > 0).float()[(ious.flatten() >= 0.88) & (steady >= 0.95)]
    inner = masks[:, 1:-1, 1:-1]
    edge = (masks.sum((1, 2)) - inner.sum((1, 2))) / (height * width - inner[0].numel())
    area = masks.mean((1, 2))
    is_object = (edge <= MOST_BORDER) & (area <= MOST_AREA)
    largest = float(area[is_object].max())
    assert float(area[~is_object].max()) > largest > 0
    found = segment(pictures, SURE)
    # the node judges at the model's own resolution
    assert float(found.mask.mean()) == pytest.approx(largest, rel=0.1)
    assert "largest object of" in found.report


def test_each_picture_of_a_batch_gets_the_mask_that_it_gets_alone(segment):
    pictures = torch.cat([image(), image().flip(2), 1 - image()])
    boxes = [[{"x": 4 * i, "y": 10, "width": 20, "height": 30}] for i in range(3)]
    together = segment(pictures, box=boxes)
    assert together.mask.shape == (3, *PICTURES["exact"])
    assert together.report.count("picture ") == 3
    for i in range(3):
        alone = segment(pictures[i : i + 1], box=boxes[i][0])
        assert torch.equal(alone.mask[0], together.mask[i])
        assert alone.box[0] == together.box[i]
    shared = segment(pictures, box=boxes[1])
    assert torch.equal(shared.mask[1], together.mask[1])
    assert (
        segment(torch.cat([pictures, pictures[..., :1]], -1), box=boxes).box == together.box
    )  # a 4th channel


def test_a_second_run_does_not_load_again_and_a_changed_file_does(folder):
    from finesse.nodes.layers.sam import load_sam

    path = folder / "changed.pth"
    torch.save(weights(META["shapes"]), path)
    first = load_sam(path.name)
    assert load_sam(path.name) is first
    torch.save({name: 2 * tensor for name, tensor in weights(META["shapes"]).items()}, path)
    assert load_sam(path.name) is not first
    path.unlink()


def test_half_precision_files_run_in_full_precision(folder, segment):
    torch.save({name: tensor.half() for name, tensor in weights(META["shapes"]).items()}, folder / "half.pth")
    found = segment(image(), "half.pth", **POINT)
    assert (found.mask != segment(image(), **POINT).mask).float().mean() < 0.01
    (folder / "half.pth").unlink()


def test_comfyuis_memory_management_holds_the_model(segment):
    import comfy.model_management as memory
    from finesse.nodes.layers.sam import load_sam

    before = segment(image(), **POINT).mask
    patcher = load_sam(NAME).patcher
    assert any(loaded.model is patcher for loaded in memory.current_loaded_models)
    memory.unload_all_models()
    assert not any(loaded.model is patcher for loaded in memory.current_loaded_models)
    assert load_sam(NAME).patcher is not patcher  # nothing is kept that ComfyUI has unloaded
    assert torch.equal(segment(image(), **POINT).mask, before)


@pytest.mark.parametrize("inputs", [POINT, {}])
def test_an_interrupt_stops_it(segment, inputs):
    import comfy.model_management as memory

    memory.interrupt_current_processing()
    with pytest.raises(memory.InterruptProcessingException):
        segment(image(), SURE, **inputs)
    segment(image(), SURE, **inputs)


def test_progress_is_told_to_its_end(segment):
    import comfy.utils

    told = []
    comfy.utils.set_progress_bar_global_hook(lambda value, total, *_, **__: told.append((value, total)))
    try:
        segment(torch.cat([image(), image()]), SURE)
    finally:
        comfy.utils.set_progress_bar_global_hook(None)
    assert told == sorted(told)
    assert told[-1] == (34, 34)


# Bad input


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (
            {"box": {"x": 60, "y": 0, "width": 9, "height": 9}},
            "box lies outside the image: .* image 48×64 px",
        ),
        ({"box": {"x": 0, "y": 0, "width": 0, "height": 9}}, "box has no area: 0×9"),
        ({"box": []}, r"box is empty: \[\]"),
        ({"box": [{"x": 0, "y": 0, "width": 9, "height": 9}] * 2}, "box holds 2 boxes for one picture"),
        ({"positive_coords": "12, 99"}, r"positive_coords: the point \(12, 99\) lies outside .* 48×64 px"),
        ({"negative_coords": "[[1, 2]"}, "negative_coords: .* is not JSON"),
        ({"negative_coords": "1, 2"}, "negative_coords: 1 points only say where the object is not; give"),
        (
            {"checkpoint": "../x.pth"},
            r"checkpoint: '../x.pth' is not in .*sams .*\. Take sam_vit_b_01ec64.pth",
        ),
        ({"checkpoint": ""}, "checkpoint: nothing is chosen from .*sams"),
    ],
)
def test_bad_input_is_named(segment, inputs, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        segment(image(), **inputs)


def test_the_files_are_offered(folder):
    from finesse.nodes.layers.segment_object import SegmentObject

    options = SegmentObject.define_schema().inputs[1].options
    assert options == [NAME, "sam_small.safetensors", SURE]
    assert SegmentObject.validate_inputs(NAME) is True


def test_a_picture_without_an_object_is_told(folder, segment):
    unsure = sure(weights(META["shapes"]))
    unsure["mask_decoder.iou_prediction_head.layers.2.bias"] -= 100
    torch.save(unsure, folder / "unsure.pth")
    with pytest.raises(ValueError, match="image: picture 1 of 2 shows nothing that the model is sure of"):
        segment(torch.cat([image(), image()]), "unsure.pth")
    assert segment(image(), "unsure.pth", **POINT).mask.any()
    (folder / "unsure.pth").unlink()


def test_an_empty_mask_is_told(folder, segment):
    nothing = weights(META["shapes"])
    for name in nothing:
        if "output_hypernetworks_mlps" in name and ".2." in name:
            nothing[name] *= 0
    torch.save(nothing, folder / "nothing.pth")
    with pytest.raises(ValueError, match="image: picture shows no object at box or positive_coords; move"):
        segment(image(), "nothing.pth", **POINT)
    (folder / "nothing.pth").unlink()


def _without_decoder(tensors):
    return {name: tensor for name, tensor in tensors.items() if "mask_decoder.trans" not in name}


def _high_quality(tensors):
    return tensors | {"mask_decoder.hf_token.weight": torch.zeros(1, 32)}


def _cut(tensors):
    return tensors | {"mask_decoder.iou_token.weight": torch.zeros(1, 31)}


def _of_something_else(tensors):
    return {"image_encoder.trunk.x": torch.zeros(3), "memory.y": torch.zeros(3)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            _without_decoder,
            "no Segment Anything model, it holds image_encoder.blocks, .*; take Meta's sam_vit_b",
        ),
        (
            _high_quality,
            "another kind .*: 1 weights are missing, .* such as mask_decoder.hf_token.weight; take",
        ),
        (
            _cut,
            "another kind of Segment Anything model: 1 weights are .* such as mask_decoder.iou_token.weight",
        ),
        (
            _of_something_else,
            "it holds image_encoder.trunk, memory.y; take Meta's sam_vit_b_01ec64.pth, sam_vit_l",
        ),
    ],
)
def test_a_file_of_another_model_is_refused(folder, segment, change, said):
    torch.save(change(weights(META["shapes"])), folder / "other.pth")
    with pytest.raises(ValueError, match=f"^checkpoint: other.pth is .*{said}"):
        segment(image(), "other.pth")
    (folder / "other.pth").unlink()


def test_a_file_that_could_run_code_is_refused(folder, segment):
    torch.save({"x": logging.getLogger}, folder / "evil.pth")
    with pytest.raises(ValueError, match=r"checkpoint: .*evil\.pth is refused: it holds logging.getLogger"):
        segment(image(), "evil.pth")
    (folder / "evil.pth").unlink()
