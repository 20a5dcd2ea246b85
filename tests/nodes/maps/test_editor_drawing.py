"""What is drawn by hand in *Edit Map*, and what the node tells the page."""

from __future__ import annotations

import base64
import json
import re
import time

import numpy as np
import pytest
import torch
from finesse.core.maps.drawing import map_hash
from finesse.core.maps.edits import apply_edits
from finesse.core.maps.palettes import COCO_STUFF
from finesse.demo.prompts import png
from finesse.tests.nodes.maps.drawings import Server, drawing, drawn, flipped, patch, put, square
from finesse.tests.nodes.maps.test_edit_map import MOVE, PAGE, TOY, painted, scene
from PIL import Image


@pytest.fixture(scope="module")
def folders(tmp_path_factory, comfy):
    """ComfyUI's folders for inputs and temporary files, empty."""
    import folder_paths

    before = folder_paths.get_input_directory(), folder_paths.get_temp_directory()
    ours = tmp_path_factory.mktemp("input"), tmp_path_factory.mktemp("temp")
    folder_paths.set_input_directory(str(ours[0]))
    folder_paths.set_temp_directory(str(ours[1]))
    yield ours
    folder_paths.set_input_directory(before[0])
    folder_paths.set_temp_directory(before[1])


@pytest.fixture
def run(folders):
    from finesse.nodes.maps.edit_map import EditMap

    def run(map_, drawing=None, edits="[]", palette="coco-stuff", **inputs):
        output = EditMap.execute(map_, edits, palette, drawing=drawing, **inputs)
        return *output.args, output.ui["finesse_map"][0]

    return run


def test_a_drawing_is_laid_on_last(run):
    map_, mask = scene(), torch.zeros(96, 96)
    mask[60:] = 1
    inputs = {"edits": MOVE, "patch": scene((30, 70)), "patch_mask": mask}
    before, *_ = run(map_, **inputs)
    base = painted(before[0])
    result, changed, report, _ = run(map_, drawing({0: patch(base)}), **inputs)

    assert np.array_equal(painted(result[0]), drawn(base))
    assert torch.equal(changed, (result != map_).any(-1).float())
    assert [line.partition(":")[0] for line in report.splitlines()] == ["patch", "edits[0] (move)", "drawing"]
    assert report.endswith("drawing: changed 0.2% of the map, within 6×4 px at (10, 20)")


def test_each_map_of_a_batch_has_a_drawing_of_its_own(run):
    maps = torch.cat([scene(), scene((50, 70)), scene((60, 80))])
    bases, red = painted(maps), square(COCO_STUFF.colours[1], 3, 3)
    result, changed, report, _ = run(maps, drawing({0: patch(bases[0]), 2: patch(bases[2], red, 90, 93)}))
    assert np.array_equal(painted(result[0]), drawn(bases[0]))
    assert torch.equal(result[1], maps[1])
    assert np.array_equal(painted(result[2]), drawn(bases[2], red, 90, 93))
    assert changed.sum((1, 2)).tolist() == [23, 0, 8]
    assert [line.split(":")[0] for line in report.splitlines()] == ["map 1", "map 3"]


@pytest.mark.parametrize("palette", ["none", "custom"])
def test_it_keeps_the_exact_values_around_it(run, palette):
    torch.manual_seed(0)
    map_ = torch.rand(1, 40, 50, 3)
    before, *_ = run(map_, palette=palette, custom_palette=TOY)
    base = painted(before[0])
    colours = np.array(
        [[0, 128, 0], [255, 0, 0], [0, 0, 255]] if palette == "custom" else [[1, 2, 3]], np.uint8
    )
    picture = np.full((5, 7, 4), 255, np.uint8)
    picture[..., :3] = colours[np.arange(35).reshape(5, 7) % len(colours)]
    given = drawing({0: patch(base, picture, width=50, height=40)})
    result, *_ = run(map_, given, palette=palette, custom_palette=TOY)

    assert np.array_equal(painted(result[0]), drawn(base, picture))
    kept = (result == before).all(-1)
    assert kept.sum() >= 40 * 50 - 35
    assert kept[0, :20].all()


def test_without_a_base_it_goes_on_any_map_of_the_size(run):
    given = drawing({0: patch("")})
    for map_ in (scene(), scene((40, 70), "bear")):
        result, *_ = run(map_, given)
        assert np.array_equal(painted(result[0]), drawn(painted(map_[0])))
    with pytest.raises(ValueError, match="drawing was made on a map of 96×96 px, but this one is 64×64 px"):
        run(scene(side=64), given)


def test_the_help_page_shows_one(run):
    (example,) = re.findall(r'```\n(\{"version".*?)```', PAGE.read_text("utf-8"), re.DOTALL)
    given = json.loads(example.replace("<base64>", patch("")["png"]))
    result, *_ = run(scene(side=512), given)
    assert np.array_equal(painted(result[0]), drawn(painted(scene(side=512)[0]), x=40, y=60))


def test_a_long_report_is_cut_in_the_node_only(run, monkeypatch):
    from finesse.nodes.maps import edit_map

    shown = []
    monkeypatch.setattr(edit_map, "show_text", lambda _, text: shown.append(text))
    *_, report, _ = run(scene().repeat(12, 1, 1, 1), edits=MOVE)
    assert len(report.splitlines()) == 12
    assert shown[0].splitlines() == [*report.splitlines()[:8], "… and 4 more lines in report"]


def test_no_drawing_is_no_edit(run):
    for empty in (None, {}, {"version": 1, "maps": {}}):
        result, changed, report, _ = run(scene(), empty)
        assert torch.equal(result, scene())
        assert not changed.any()
        assert report == "no edits"


# The page


def test_the_page_is_told_the_bases(run, folders):
    map_ = torch.cat([scene(), scene((50, 70)), scene()])
    *_, told = run(map_, edits=MOVE, objects="dog, cat", minimal_area=0.01)
    bases = [apply_edits(base, MOVE, COCO_STUFF) for base in painted(map_)]
    for base, shown in zip(bases, told["maps"], strict=True):
        assert shown["type"] == "temp"
        with Image.open(folders[1] / shown["subfolder"] / shown["filename"]) as saved:
            assert (saved.format, saved.mode) == ("PNG", "RGB")
            assert np.array_equal(np.asarray(saved), base)
        assert shown["sha256"] == map_hash(base)
        assert (shown["width"], shown["height"]) == (96, 96)
    assert told["maps"][0] == told["maps"][2]
    assert told["palette"]["name"] == "coco-stuff"
    assert told["palette"]["labels"] == list(COCO_STUFF.labels)
    assert told["palette"]["colours"] == [list(colour) for colour in COCO_STUFF.colours]
    assert told["wanted"] == [{"name": name, "labels": [COCO_STUFF.index(name)]} for name in ("dog", "cat")]
    assert told["minimal_area"] == 0.01
    assert json.loads(json.dumps(told)) == told


def test_the_base_of_a_map_without_palette_is_rounded(run, folders):
    map_ = torch.full((1, 2, 3, 3), 100.6 / 255)
    *_, told = run(map_, palette="none")
    shown = told["maps"][0]
    assert (
        np.asarray(Image.open(folders[1] / shown["subfolder"] / shown["filename"]))[0, 0].tolist()
        == [101] * 3
    )
    assert (told["palette"], told["wanted"]) == (None, [])


def test_a_drawn_map_is_shown_without_its_drawing(run):
    base = painted(scene()[0])
    *_, told = run(scene(), drawing({0: patch(base)}))
    assert told["maps"][0]["sha256"] == map_hash(base)


def test_files_are_written_once_for_each_content(run, folders):
    run(scene())
    before = {path: path.stat().st_mtime_ns for path in (folders[1] / "finesse").iterdir()}
    run(scene().repeat(8, 1, 1, 1))
    assert {path: path.stat().st_mtime_ns for path in (folders[1] / "finesse").iterdir()} == before


def test_the_page_costs_little_on_a_large_batch(folders, measured):
    from finesse.nodes.maps.editor_drawing import editor_data

    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 183, (64, 32, 32))
    bases = COCO_STUFF.encode(coarse.repeat(16, 1).repeat(16, 2))
    start = time.perf_counter()
    editor_data("1", bases, [map_hash(base) for base in bases], COCO_STUFF, {}, 0.003)
    seconds = time.perf_counter() - start
    measured(f"telling the page 64 maps of 512×512: {seconds:.2f} s")
    assert seconds < 4


def test_before_a_stale_drawing_ends_the_run_the_page_is_told(run, monkeypatch):
    from server import PromptServer

    server = Server()
    monkeypatch.setattr(PromptServer, "instance", server, raising=False)
    run(scene(), drawing({0: patch(painted(scene()[0]))}))
    assert server.sent == []
    with pytest.raises(ValueError, match="the map has changed since drawing was made"):
        run(scene(), drawing({0: patch(painted(scene((50, 70))[0]))}))
    ((event, told, client),) = server.sent
    assert (event, client) == ("finesse.map", "page")
    assert told["maps"][0]["sha256"] == map_hash(painted(scene()[0]))


# Objects


def test_the_report_says_which_objects_are_missing(run):
    base = painted(scene()[0])
    wanted = {"objects": "a dog, kitten, sky", "minimal_area": 0.002}
    *_, report, _ = run(scene(), **wanted)
    assert report == "objects: recall 67%, missing cat"
    *_, report, _ = run(torch.cat([scene(), scene()]), drawing({1: patch(base)}), **wanted)
    assert report.splitlines() == [
        "map 1: objects: recall 67%, missing cat",
        "map 2: drawing: changed 0.2% of the map, within 6×4 px at (10, 20)",
        "map 2: objects: recall 100%",
    ]


# Files in ComfyUI's input folder


def test_a_large_drawing_is_read_from_the_input_folder(run, folders):
    base = painted(scene()[0])
    put(folders[0], "finesse/large.png", png(square()))
    result, *_ = run(scene(), drawing({0: patch(base, file="finesse/large.png")}))
    assert np.array_equal(painted(result[0]), drawn(base))


def test_a_changed_file_runs_the_node_again(folders):
    from finesse.nodes.maps.edit_map import EditMap

    base = painted(scene()[0])
    given = {"edits": "[]", "drawing": drawing({0: patch(base, file="finesse/changing.png")})}
    prints = [EditMap.fingerprint_inputs(**given)]
    for height in (4, 5):
        put(folders[0], "finesse/changing.png", png(square(height=height)))
        prints.append(EditMap.fingerprint_inputs(**given))
    assert len(set(prints)) == 3
    assert EditMap.fingerprint_inputs(**given) == prints[-1]
    assert EditMap.fingerprint_inputs(edits="[]") == ""
    assert EditMap.fingerprint_inputs(drawing=drawing({0: patch(base)})) == ""


@pytest.mark.parametrize(
    "name", ["../secret.png", "finesse/../../secret.png", "..\\secret.png", "/etc/passwd", "C:\\secret.png"]
)
def test_a_file_elsewhere_is_refused(run, folders, name):
    put(folders[0].parent, "secret.png", png(square()))
    with pytest.raises(ValueError, match=r"drawing: file: .* leads out of"):
        run(scene(), drawing({0: patch(painted(scene()[0]), file=name)}))


def test_a_link_to_elsewhere_is_refused(run, folders, tmp_path):
    put(tmp_path, "secret.png", png(square()))
    (folders[0] / "link.png").symlink_to(tmp_path / "secret.png")
    (folders[0] / "linked").symlink_to(tmp_path, target_is_directory=True)
    for name in ("link.png", "linked/secret.png"):
        with pytest.raises(ValueError, match="is a link from"):
            run(scene(), drawing({0: patch(painted(scene()[0]), file=name)}))


# Bad input


def bad(**values):
    return drawing({0: patch(painted(scene()[0]), **values)})


@pytest.mark.parametrize(
    ("given", "inputs", "said"),
    [
        ({"version": 3}, {}, "^drawing has version 3"),
        (bad(x=91), {}, r"^drawing: its picture of 6×4 px at \(91, 20\) reaches past the map"),
        (bad(png=base64.b64encode(png(square())[:-20]).decode()), {}, "^drawing: its PNG is damaged"),
        (bad(png=base64.b64encode(flipped(png(square()), 45)).decode()), {}, "^drawing: its PNG is damaged"),
        (bad(png=base64.b64encode(b"no picture").decode()), {}, "^drawing: its picture is no PNG"),
        (bad(picture=square((1, 2, 3))), {}, r"drawn at \(11, 20\) is \[1, 2, 3\], which is no colour of"),
        (bad(file="finesse/none.png"), {}, "^drawing: file 'finesse/none.png' is missing in .*input"),
        (drawing({1: patch("")}), {}, "^drawing has a patch for map 2 but map has 1 pictures"),
        (
            drawing({1: patch(painted(scene()[0]))}),
            {"map_": torch.cat([scene(), scene((50, 70))])},
            "^map 2: the map has changed since drawing was made",
        ),
        ({}, {"objects": "dog, unicorn"}, "objects: the palette coco-stuff has no 'unicorn'"),
        ({}, {"objects": ","}, "objects is ','"),
        ({}, {"objects": "dog", "palette": "none"}, "objects is 'dog', but with palette none"),
        ({}, {"objects": "dog", "minimal_area": 2}, "minimal_area: got 2"),
    ],
)
def test_bad_input_is_named(run, given, inputs, said):
    with pytest.raises(ValueError, match=said):
        run(**{"map_": scene(), "drawing": given, **inputs})
