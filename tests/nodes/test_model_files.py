"""What loaders offer, and what they tell of a file that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest
from finesse.demo.workflows import examples

ROOT = Path(__file__).resolve().parents[2]
KIND = "finesse_test_files"
LOADERS = {  # node -> its inputs that name files, with the folder that they lie in and a word of their source
    "FinesseLoadFactor": {"factor": ("finesse_factors", "finesse.training.factor")},
    "FinesseLoadSOLoRA": {
        "lora": ("loras", "finesse.training.so_lora"),
        "tuned_vae": ("vae", "finesse.training.vae"),
    },
    "FinesseLoadLayeredEdit": {"edit": ("finesse_layers", "Save Layered Edit")},
    "FinesseSegmentImage": {"segmenter": ("finesse_segmenters", "preprocessor_config.json")},
    "FinesseSegmentObject": {"checkpoint": ("sams", "sam_vit_b_01ec64.pth")},
}


@pytest.fixture(scope="module")
def loaders(comfy):
    from finesse.nodes.factors import load as factors
    from finesse.nodes.layers import edit_files, segment_object
    from finesse.nodes.maps import segment_image
    from finesse.nodes.small_objects import so_lora

    classes = (
        factors.LoadFactor,
        so_lora.LoadSOLoRA,
        edit_files.LoadLayeredEdit,
        segment_image.SegmentImage,
        segment_object.SegmentObject,
    )
    return {cls.define_schema().node_id: cls for cls in classes}


@pytest.fixture
def folder(tmp_path, monkeypatch, comfy):
    """A kind of model folder of its own, inside ComfyUI's base folder; empty."""
    import folder_paths

    monkeypatch.setattr(folder_paths, "base_path", str(tmp_path / "ComfyUI"))
    monkeypatch.setattr(folder_paths, "models_dir", str(tmp_path / "ComfyUI" / "models"))
    place = tmp_path / "ComfyUI" / "models" / KIND
    place.mkdir(parents=True)
    yield place
    folder_paths.folder_names_and_paths.pop(KIND, None)
    folder_paths.filename_list_cache.pop(KIND, None)


@pytest.fixture
def files(folder):
    from finesse.nodes.model_files import ModelFiles, add_folder

    suffixes = (".safetensors", ".pth")
    return ModelFiles("file", add_folder(KIND, suffixes=suffixes), "Make one by hand.", suffixes)


def test_it_offers_the_files_of_its_kind_in_subfolders_too(files, folder):
    (folder / "sub").mkdir()
    for name in ("b.safetensors", "A.PTH", "sub/c.pth", "readme.txt"):
        (folder / name).touch()

    assert files.names() == ["A.PTH", "b.safetensors", str(Path("sub", "c.pth"))]
    assert files.combo().options == files.names()
    assert files.path("b.safetensors") == folder / "b.safetensors"
    assert files.missing("b.safetensors") == ""


@pytest.mark.parametrize("name", ["sub/c.pth", "sub\\c.pth"])
def test_a_name_from_another_system_is_found(files, folder, name):
    (folder / "sub").mkdir()
    (folder / "sub" / "c.pth").touch()
    assert files.path(name) == folder / "sub" / "c.pth"


@pytest.mark.parametrize("name", ["../secret.pth", "/secret.pth", "sub/../../secret.pth", ".", "readme.txt"])
def test_what_it_does_not_offer_is_not_found(files, folder, name):
    (folder.parent / "secret.pth").touch()
    (folder / "readme.txt").touch()
    with pytest.raises(ValueError, match=r"^file: "):
        files.path(name)


def test_a_missing_file_is_told_with_its_folder_its_source_and_what_is_there(files, folder):
    (folder / "depth.pth").touch()
    told = files.missing("pose.pth")
    expected = (
        f"'pose.pth' is not in ComfyUI/models/{KIND} (found there: depth.pth). Make one by hand. "
        "Put it there, press R and choose it."
    )
    assert told == expected
    with pytest.raises(ValueError, match=r"^file: 'pose.pth' is not in ComfyUI/models/"):
        files.path("pose.pth")


def test_of_many_files_the_most_alike_are_told_first(files, folder):
    for number in range(20):
        (folder / f"other{number}.pth").touch()
    (folder / "segmentation_v2.pth").touch()
    assert "(found there: segmentation_v2.pth, " in files.missing("segmentation.pth")
    assert " and 13 more)" in files.missing("segmentation.pth")


def test_an_empty_folder_is_told_in_the_list_and_in_words(files):
    (option,) = files.combo().options
    told = f"nothing is chosen from ComfyUI/models/{KIND} (found there: nothing)"
    for chosen in (option, ""):
        assert files.missing(chosen).startswith(told)
    with pytest.raises(ValueError, match=r"^file: nothing is chosen"):
        files.path(None)


def test_a_linked_name_is_left_to_the_run(files):
    assert files.missing(None) == ""


@pytest.mark.parametrize("value", [5, True, {"name": "a.pth"}, ["a.pth"]])
def test_what_is_no_name_is_not_there(files, value):
    assert " is not in ComfyUI/models/" in files.missing(value)


def test_a_files_fingerprint_changes_with_its_content_and_its_place(files, folder, tmp_path):
    import folder_paths

    assert files.fingerprint("a.pth") == "[]"
    (folder / "a.pth").write_bytes(b"one")
    (folder / "b.pth").write_bytes(b"one")
    first = files.fingerprint("a.pth")
    assert files.fingerprint("a.pth") == first != files.fingerprint("b.pth")
    (folder / "a.pth").write_bytes(b"two")  # of the same size
    second = files.fingerprint("a.pth")
    assert second != first
    (folder / "a.pth").unlink()
    assert files.fingerprint("a.pth") == "[]"
    elsewhere = tmp_path / "shared" / KIND
    elsewhere.mkdir(parents=True)
    (elsewhere / "a.pth").write_bytes(b"two")
    folder_paths.add_model_folder_path(KIND, str(elsewhere))
    assert files.fingerprint("a.pth") not in (first, second, "[]")


def test_a_linked_names_fingerprint_changes_with_any_file(files, folder):
    (folder / "a.pth").write_bytes(b"one")
    prints = [files.fingerprint(None)]
    (folder / "b.pth").write_bytes(b"one")
    prints.append(files.fingerprint(None))
    (folder / "a.pth").write_bytes(b"more")
    prints.append(files.fingerprint(None))
    assert len(set(prints)) == 3
    assert files.fingerprint(None) == prints[-1]


@pytest.mark.parametrize(("node", "name"), [(node, name) for node in LOADERS for name in LOADERS[node]])
def test_a_loader_runs_again_when_its_file_has_changed(loaders, node, name, tmp_path, monkeypatch):
    import folder_paths

    kind, _ = LOADERS[node][name]
    suffixes = folder_paths.folder_names_and_paths[kind][1]
    monkeypatch.setitem(folder_paths.folder_names_and_paths, kind, ([str(tmp_path)], suffixes))
    own = tmp_path / "own"
    if node == "FinesseSegmentImage":
        own.mkdir()
        (own / "config.json").write_text("{}")
        changed = own / "model.safetensors"
    else:
        changed = own = tmp_path / "own.safetensors"

    def fingerprint():
        return loaders[node].fingerprint_inputs(**{name: own.name, "model": None, "image": None})

    changed.write_bytes(b"1")
    before = fingerprint()
    assert fingerprint() == before
    changed.write_bytes(b"22")
    assert fingerprint() != before
    if own.is_dir():
        before = fingerprint()
        (own / "config.json").write_text('{"id2label": {}}')
        assert fingerprint() != before


def test_a_folder_that_lies_elsewhere_is_told_in_full(files, tmp_path):
    import folder_paths

    elsewhere = tmp_path / "shared" / KIND
    folder_paths.add_model_folder_path(KIND, str(elsewhere))
    assert f"is not in ComfyUI/models/{KIND} or {elsewhere} (" in files.missing("pose.pth")


def test_a_link_that_leads_nowhere_is_a_missing_file(files, folder):
    (folder / "gone.pth").symlink_to(folder / "away.pth")
    assert files.missing("gone.pth").startswith("'gone.pth' is not in")


@pytest.mark.parametrize(("node", "name"), [(node, name) for node in LOADERS for name in LOADERS[node]])
def test_a_loader_tells_what_is_missing_before_the_run(loaders, node, name):
    folder, source = LOADERS[node][name]
    told = loaders[node].validate_inputs(**{name: "absent.safetensors"})
    assert "'absent.safetensors' is not in " in told
    assert f"models/{folder}" in told
    assert source in told
    assert loaders[node].validate_inputs() is True


def test_both_files_of_a_loader_are_told_at_once(loaders):
    validate = loaders["FinesseLoadSOLoRA"].validate_inputs
    lora, vae = validate(lora="a.safetensors", tuned_vae="b.safetensors").split("\n")
    assert lora.startswith("lora: 'a.safetensors' is not in ")
    assert vae.startswith("tuned_vae: 'b.safetensors' is not in ")
    assert validate(lora=None, tuned_vae="b.safetensors") == vae
    assert validate(lora=None, tuned_vae="none") is True


@pytest.mark.parametrize("node", LOADERS)
def test_a_loaders_help_page_names_its_folders_and_the_message(node):
    page = (ROOT / "web" / "docs" / f"{node}.md").read_text("utf-8")
    for folder, source in LOADERS[node].values():
        assert f"ComfyUI/models/{folder}" in page
        assert source.removeprefix("finesse.") in page
    assert "is not in … (found there: …)" in page


@pytest.mark.parametrize("name", examples())
def test_an_examples_note_names_the_folders_of_its_files(name):
    nodes = examples()[name]["nodes"]
    notes = " ".join(node["widgets_values"][0] for node in nodes if node["type"] == "MarkdownNote")
    assert notes
    for node in nodes:
        for folder, _ in LOADERS.get(node["type"], {}).values():
            assert f"`ComfyUI/models/{folder}" in notes


@pytest.mark.parametrize("name", examples())
def test_the_page_is_told_the_folders_of_an_examples_files(name):
    for node in examples()[name]["nodes"]:
        folders = [folder for folder, _ in LOADERS.get(node["type"], {}).values()]
        told = {model["name"]: model["directory"] for model in node["properties"].get("models", [])}
        assert all(name in node["widgets_values"] for name in told)
        if folders and node["type"] != "FinesseSegmentImage":  # which takes a folder, not a file
            assert set(told.values()) == set(folders)
