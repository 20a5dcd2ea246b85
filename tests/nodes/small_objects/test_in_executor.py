"""*Inpaint Small Box* as ComfyUI's executor runs it, which asks it first for what it needs."""

import pytest
import torch
from finesse.tests.nodes.families import family
from finesse.tests.nodes.graph_runs import run
from finesse.tests.nodes.stand_ins import BOX, SETTINGS
from finesse.tests.prompts import node

PICTURE = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(0))


class OneText:
    """Stands for a CLIP that knows one text."""

    def __init__(self):
        self.texts = []

    def tokenize(self, text):
        self.texts.append(text)
        return text

    def encode_from_tokens_scheduled(self, text):
        return family("sd15").text()


@pytest.fixture
def sample(comfy, monkeypatch):
    """Runs an edit; -> the picture, and the texts that were encoded.

    read: the node whose prompts are sampled. linked: the prompts that *Inpaint Small Box* gets, inputs: what
    else.
    """

    def run_prompt(read="box", linked=("positive", "negative"), **inputs):
        text = node("CLIPTextEncode", clip=["loader", 1], text="around")
        made = {"vae": ["loader", 2], "clip": ["loader", 1], "image": ["picture", 0]}
        made |= {name: ["text", 0] for name in linked} | {"box": BOX, "scale": "none"} | SETTINGS
        box = node("FinesseInpaintSmallBox", **made | inputs)
        sampler = {"seed": 1, "steps": 2, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal"}
        prompt = {
            "loader": node("CheckpointLoaderSimple"),
            "picture": node("LoadImage"),
            "text": text,
            "box": box,
            "sampler": node(
                "KSampler",
                **{"model": ["loader", 0], "positive": [read, 0], "negative": [read, read == "box"]},
                **{"latent_image": ["box", 2], "denoise": 1.0, **sampler},
            ),
            "decoded": node("VAEDecode", samples=["sampler", 0], vae=["loader", 2]),
            "pasted": node(
                "FinesseCompositeBox",
                **{"edited": ["decoded", 0], "original": ["picture", 0], "region": ["box", 3]},
                **{"feather": 0, "colour_match": "none"},
            ),
            "saved": node("SaveImage", images=["pasted", 0]),
        }
        clip, made = OneText(), family("sd15")
        mask = torch.zeros(1, 64, 64)
        given = {"MODEL": made.model, "VAE": made.vae, "CLIP": clip, "IMAGE": PICTURE, "MASK": mask}
        (picture,) = run(prompt, given, monkeypatch)
        return picture, clip.texts

    return run_prompt


def test_it_runs_with_nothing_linked_to_its_growing_input(sample):
    picture, texts = sample()
    changed = (picture != PICTURE).any(-1)[0]
    assert changed[BOX["y"] : BOX["y"] + BOX["height"], BOX["x"] : BOX["x"] + BOX["width"]].all()
    assert changed.sum() == BOX["width"] * BOX["height"]
    assert texts == ["around"]


def test_it_needs_no_prompt_where_another_is_sampled(sample):
    picture, _ = sample("text", linked=())
    assert (picture != PICTURE).any(-1).sum() == BOX["width"] * BOX["height"]


def test_it_says_which_prompt_is_missing(sample):
    with pytest.raises(RuntimeError, match="positive of Inpaint Small Box is not linked"):
        sample(linked=("negative",))


def test_it_takes_a_ready_prompt(sample):
    _, texts = sample(box=BOX | {"text": "not read"}, **{"prompts.box1": ["text", 0]})
    assert texts == ["around"]


def test_it_encodes_a_text(sample):
    _, texts = sample(box=BOX | {"text": "inside"})
    assert texts == ["around", "inside"]
