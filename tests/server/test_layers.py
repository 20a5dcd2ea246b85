"""LayerDiffusion on the real server: a photo's edit from end to end, its cache, Cancel and failures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from finesse.core.layers.files import LayeredEdit, write_edit
from finesse.demo.client import ComfyError
from finesse.demo.prompts import png
from finesse.miniature.world.scenes import scene
from finesse.tests.prompts import node, picture, text_to_image

LEARNT = {"reference", "optimise", "tune"}  # what takes long
TUNING = {
    "weights": "low-rank",
    "rank": 4,
    "steps": 3,
    "learning_rate": 0.001,
    "balance": "object 2 : 1",
    "object_weight": 2.0,
    "background_weight": 1.0,
    "seed": 0,
}


@pytest.fixture
def photo(client):
    """A picture of the miniature world whose alpha is 0 on one object, so that Load Image gives its mask."""
    shown = scene(5, 64)
    x, y, width, height = shown.objects[0].box
    alpha = np.full((64, 64, 1), 255, np.uint8)
    alpha[y : y + height, x : x + width] = 0
    return client.upload(png(np.concatenate([shown.image, alpha], -1)), "layers.png")


@pytest.fixture(autouse=True, scope="module")
def tidy(server):
    """Takes away what the tests have put into lists of files to choose from."""
    folders = ("output/loras", "output/finesse_layers", "models/finesse_layers")

    def files():
        return {path for name in folders for path in (server.folder / name).rglob("*.safetensors")}

    before = files()
    yield
    for path in files() - before:
        path.unlink()  # and not the folder: ComfyUI asks for those that it knows


def layered_edit(photo, sampler_seed=0, tuning=(), **nodes):
    """The whole graph; nodes of `nodes` take the place of its own."""
    pictures = {"image": ["photo", 0], "mask": ["photo", 1], "reference": ["reference", 0]}
    common = {"model": ["model", 0], "vae": ["model", 2]}
    sampling = {"seed": 0, "steps": 2, "cfg": 4.0, "sampler_name": "euler", "scheduler": "normal"}
    return {
        "model": node("FinesseMiniatureLoader", model="text-to-image"),
        "a": node("CLIPTextEncode", clip=["model", 1], text="a blue car"),
        "b": node("CLIPTextEncode", clip=["model", 1], text="snow"),
        "negative": node("CLIPTextEncode", clip=["model", 1], text=""),
        "photo": node("LoadImage", image=photo),
        "reference": node(
            "FinesseReferenceBackground",
            **common,
            image=["photo", 0],
            mask=["photo", 1],
            positive=["b", 0],
            negative=["negative", 0],
            source="draw",
            **sampling,
        ),
        "optimise": node(
            "FinesseOptimiseLayers",
            **common,
            object=["a", 0],
            background=["b", 0],
            **pictures,
            steps=3,
            learning_rate=0.001,
            alpha=0.7,
            seed=0,
        ),
        "tune": node(
            "FinesseFineTuneLayers", **common, positive=["optimise", 0], **pictures, **TUNING | dict(tuning)
        ),
        "guider": node(
            "FinesseIterativeGuidance",
            model=["tune", 1],
            positive=["optimise", 0],
            object=["a", 0],
            negative=["negative", 0],
            cfg=4.0,
            every=2,
            start_percent=0.0,
            end_percent=1.0,
        ),
        "noise": node("RandomNoise", noise_seed=sampler_seed),
        "sigmas": node("BasicScheduler", model=["model", 0], scheduler="normal", steps=4, denoise=1.0),
        "sampler": node("KSamplerSelect", sampler_name="euler"),
        "latent": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "sample": node(
            "SamplerCustomAdvanced",
            noise=["noise", 0],
            guider=["guider", 0],
            sampler=["sampler", 0],
            sigmas=["sigmas", 0],
            latent_image=["latent", 0],
        ),
        "decode": node("VAEDecode", samples=["sample", 0], vae=["model", 2]),
        "save": node("SaveImage", images=["decode", 0], filename_prefix="layers"),
        **nodes,
    }


def with_model(prompt, source, **nodes):
    """The same graph sampled with another model."""
    guider = {**prompt["guider"], "inputs": {**prompt["guider"]["inputs"], "model": source}}
    return {**prompt, "guider": guider, **nodes}


def cached(client, prompt_id):
    """The nodes that did not run, for the server knew their results."""
    messages = client.history(prompt_id)["status"]["messages"]
    return {name for kind, data in messages if kind == "execution_cached" for name in data["nodes"]}


def test_another_seed_of_the_sampler_learns_nothing_anew(client, pixels, photo, forget):
    forget()
    first = client.queue(layered_edit(photo, 1))
    before = pixels(client.images(client.wait(first))["save"][0])
    second = client.queue(layered_edit(photo, 2))
    after = pixels(client.images(client.wait(second))["save"][0])
    assert not LEARNT & cached(client, first)
    assert layered_edit(photo).keys() - cached(client, second) == {"noise", "sample", "decode", "save"}
    assert (before != after).any()


def test_the_same_edit_twice_gives_the_same_pixels(client, pixels, photo, forget):
    forget()
    first = pixels(picture(client, layered_edit(photo, 3)))
    forget()
    assert (pixels(picture(client, layered_edit(photo, 3))) == first).all()


@pytest.mark.parametrize("kind", ["low-rank", "full"])
def test_stock_nodes_take_what_was_learnt(server, client, pixels, photo, kind):
    tuning = {"weights": kind, "rank": 2, "learning_rate": 1e-4}
    prompt = layered_edit(photo, 4, tuning)
    outputs = client.run(
        prompt
        | {
            "keep": node("SaveLoRA", lora=["tune", 0], prefix=f"loras/{kind}"),
            "texts' loss": node("LossGraphNode", loss=["optimise", 3], filename_prefix="loss"),
            "weights' loss": node("LossGraphNode", loss=["tune", 2], filename_prefix="loss"),
        }
    )
    images = client.images(outputs)
    ours = pixels(images["save"][0])
    assert all((pixels(images[name][0])[..., 2] != 255).any() for name in ("texts' loss", "weights' loss"))

    by_link = node("LoraModelLoader", model=["model", 0], lora=["tune", 0], strength_model=1.0, bypass=False)
    (name,) = (path.name for path in (server.folder / "output" / "loras").glob(f"{kind}_*"))
    by_file = node("LoraLoaderModelOnly", model=["model", 0], lora_name=name, strength_model=1.0)
    for loader in (by_link, by_file):
        assert (pixels(picture(client, with_model(prompt, ["lora", 0], lora=loader))) == ours).all()
    plain = pixels(picture(client, with_model(prompt, ["model", 0])))
    assert (plain != ours).any()


def test_an_edit_is_saved_and_loaded_in_another_graph(server, client, pixels, photo, forget):
    texts = {"positive": ["optimise", 0], "object": ["a", 0]}
    save = node("FinesseSaveLayeredEdit", lora=["tune", 0], filename_prefix="photos/car", **texts)
    prompt = layered_edit(photo, 5)
    outputs = client.run(prompt | {"keep": save})
    ours = pixels(client.images(outputs)["save"][0])
    name = outputs["keep"]["text"][0].removeprefix("saved as ")
    assert (server.folder / "output" / "finesse_layers" / name).is_file()

    forget()
    loaded = {**prompt, "edit": node("FinesseLoadLayeredEdit", model=["model", 0], edit=name, strength=1.0)}
    inputs = {"model": ["edit", 0], "positive": ["edit", 1], "object": ["edit", 2]}
    loaded["guider"] = {**prompt["guider"], "inputs": prompt["guider"]["inputs"] | inputs}
    for learner in LEARNT:
        del loaded[learner]
    assert (pixels(picture(client, loaded)) == ours).all()

    loaded["guider"]["inputs"]["object"] = ["edit", 3]
    with pytest.raises(ComfyError, match=f"background is linked but {name} holds none"):
        client.run(loaded)


@pytest.mark.parametrize(("learner", "kind"), [("optimise", "full"), ("tune", "low-rank"), ("tune", "full")])
def test_after_cancel_a_stock_graph_gives_the_pixels_of_a_fresh_server(
    client, pixels, photo, forget, fresh_picture, learner, kind
):
    heard = []

    def stop(node_id, step, total):
        if node_id == learner and not heard:
            heard.append((step, total))
            client.interrupt()

    forget()
    prompt = layered_edit(photo, tuning={"weights": kind})
    prompt[learner]["inputs"]["steps"] = 1000
    with pytest.raises(ComfyError) as stopped:
        client.run(prompt, stop)
    assert (stopped.value.kind, stopped.value.node_id) == ("interrupted", learner)
    assert heard == [(1, 1000)]
    assert (pixels(picture(client, text_to_image(seed=7))) == pixels(fresh_picture)).all()


def test_after_a_failed_training_a_stock_graph_gives_the_pixels_of_a_fresh_server(
    client, pixels, photo, forget, fresh_picture
):
    forget()
    for kind in ("low-rank", "full"):
        with pytest.raises(ComfyError, match=r"The loss is (nan|inf) at step \d+ of 20: lower learning_rate"):
            client.run(layered_edit(photo, tuning={"weights": kind, "learning_rate": 1.0, "steps": 20}))
    assert (pixels(picture(client, text_to_image(seed=7))) == pixels(fresh_picture)).all()


def test_after_an_edit_a_stock_graph_gives_the_pixels_of_a_fresh_server(
    client, pixels, photo, forget, fresh_picture
):
    forget()
    client.run(layered_edit(photo, 6))
    assert (pixels(picture(client, text_to_image(seed=7))) == pixels(fresh_picture)).all()


def mask_of(value):
    return {"filled": node("SolidMask", value=value, width=64, height=64)}


REFUSED = {
    "two pictures": (
        {"image": ["two", 0]},
        {"two": node("RepeatImageBatch", image=["photo", 0], amount=2)},
        "image holds 2 pictures; link one",
    ),
    "empty mask": ({"mask": ["filled", 0]}, mask_of(0.0), "mask is empty (0 everywhere)"),
    "mask everywhere": ({"mask": ["filled", 0]}, mask_of(1.0), "mask is 1 everywhere, which leaves no"),
    "other reference": (
        {"reference": ["small", 0]},
        {"small": node("EmptyImage", width=32, height=48, batch_size=1, color=0)},
        "reference is 32×48 px but image is 64×64 px",
    ),
}


@pytest.mark.parametrize("learner", ["optimise", "tune"])
@pytest.mark.parametrize("case", REFUSED)
def test_unfit_pictures_are_refused_in_words(client, photo, learner, case):
    inputs, nodes, said = REFUSED[case]
    prompt = layered_edit(photo, **nodes)
    prompt[learner]["inputs"] |= inputs
    with pytest.raises(ComfyError) as refused:
        client.run(prompt)
    assert (refused.value.kind, refused.value.node_id) == ("ValueError", learner)
    assert said in refused.value.message


def test_an_edit_of_another_model_is_refused_in_words(server, client):
    write_edit(
        server.folder / "models" / "finesse_layers" / "sd15.safetensors",
        LayeredEdit({}, {"positive": torch.zeros(1, 77, 768)}, {"finesse.base": "SD1.x"}),
    )
    load = node("FinesseLoadLayeredEdit", model=["model", 0], edit="sd15.safetensors", strength=1.0)
    prompt = text_to_image(steps=1) | {"edit": load}
    prompt["sampler"]["inputs"]["model"] = ["edit", 0]
    with pytest.raises(
        ComfyError, match=r"sd15\.safetensors was made with SD1\.x, but model is .* 768 numbers"
    ):
        client.run(prompt)


@pytest.mark.parametrize("name", ["../sd15.safetensors", "/etc/passwd", "none.safetensors"])
def test_an_edit_outside_its_folder_is_not_read(client, name):
    load = node("FinesseLoadLayeredEdit", model=["model", 0], edit=name, strength=1.0)
    prompt = text_to_image(steps=1) | {"edit": load}
    prompt["sampler"]["inputs"]["model"] = ["edit", 0]
    with pytest.raises(ComfyError) as refused:
        client.run(prompt)
    assert (refused.value.kind, refused.value.node_id) == ("custom_validation_failed", "edit")
