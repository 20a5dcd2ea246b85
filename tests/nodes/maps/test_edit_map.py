"""*Edit Map* in this process, on ComfyUI's own modules."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from finesse.core.maps.edits import OPERATIONS, apply_edits
from finesse.core.maps.palettes import COCO_STUFF

PAGE = Path(__file__).resolve().parents[3] / "web" / "docs" / "FinesseEditMap.md"
EXAMPLES = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
MOVE = '[{"op": "move", "select": {"label": "dog"}, "dx": 5}]'
TOY = '{"grass": "#008000", "dog": "#ff0000", "cat": [0, 0, 255]}'


@pytest.fixture(scope="module")
def edit(tmp_path_factory, comfy):
    import folder_paths
    from finesse.nodes.maps.edit_map import EditMap

    def run(map_, edits, palette="coco-stuff", **inputs):
        return EditMap.execute(map_, edits, palette, **inputs).args

    before = folder_paths.get_temp_directory()
    folder_paths.set_temp_directory(str(tmp_path_factory.mktemp("temp")))
    yield run
    folder_paths.set_temp_directory(before)


def scene(dog=(30, 40), label="dog", side=96):
    """A dog on grass before a tree and the sky, as an IMAGE of one map."""
    labels = np.full((side, side), COCO_STUFF.index("grass"))
    labels[: side // 3] = COCO_STUFF.index("sky-other")
    labels[20:60, 60:70] = COCO_STUFF.index("tree")
    x, y = dog
    labels[y - 6 : y + 6, x - 10 : x + 10] = COCO_STUFF.index(label)
    labels[y - 6 : y, x - 10 : x - 6] = COCO_STUFF.index("grass")
    return image(COCO_STUFF.encode(labels))


def image(painted):
    return torch.from_numpy(painted).float()[None] / 255


def painted(map_):
    return (map_ * 255).round().byte().numpy()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: json.loads(text)[0]["op"])
def test_every_example_of_the_help_page_runs(edit, example):
    is_depth = json.loads(example)[0]["op"] == "depth"
    given = torch.full((1, 96, 96, 3), 60 / 255) if is_depth else scene()
    source = scene((40, 50), "cat")
    map_, changed, report = edit(given, example, "none" if is_depth else "coco-stuff", source=source)
    assert changed.sum() > 10
    assert report.count("edits[") == len(json.loads(example))
    assert "changed nothing" not in report
    if not is_depth:
        assert np.array_equal(COCO_STUFF.encode(COCO_STUFF.decode(painted(map_))), painted(map_))


def test_the_help_page_shows_every_operation():
    assert {values["op"] for example in EXAMPLES for values in json.loads(example)} == set(OPERATIONS)


def test_every_map_of_a_batch_gets_the_edits(edit):
    maps = torch.cat([scene(), scene((50, 70))])
    result, changed, report = edit(maps, MOVE)
    for index in (0, 1):
        expected = apply_edits(painted(maps[index]), MOVE, COCO_STUFF)
        assert np.array_equal(painted(result[index]), expected)
        assert torch.equal(changed[index], (result[index] != maps[index]).any(-1).float())
    assert report.splitlines() == [
        "map 1: edits[0] (move): changed 1.3% of the map, within 25×12 px at (20, 34)",
        "map 2: edits[0] (move): changed 1.3% of the map, within 25×12 px at (40, 64)",
    ]


def test_without_edits_the_map_is_itself(edit):
    for empty in ("", "[]"):
        result, changed, report = edit(scene(), empty)
        assert torch.equal(result, scene())
        assert not changed.any()
        assert report == "no edits"


def test_a_little_off_the_palette_is_set_right_and_no_change(edit):
    torch.manual_seed(0)
    noisy = (scene() + 0.01 * torch.randn(1, 96, 96, 3)).clamp(0, 1)
    result, changed, _ = edit(noisy, "[]")
    assert torch.equal(result, scene())
    assert not changed.any()


def test_without_palette_other_pixels_keep_their_exact_values(edit):
    torch.manual_seed(0)
    depth = torch.rand(1, 32, 32, 3)
    box = {"x": 4, "y": 8, "width": 10, "height": 6}
    result, changed, _ = edit(
        depth, json.dumps([{"op": "depth", "select": {"box": box}, "set": 0.25}]), "none"
    )
    expected = depth.clone()
    expected[:, 8:14, 4:14] = 0.25
    assert torch.equal(result, expected)
    assert changed.sum() == 60


def test_a_palette_of_ones_own(edit):
    grass, dog = [0, 128, 0], [255, 0, 0]
    given = np.full((8, 8, 3), grass, np.uint8)
    given[2:4, 2:4] = dog
    result, _, _ = edit(image(given), MOVE.replace("5", "3"), "custom", custom_palette=TOY)
    expected = np.full((1, 8, 8, 3), grass, np.uint8)
    expected[:, 2:4, 5:7] = dog
    assert np.array_equal(painted(result), expected)


def test_the_second_source_is_number_1(edit):
    sources = torch.cat([scene(label="cat"), scene((50, 70), "bear")])
    paste = '[{"op": "paste", "select": {"source": 1, "label": "bear"}}]'
    result, _, _ = edit(scene(), paste, source=sources)
    labels = COCO_STUFF.decode(painted(result[0]))
    assert (labels == COCO_STUFF.index("bear"))[70:76, 40:60].all()


def test_a_patch_is_laid_on_before_the_edits(edit):
    plain, patched = scene(), scene((30, 70))
    mask = torch.zeros(96, 96)
    mask[60:] = 0.51
    result, changed, report = edit(plain, MOVE, patch=patched, patch_mask=mask)
    expected = plain.clone()
    expected[:, 60:] = patched[:, 60:]
    expected = apply_edits(painted(expected[0]), MOVE, COCO_STUFF)
    assert np.array_equal(painted(result[0]), expected)
    assert torch.equal(changed, (result != plain).any(-1).float())
    assert report.splitlines()[0] == "patch: changed 2.3% of the map, within 20×12 px at (20, 64)"
    assert report.splitlines()[1].startswith("edits[0] (move): changed")


def test_at_a_half_the_patch_does_not_count(edit):
    result, changed, report = edit(
        scene(), "[]", patch=scene((30, 70)), patch_mask=torch.full((1, 96, 96), 0.5)
    )
    assert torch.equal(result, scene())
    assert not changed.any()
    assert report == "no edits"


def test_progress_is_shown_to_its_end(edit, monkeypatch):
    import comfy.utils

    told = []
    monkeypatch.setattr(
        comfy.utils, "PROGRESS_BAR_HOOK", lambda value, total, *_, **__: told.append((value, total))
    )
    edit(torch.cat([scene(), scene((50, 70)), scene((60, 80))]), MOVE)
    assert told[0] == (1, 6)
    assert told[-1] == (6, 6)  # ComfyUI leaves out some that follow close upon another


@pytest.mark.parametrize("stop", [1, 3, 4])
def test_an_interrupt_stops_it_before_the_next_edit(edit, monkeypatch, stop):
    import comfy.model_management as memory
    from finesse.nodes.maps import edit_map

    done, edit_steps = [], edit_map.edit_steps

    def interrupted(map_, edits, *inputs):
        for result in edit_steps(map_, edits, *inputs):
            done.extend([result] if edits else [])
            if len(done) == stop:
                memory.interrupt_current_processing()
            yield result

    monkeypatch.setattr(edit_map, "edit_steps", interrupted)
    with pytest.raises(memory.InterruptProcessingException):
        edit(scene().repeat(4, 1, 1, 1), MOVE)
    assert len(done) == stop


def test_an_interrupt_stops_it_while_the_editor_s_pictures_are_made(edit, monkeypatch):
    import comfy.model_management as memory
    from finesse.nodes.maps import editor_drawing

    made, save = [], editor_drawing.picture_for_page

    def interrupted(*inputs, **settings):
        made.append(inputs)
        memory.interrupt_current_processing()
        return save(*inputs, **settings)

    monkeypatch.setattr(editor_drawing, "picture_for_page", interrupted)
    with pytest.raises(memory.InterruptProcessingException):
        edit(torch.cat([scene(), scene((50, 70)), scene((60, 80))]), "[]")
    assert len(made) == 1


def test_edits_are_parsed_once_for_all_maps(edit, monkeypatch):
    read, loads = [], json.loads
    monkeypatch.setattr(json, "loads", lambda text: read.append(text) or loads(text))
    edit(scene().repeat(4, 1, 1, 1), MOVE)
    assert read == [MOVE]


def test_the_inputs_stay_as_they_were(edit):
    given = {"patch": scene((30, 70)), "patch_mask": torch.ones(1, 96, 96), "source": scene()}
    map_, before = scene(), {name: value.clone() for name, value in given.items()}
    edit(map_, MOVE, **given)
    assert torch.equal(map_, scene())
    for name, value in given.items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize(
    ("edits", "inputs", "said"),
    [
        ("[", {}, "edits is not JSON: .* at line 1, column 2; correct"),
        ('[{"op": "fly"}]', {}, r"edits\[0\]: op 'fly' is unknown; use one of move"),
        (
            MOVE[:-1] + ', {"op": "delete", "select": {"label": "cow"}}]',
            {},
            r"^edits\[1\] \(delete\): .*the map shows no 'cow', only grass",
        ),
        (
            MOVE,
            {"map_": torch.cat([scene(), scene(label="cat")])},
            r"^map 2: edits\[0\] \(move\): .*no 'dog'",
        ),
        (MOVE, {"palette": "none"}, "label 'dog' needs a palette"),
        (MOVE, {"palette": "custom"}, "custom_palette is empty, but palette is custom"),
        (MOVE, {"palette": "custom", "custom_palette": "{"}, "palette: .* is not JSON"),
        (MOVE, {"palette": "mine"}, "palette is 'mine'; choose one of coco-stuff"),
        (
            '[{"op": "paste", "select": {"source": 0, "label": "cat"}}]',
            {},
            "there is no other map to select in",
        ),
        ("[]", {"patch": scene()}, "patch is linked but patch_mask is not; link both"),
        ("[]", {"patch_mask": torch.ones(1, 96, 96)}, "patch_mask is linked but patch is not"),
        (
            "[]",
            {"patch": scene()[:, :80], "patch_mask": torch.ones(1, 96, 96)},
            "patch is 96×80 px but map is 96×96 px",
        ),
        (
            "[]",
            {"patch": scene(), "patch_mask": torch.ones(1, 64, 64)},
            "patch_mask is 64×64 px but map is 96×96 px",
        ),
        (
            "[]",
            {"patch": scene().repeat(2, 1, 1, 1), "patch_mask": torch.ones(96, 96)},
            "patch has 2 pictures but map has 1",
        ),
        ("[]", {"map_": scene() / 0}, "map holds .* NaN or infinite"),
        ("[]", {"map_": scene()[0]}, "map must be pictures"),
    ],
)
def test_bad_input_is_named(edit, edits, inputs, said):
    with pytest.raises(ValueError, match=said):
        edit(**{"map_": scene(), "edits": edits, **inputs})
