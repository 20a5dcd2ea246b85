"""Weight files that are missing or cut off, and file names that lead out of their folder."""

from __future__ import annotations

import pytest
from finesse.demo.client import ComfyError
from finesse.tests.prompts import edit, node, text_to_image

BOX = {"x": 16, "y": 24, "width": 16, "height": 12}
WEIGHT_FILES = (
    "unet_inpainting/diffusion_pytorch_model.safetensors",
    "unet_inpainting/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors",
)


@pytest.fixture
def spoilt(weights, forget, request):
    """The path of a weight file, which is put right again afterwards."""
    path = weights / request.param
    content = path.read_bytes()
    forget()
    yield path
    path.write_bytes(content)
    forget()


@pytest.mark.parametrize("spoilt", [*WEIGHT_FILES, "tokenizer/vocab.json"], indirect=True)
def test_a_missing_weight_file_is_named(client, scene_file, spoilt):
    spoilt.unlink()
    with pytest.raises(ComfyError) as refused:
        client.run(edit(scene_file, BOX, steps=1))

    assert refused.value.node_id == "model"
    assert spoilt.name in refused.value.message
    assert str(spoilt.parent) in refused.value.message


@pytest.mark.parametrize("spoilt", WEIGHT_FILES, indirect=True)
def test_a_truncated_weight_file_is_named(client, scene_file, spoilt):
    spoilt.write_bytes(spoilt.read_bytes()[: spoilt.stat().st_size // 2])
    with pytest.raises(ComfyError) as refused:
        client.run(edit(scene_file, BOX, steps=1))

    assert refused.value.node_id == "model"
    assert spoilt.name in refused.value.message
    assert str(spoilt.parent) in refused.value.message


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "..\\secret.png", "a/../../secret.png"])
def test_a_picture_outside_the_input_folder_is_not_read(server, client, scene_png, name):
    (server.folder / "secret.png").write_bytes(scene_png)
    with pytest.raises(ComfyError) as refused:
        client.run(edit(name, BOX, steps=1))

    assert refused.value.node_id == "image"


@pytest.mark.parametrize("name", ["../weights", "/etc/passwd", "..\\weights"])
def test_a_model_outside_its_folder_is_not_read(client, name):
    prompt = text_to_image()
    prompt["model"]["inputs"]["model"] = name
    with pytest.raises(ComfyError) as refused:
        client.run(prompt)

    assert (refused.value.kind, refused.value.node_id) == ("value_not_in_list", "model")


@pytest.mark.parametrize("prefix", ["../escaped", "/escaped", "a/../../escaped"])
def test_a_result_is_not_written_outside_the_output_folder(server, client, prefix):
    picture = {"empty": node("EmptyImage", width=8, height=8, batch_size=1, color=0)}
    with pytest.raises(ComfyError):
        client.run(picture | {"save": node("SaveImage", images=["empty", 0], filename_prefix=prefix)})

    assert not list(server.folder.glob("escaped*"))


@pytest.mark.parametrize("name", ["../uploaded.png", "../../uploaded.png"])
def test_an_upload_does_not_leave_the_input_folder(server, client, scene_png, name):
    with pytest.raises(OSError, match="400"):
        client.upload(scene_png, name)

    assert not list(server.folder.parent.glob("uploaded*"))
    assert not list(server.folder.glob("uploaded*"))
