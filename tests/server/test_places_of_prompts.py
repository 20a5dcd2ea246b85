"""*Inpaint Small Box* behind stock nodes that give prompts a place or a time: areas, masks, controls."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from finesse.demo.prompts import png
from finesse.miniature.world.palette import PALETTE, PLACES
from finesse.miniature.world.scenes import scene
from finesse.tests.prompts import edit, node

BLUE_CAR = {"x": 20, "y": 28, "width": 28, "height": 28, "text": "a blue car"}
IN_ITS_BOX = np.s_[28:56, 20:48]
BOX = {"x": 4, "y": 44, "width": 36, "height": 36}  # of 128 pixels; its window of 64 is at (0, 28)
WINDOW = {"x": 0, "y": 28, "width": 64, "height": 64}


def text(words):
    return node("CLIPTextEncode", clip=["model", 1], text=words)


def combined(first, second):
    return node("ConditioningCombine", conditioning_1=[first, 0], conditioning_2=[second, 0])


def part_of_sampling(prompt, start, end):
    return node("ConditioningSetTimestepRange", conditioning=[prompt, 0], start=start, end=end)


GREEN = {"green": text("a green car")}
CORNER = {
    "grass": text("a photo of grass"),
    "corner": node(
        "ConditioningSetAreaPercentage",
        conditioning=["grass", 0],
        x=0,
        y=0,
        width=0.5,
        height=0.5,
        strength=1,
    ),
}
POSITIVE = {  # the nodes behind "positive", the last of which is linked
    "schedule": GREEN
    | {
        "first": part_of_sampling("positive", 0, 0.4),
        "then": part_of_sampling("green", 0.4, 1),
        "both": combined("first", "then"),
    },
    "area first": CORNER | {"both": combined("corner", "positive")},
    "area last": CORNER | {"both": combined("positive", "corner")},
}


def drawn(client, pixels, prompt):
    return pixels(client.images(client.run(prompt))["save"][0])[..., :3].astype(int)


def share_of_blue(pixels):
    red, green, blue = np.moveaxis(pixels, -1, 0)
    return ((blue > red + 40) & (blue > green + 10)).mean()


@pytest.fixture
def picture_file(client):
    return client.upload(png(scene(5, 64, split="test").image), "place.png")


@pytest.fixture
def large_file(client):
    return client.upload(png(scene(5, 128, split="test").image), "places.png")


@pytest.mark.parametrize("kind", POSITIVE)
def test_a_box_is_drawn_by_its_text_whatever_positive_is_made_of(
    client, pixels, picture_file, measured, kind
):
    prompt = edit(picture_file, BLUE_CAR, steps=12, clip=["model", 1])
    plain = drawn(client, pixels, prompt)
    prompt |= POSITIVE[kind]
    prompt["inpaint"]["inputs"]["positive"] = ["both", 0]
    found = drawn(client, pixels, prompt)
    shares = [share_of_blue(each[IN_ITS_BOX]) for each in (plain, found)]
    measured(f"share of blue in the box of a blue car: {shares[0]:.2f}, with {kind}: {shares[1]:.2f}")
    assert shares[0] > 0.3
    assert np.abs(found - plain).max() <= 2


def half(name, words, x, width):
    """A prompt of a mask: a stripe of a picture of 128 x 128."""
    return {
        f"{name} black": node("SolidMask", value=0.0, width=128, height=128),
        f"{name} white": node("SolidMask", value=1.0, width=width, height=128),
        f"{name} mask": node(
            "MaskComposite",
            destination=[f"{name} black", 0],
            source=[f"{name} white", 0],
            x=x,
            y=0,
            operation="add",
        ),
        f"{name} text": text(words),
        name: node(
            "ConditioningSetMask",
            conditioning=[f"{name} text", 0],
            mask=[f"{name} mask", 0],
            strength=1.0,
            set_cond_area="default",
        ),
    }


def test_masks_of_the_picture_are_not_squeezed_into_the_window(client, pixels, large_file, measured):
    prompt = edit(large_file, BOX, steps=12, context=64)
    red = drawn(client, pixels, prompt)
    prompt |= half("left", "a red car", 0, 44) | half("right", "a blue car", 44, 84)
    prompt |= {"both": combined("left", "right")}
    prompt["inpaint"]["inputs"]["positive"] = ["both", 0]
    found = drawn(client, pixels, prompt)
    inside = found[44:80, 22:40]  # the right half of the box, which a squeezed mask gives to the blue car
    measured(f"share of blue in the right half of the red car: {share_of_blue(inside):.2f}")
    assert np.abs(found - red).max() <= 2


def placed(large_file, nodes, is_before):
    """An edit whose prompts pass `nodes["place"]` before the node, or between it and the sampler."""
    prompt = edit(large_file, BOX, steps=3, context=64) | copy.deepcopy(nodes)
    prompt["model"]["inputs"]["model"] = "text-to-image"
    sources = [["positive", 0], ["negative", 0]] if is_before else [["inpaint", 0], ["inpaint", 1]]
    target = prompt["inpaint" if is_before else "sampler"]["inputs"]
    if nodes["place"]["class_type"] == "ConditioningSetArea":
        prompt["place"]["inputs"]["conditioning"] = sources[0]
    else:
        prompt["place"]["inputs"] |= dict(zip(("positive", "negative"), sources, strict=True))
        target["negative"] = ["place", 1]
    target["positive"] = ["place", 0]
    return prompt


def area(y):
    return {"place": node("ConditioningSetArea", x=0, y=y, width=128, height=80, strength=1.0)}


def control(image):
    settings = {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    return {
        "net": node("FinesseMiniatureControlNet"),
        "map": node("LoadImage", image="map.png"),
        "cropped": node("ImageCrop", image=["map", 0], **WINDOW),
        "place": node("ControlNetApplyAdvanced", control_net=["net", 0], image=[image, 0], **settings),
    }


@pytest.fixture
def map_file(client):
    """The map of a scene."""
    labels = PLACES[scene(5, 128, split="test").labels]
    return client.upload(png(PALETTE.encode(labels)), "map.png")


@pytest.mark.parametrize(
    ("in_picture", "in_window"),
    [(area(64), area(8)), (control("map"), control("cropped"))],
    ids=["area", "control"],
)
def test_a_place_in_the_picture_is_that_place_in_the_window(
    client, pixels, large_file, map_file, in_picture, in_window
):
    """The window begins 7 cells, 56 of an area's pixels, below the picture's top."""
    moved = drawn(client, pixels, placed(large_file, in_picture, is_before=True))
    expected = drawn(client, pixels, placed(large_file, in_window, is_before=False))
    squeezed = drawn(client, pixels, placed(large_file, in_picture, is_before=False))
    assert np.abs(moved - expected).max() <= 2
    assert np.abs(moved - squeezed).max() > 20
