"""*Save Layered Edit* and *Load Layered Edit* in this process, in folders of their own."""

from __future__ import annotations

import pytest
import torch
from finesse.core import files
from finesse.core.layers.files import LayeredEdit, read_edit, write_edit
from finesse.core.lora_files import layer_key
from finesse.tests.nodes.factors.small_factors import prompts
from finesse.tests.nodes.layers.photo_layers import BACKGROUND, OBJECT, fine_tune
from finesse.tests.nodes.layers.trainable import comfy_names, in_comfyui, small_sdxl
from finesse.tests.nodes.maps.running import run

POSITIVE = prompts(seed=6)
POOLED = torch.arange(5.0)[None]


@pytest.fixture(scope="module")
def output(factor_control, tmp_path_factory):
    """output/finesse_layers, which is also a folder to load from."""
    import folder_paths
    from finesse.nodes.layers import edit_files

    place = tmp_path_factory.mktemp("output")
    before = folder_paths.get_output_directory(), folder_paths.folder_names_and_paths[edit_files.FOLDER]
    folder_paths.set_output_directory(str(place))
    paths = ([str(place / edit_files.FOLDER)], {edit_files.SUFFIX})
    folder_paths.folder_names_and_paths[edit_files.FOLDER] = paths
    yield place / edit_files.FOLDER
    folder_paths.set_output_directory(before[0])
    folder_paths.folder_names_and_paths[edit_files.FOLDER] = before[1]


@pytest.fixture
def save(output):
    """Saves and tells the name under which the file is to be loaded."""
    from finesse.nodes.layers.edit_files import SaveLayeredEdit

    def call(lora=None, positive=POSITIVE, filename_prefix="edit", **texts):
        given = {"lora": lora or {}, "positive": positive, "filename_prefix": filename_prefix}
        with torch.inference_mode():
            told = SaveLayeredEdit.execute(**given, **texts).ui.as_dict()["text"][0]
        return told.removeprefix("saved as ")

    return call


@pytest.fixture
def load(output):
    from finesse.nodes.layers.edit_files import LoadLayeredEdit

    return lambda model, edit, strength=1.0: run(LoadLayeredEdit, model=model, edit=edit, strength=strength)


@pytest.fixture(scope="module")
def learnt(trainable_model, vae):
    """By kind of weights, what Fine-Tune Layers gives."""
    return {
        kind: fine_tune(trainable_model, vae, weights=kind, learning_rate=1e-3, rank=2)
        for kind in ("full", "low-rank")
    }


@pytest.mark.parametrize("kind", ["full", "low-rank"])
def test_an_edit_comes_back_as_it_was(trainable_model, learnt, save, load, kind):
    texts = {"object": OBJECT, "background": [[BACKGROUND[0][0], {"pooled_output": POOLED}]]}
    name = save(learnt[kind].lora, **texts)
    found = load(trainable_model, name)
    assert torch.equal(in_comfyui(found.model), in_comfyui(learnt[kind].model))
    for given, text in ((POSITIVE, found.positive), (OBJECT, found.object), (BACKGROUND, found.background)):
        assert torch.equal(given[0][0], text[0][0])
    assert found.positive[0][1] == {}
    assert torch.equal(found.background[0][1]["pooled_output"], POOLED)


def test_at_strength_0_the_model_is_the_plain_one_and_at_half_it_is_between(
    trainable_model, learnt, save, load
):
    name = save(learnt["low-rank"].lora)
    plain, full = in_comfyui(trainable_model), in_comfyui(learnt["low-rank"].model)
    assert torch.equal(in_comfyui(load(trainable_model, name, 0.0).model), plain)
    half = in_comfyui(load(trainable_model, name, 0.5).model)
    assert 0 < (half - plain).norm() < (full - plain).norm()
    assert torch.equal(in_comfyui(trainable_model), plain)


def test_a_text_that_was_not_saved_stops_only_what_reads_it(trainable_model, save, load):
    name = save(object=OBJECT)
    found = load(trainable_model, name)
    assert torch.equal(found.object[0][0], OBJECT[0][0])
    assert found.background.message.startswith(
        f"Load Layered Edit: background is linked but {name} holds none"
    )


def test_one_text_may_be_saved_in_all_places(save, output):
    stored = read_edit(output / save(object=POSITIVE, background=POSITIVE))
    assert all(torch.equal(text, POSITIVE[0][0]) for text in stored.embeddings.values())
    assert len(stored.embeddings) == 3


def test_files_are_numbered_and_listed_with_their_folders(save, output):
    import folder_paths

    names = [save(filename_prefix="photos/dog") for _ in range(2)]
    assert names == ["photos/dog_00001_.safetensors", "photos/dog_00002_.safetensors"]
    assert set(names) <= set(folder_paths.get_filename_list("finesse_layers"))
    assert save(filename_prefix="photos\\dog") == "photos/dog_00003_.safetensors"
    assert not list(output.rglob("*.tmp"))


@pytest.mark.parametrize("prefix", ["../edit", "/edit", "a/../../edit", "..\\edit", "C:\\edit", ""])
def test_a_file_is_not_written_outside_its_folder(save, output, prefix):
    before = set(output.parent.rglob("*"))
    with pytest.raises(ValueError, match="filename_prefix: "):
        save(filename_prefix=prefix)
    assert {path for path in output.parent.rglob("*") if path.is_file()} <= before


def test_an_edit_without_a_text_is_not_saved(save):
    with pytest.raises(ValueError, match="positive holds no prompt; link positive of Optimise Layers"):
        save(positive=[])
    with pytest.raises(ValueError, match="object holds no prompt"):
        save(object=[])


def test_the_script_s_names_of_weights_are_read_too(trainable_model, learnt, output, load):
    theirs = comfy_names(trainable_model)
    renamed = {}
    for key, tensor in learnt["full"].lora.items():
        layer, part = key.rsplit(".", 1)
        name = layer.removeprefix("diffusion_model.")
        renamed[f"{layer_key(theirs[name + '.weight'].removesuffix('.weight'))}.{part}"] = tensor
    write_edit(output / "script.safetensors", LayeredEdit(renamed, {"positive": POSITIVE[0][0]}))
    found = load(trainable_model, "script.safetensors")
    assert torch.equal(in_comfyui(found.model), in_comfyui(learnt["full"].model))


def write(output, lora, width=192):
    texts = {"positive": torch.zeros(1, 32, width)}
    write_edit(output / "odd.safetensors", LayeredEdit(lora, texts, {"finesse.base": "SD9"}))


LAYER = "diffusion_model.input_blocks.0.0"
ODD = {
    "unknown layer": (
        {"diffusion_model.x.diff": torch.zeros(2)},
        192,
        "its weight diffusion_model.x.diff belongs to no",
    ),
    "other shape": (
        {f"{LAYER}.diff": torch.zeros(64, 9, 3, 3)},
        192,
        r"is of shape \[64, 9, 3, 3\], but the model's weight is \[64, 4, 3, 3\]",
    ),
    "other bias": ({f"{LAYER}.diff_b": torch.zeros(65)}, 192, r"is of shape \[65\]"),
    "other low rank": ({f"{LAYER}.lora_down.weight": torch.zeros(2, 81)}, 192, r"is of shape \[2, 81\]"),
    "other texts": (
        {},
        768,
        r"its texts have 768 numbers \(SD1.x\) a token, and the model reads 192 numbers",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_an_edit_of_another_model_is_refused(trainable_model, output, load, case):
    lora, width, message = ODD[case]
    write(output, lora, width)
    with pytest.raises(
        ValueError, match=f"edit: odd.safetensors was made with SD9, but model is .*{message}"
    ):
        load(trainable_model, "odd.safetensors")
    assert not trainable_model.patches


def test_an_sdxl_needs_a_pooled_text(factor_control, output, load):
    write(output, {})
    with pytest.raises(ValueError, match="it holds no pooled text, which the model also reads"):
        load(small_sdxl(), "odd.safetensors")


def test_a_file_that_is_no_edit_is_refused(trainable_model, output, load):
    files.write_tensors(output / "lora.safetensors", {"x.diff": torch.zeros(2)})
    (output / "short.safetensors").write_bytes(b"\0" * 5)
    for name, message in (("lora", r"is no layered edit"), ("short", "is cut short or damaged")):
        with pytest.raises(ValueError, match=message):
            load(trainable_model, f"{name}.safetensors")
