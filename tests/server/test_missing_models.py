"""What the server answers to a prompt that names a model file which is not there."""

from __future__ import annotations

import json
import shutil
import urllib.error
from pathlib import Path

import pytest
from finesse.miniature.stored import FACTORS
from finesse.tests.prompts import node, text_to_image

MODEL, PICTURE = {"model": ["model", 0]}, {"image": ["picture", 0]}
LOADERS = {  # the input that names a file -> its node, with what else the node needs
    "factor": ("FinesseLoadFactor", {}),
    "lora": ("FinesseLoadSOLoRA", {**MODEL, "strength": 1.0, "tuned_vae": "none"}),
    "edit": ("FinesseLoadLayeredEdit", {**MODEL, "strength": 1.0}),
    "segmenter": ("FinesseSegmentImage", {**PICTURE, "palette": "ade20k"}),
    "checkpoint": ("FinesseSegmentObject", PICTURE),
}


def loading(name, file):
    """A prompt that loads `file` in the loader whose input is called `name`."""
    loader, needed = LOADERS[name]
    return {
        "model": text_to_image()["model"],
        "picture": node("EmptyImage", width=64, height=64, batch_size=1, color=0),
        name: node(loader, **needed, **{name: file}),
        "shown": node("PreviewAny", source=[name, 0]),
    }


def refusal(client, prompt):
    """HTTP status and the errors of each node of a prompt that is refused."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        client.post("/prompt", {"prompt": prompt})
    return refused.value.code, json.loads(refused.value.read())["node_errors"]


@pytest.mark.parametrize("name", LOADERS)
def test_a_missing_file_is_refused_with_its_folder(client, server, name):
    code, errors = refusal(client, loading(name, "absent.safetensors"))

    assert code == 400
    (error,) = (one for one in errors[name]["errors"] if one["extra_info"]["input_name"] == name)
    assert error["type"] == "custom_validation_failed"
    assert f"'absent.safetensors' is not in {server.folder.name}/" in error["details"]
    assert "Put it there, press R and choose it." in error["details"]


@pytest.fixture
def no_factors(server):
    """The folder of factors, emptied for the while."""
    folder = server.folder / "models" / "finesse_factors"
    folder.rename(folder.with_name("away"))
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)
    folder.with_name("away").rename(folder)


def test_an_empty_folder_is_told_and_a_file_put_there_is_found_without_a_restart(client, no_factors):
    def options():
        info = client.get_json("/object_info/FinesseLoadFactor")["FinesseLoadFactor"]
        return info["input"]["required"]["factor"][1]["options"]

    (offered,) = options()
    _, errors = refusal(client, loading("factor", offered))
    assert "factor - nothing is chosen from" in errors["factor"]["errors"][0]["details"]

    (no_factors / "mine").mkdir()
    shutil.copy(no_factors.with_name("away") / FACTORS[0], no_factors / "mine" / "new.safetensors")
    assert options() == [str(Path("mine", "new.safetensors"))]
    for name in ("mine/new.safetensors", "mine\\new.safetensors"):
        assert client.run(loading("factor", name))["shown"]
