"""The example workflows of the families in ComfyUI's executor, on small random models of the real classes.

All is an eighth of its size, so that a run takes a second.
"""

import numpy as np
import pytest
import torch
from finesse.core.small_objects.boxes import Box, Grid
from finesse.core.small_objects.window import Scale, plan_window
from finesse.demo.edit_graph import CONTEXT, SCALE
from finesse.demo.family_graphs import BALLOON, graphs
from finesse.tests.nodes.families import family
from finesse.tests.nodes.family_parts import Heard, RandomCLIP, qwen_image_control, z_image_control
from finesse.tests.nodes.graph_runs import run
from PIL import Image

FAMILIES = {
    "draw_with_flux_fill": "flux-fill",
    "draw_with_qwen_image": "qwen-image",
    "draw_with_sd35": "sd35",
    "draw_with_sdxl_inpainting": "sdxl-inpainting",
    "draw_with_z_image": "z-image",
    "edit_with_flux2_klein": "flux2-klein",
    "edit_with_flux_kontext": "flux-kontext",
    "edit_with_qwen_image_edit": "qwen-image-edit",
}
TOKENS = {"flux2-klein": 16, "sdxl-inpainting": 8}  # pixels of a token, 16 for the others
SMALLER = 8
SIZE = 103, 97  # width and height of the picture, of no grid


def small_prompt(name):
    """The prompt of a graph at an eighth of its size, and its box."""
    prompt = graphs()[name].prompt()
    for node in prompt.values():
        inputs = node["inputs"]
        inputs |= {
            key: inputs[key] // SMALLER for key in ("context", "scale.side", "feather") if key in inputs
        }
        if "steps" in inputs:
            inputs["steps"] = 2
    (inputs,) = (each["inputs"] for each in prompt.values() if each["class_type"] == "FinesseInpaintSmallBox")
    inputs["box"] = {key: value // SMALLER for key, value in inputs["box"].items()}
    return prompt, inputs["box"]


def picture(seed=0):
    """Smooth colours and an edge: what differs from place to place."""
    random = np.random.default_rng(seed).integers(256, size=(13, 14, 3), dtype=np.uint8)
    return Image.fromarray(random).resize(SIZE, Image.Resampling.BICUBIC)


def tensor(image):
    return torch.from_numpy(np.array(image)).float()[None] / 255


class Edit:
    """A graph that has run: its picture before and after, what its networks heard, what its CLIP read."""

    def __init__(self, name, monkeypatch, image=None):
        self.made = family(FAMILIES[name])
        self.token = TOKENS.get(FAMILIES[name], 16)
        self.clip = RandomCLIP(self.made)
        self.image, (prompt, self.box) = image or picture(), small_prompt(name)
        control, patch = qwen_image_control(), z_image_control()
        given = {"MODEL": self.made.model, "VAE": self.made.vae, "CLIP": self.clip}
        given |= {"CONTROL_NET": control, "MODEL_PATCH": patch}
        given |= {"IMAGE": tensor(self.image), "MASK": torch.zeros(1, 64, 64)}
        networks = (self.made.model.model.diffusion_model, control.control_model, patch.model)
        model, control, patch = (Heard(network) for network in networks)
        with model, control, patch:
            (self.after,) = run(prompt, given, monkeypatch)
        self.model, self.control, self.patch = list(model), list(control), list(patch)

    @property
    def planned(self):
        """Where the window is, and how large it is sampled."""
        cell = self.made.vae.spacial_compression_encode()
        grid, side = Grid(cell, self.token // cell), SCALE["scale.side"] // SMALLER
        return plan_window([Box(**self.box)], SIZE, CONTEXT // SMALLER, Scale("side", side), grid)

    @property
    def window(self):
        """The window by Pillow, its mask by hand: pictures (1, h, w, 3) and (1, h, w, 1)."""
        planned, left, top = self.planned, self.planned.box.x, self.planned.box.y
        padded = np.pad(np.asarray(self.image), ((0, 99), (0, 99), (0, 0)), "edge")
        cut = Image.fromarray(padded[top : planned.box.bottom, left : planned.box.right])
        seen = tensor(cut.resize((planned.width, planned.height), Image.Resampling.LANCZOS))
        mask = torch.zeros(1, planned.height, planned.width, 1)
        across, down = planned.width / planned.box.width, planned.height / planned.box.height
        x, y, width, height = (self.box[key] for key in ("x", "y", "width", "height"))
        first = int((y - top) * down) // self.token, int((x - left) * across) // self.token
        last = -(-(y + height - top) * down // self.token), -(-(x + width - left) * across // self.token)
        rows, columns = (
            slice(begin * self.token, int(end) * self.token) for begin, end in zip(first, last, strict=True)
        )
        mask[:, rows, columns] = 1
        return seen, mask

    def encoded(self, pixels):
        """Pixels as the model sees them."""
        return self.made.model.model.process_latent_in(self.made.vae.encode(pixels))


@pytest.fixture(scope="module")
def edit(comfy):
    """Runs a graph, once."""
    ran, monkeypatch = {}, pytest.MonkeyPatch()

    def get(name):
        if name not in ran:
            ran[name] = Edit(name, monkeypatch)
        return ran[name]

    yield get
    monkeypatch.undo()


def error(found, expected):
    """Root mean square of the difference, in units of the expected's spread."""
    found, expected = found.detach().squeeze(), expected.detach().squeeze()
    return float((found - expected).std() / expected.std())


def is_window(found, expected):
    """Whether they are the same but for Pillow's rounding to 8 bits, and differ when moved by two cells."""
    moved = expected.roll(2, -1)
    return error(found, expected) < 0.05 and error(found, moved) > 10 * error(found, expected)


def test_every_family_is_there():
    assert graphs().keys() == FAMILIES.keys()


@pytest.mark.parametrize("name", FAMILIES)
def test_a_graph_changes_its_box_and_no_other_pixel(name, edit):
    before, after, box = tensor(edit(name).image), edit(name).after, edit(name).box
    inside = np.s_[:, box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]]
    changed = (after != before).any(-1)
    assert after.shape == before.shape
    assert bool(torch.isfinite(after).all())
    assert changed[inside].float().mean() > 0.9
    changed[inside] = False
    assert not bool(changed.any())


@pytest.mark.parametrize(
    ("name", "channels"),
    [("draw_with_flux_fill", slice(16, 32)), ("draw_with_sdxl_inpainting", slice(5, 9))],
)
def test_an_inpainting_model_sees_the_window_without_the_box(name, channels, edit):
    window, mask = edit(name).window
    beside = edit(name).model[0][0][0][:1, channels]
    assert is_window(beside, edit(name).encoded((window - 0.5) * (1 - mask) + 0.5))


@pytest.mark.parametrize("name", [name for name in FAMILIES if name.startswith("edit")])
def test_an_edit_model_sees_the_window(name, edit):
    window, _ = edit(name).window
    for _, named in edit(name).model:
        (reference,) = named["ref_latents"]
        assert is_window(reference[:1], edit(name).encoded(window))


def test_a_text_encoder_that_reads_pictures_reads_the_window(edit):
    clip, (window, _) = edit("edit_with_qwen_image_edit").clip, edit("edit_with_qwen_image_edit").window
    nothing, told = sorted(clip.texts, key=len)
    assert told == nothing + BALLOON
    for read in clip.pictures:
        small = torch.nn.functional.interpolate(read.movedim(-1, 1), window.shape[1:3], mode="area")
        assert is_window(small.movedim(1, -1), window)


def test_the_inpainting_controlnet_of_qwen_image_sees_the_window_without_the_box(edit):
    ran = edit("draw_with_qwen_image")
    (window, mask), (_, named) = ran.window, ran.control[0]
    hint = named["hint"][:1]
    assert is_window(hint[:, :16], ran.encoded(window * (1 - mask)))
    assert torch.equal(hint[0, 16, 0], 1 - mask[0, ::8, ::8, 0])


def test_the_control_patch_of_z_image_sees_the_window_without_the_box(edit):
    ran = edit("draw_with_z_image")
    (window, mask), ((_, context, *_), _) = ran.window, ran.patch[0]
    assert torch.equal(context[0, 16], 1 - mask[0, ::8, ::8, 0])
    assert is_window(context[:1, 17:], ran.encoded((window - 0.5) * (1 - mask) + 0.5))


def hint(ran):
    """What a control is told of the picture, (channels, h, w)."""
    if ran.control:
        return ran.control[0][1]["hint"][0, :16, 0].detach()
    return ran.patch[0][0][1][0, 17:].detach()


@pytest.mark.parametrize("name", ["draw_with_qwen_image", "draw_with_z_image"])
def test_what_is_red_in_the_picture_is_red_at_its_place_to_a_control(name, edit, monkeypatch):
    before = edit(name)
    x, y = before.box["x"] + before.box["width"] + 8, before.box["y"] - 16  # beside the box
    image = picture()
    image.paste("red", (x, y, x + 8, y + 8))
    differs = (hint(Edit(name, monkeypatch, image)) - hint(before)).square().sum(0)
    around = torch.nn.functional.avg_pool2d(differs[None, None], 3, 1, 1)

    row, column = divmod(int(around.argmax()), around.shape[-1])
    window, cells = before.planned.box, before.planned.width / before.planned.box.width / 8  # a pixel
    assert (x - window.x) * cells - 1 < column < (x + 8 - window.x) * cells
    assert (y - window.y) * cells - 1 < row < (y + 8 - window.y) * cells


def test_guidance_reaches_flux(edit):
    assert edit("draw_with_flux_fill").model[0][1]["guidance"].tolist() == [30.0]
    assert edit("edit_with_flux_kontext").model[0][1]["guidance"].tolist() == [2.5]
