"""Values that are linked to a node, which ComfyUI does not hold to the node's limits."""

from __future__ import annotations

import pytest
from finesse.demo.client import ComfyError
from finesse.tests.prompts import edit, node

BOX = {"x": 16, "y": 24, "width": 16, "height": 12}


def maps(**inputs):
    """Condition maps sampled on the miniature; `inputs` go to *Sample Condition Maps*."""
    sampling = {"cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "order": "together"}
    numbers = {"seed": 0, "count": 1, "width": 64, "height": 64, "steps": 1, "per_pass": 1}
    texts = {"positive": ["text", 0], "negative": ["text", 0]}
    links = {"model": ["model", 0], "vae": ["model", 2], "chain": ["factor", 0], **texts}
    return {
        "model": node("FinesseMiniatureLoader", model="text-to-image"),
        "text": node("CLIPTextEncode", clip=["model", 1], text="a dog on grass"),
        "factor": node("FinesseLoadFactor", factor="segmentation.safetensors"),
        "sample": node("FinesseSampleConditionMaps", **links, **sampling, **numbers | inputs),
        "shown": node("PreviewImage", images=["sample", 0]),
    }


@pytest.mark.parametrize(
    ("name", "value", "limits"),
    [("count", 2**31, "1 to 4096"), ("steps", -1, "1 to 1000"), ("seed", -1, f"0 to {2**64 - 1}")],
)
def test_a_linked_number_outside_the_limits_is_refused(client, name, value, limits):
    prompt = maps(**{name: ["value", 0]}) | {"value": node("PrimitiveInt", value=value)}
    with pytest.raises(ComfyError) as refused:
        client.run(prompt)
    assert (refused.value.kind, refused.value.node_id) == ("ValueError", "sample")
    assert f"{name} is {value}; give a whole number from {limits}, typed or linked." in refused.value.message


def test_a_linked_number_within_the_limits_is_taken(client):
    prompt = maps(count=["value", 0], per_pass=2) | {"value": node("PrimitiveInt", value=2)}
    assert len(client.images(client.run(prompt))["shown"]) == 2


def test_a_linked_number_is_checked_before_the_node_begins(client, scene_file):
    """What is wrong besides, an empty box, is not told then."""
    prompt = edit(scene_file, {**BOX, "width": 0}, grow=["value", 0])
    with pytest.raises(ComfyError, match="grow is 5000; give a whole number from 0 to 1024, typed or linked"):
        client.run(prompt | {"value": node("PrimitiveInt", value=5000)})
