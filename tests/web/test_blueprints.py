"""The subgraph blueprints: offered by ComfyUI, and run on the miniature with what a user links to them."""

from __future__ import annotations

import contextlib

import pytest
from finesse.core.files import read_json
from finesse.demo.family_graphs import graphs
from finesse.demo.prompts import for_miniature
from finesse.tests.web.make_blueprints import BLUEPRINTS, FAMILIES, FOLDER
from finesse.tests.web.pages import OWN

LINK_UP = """async workflow => {
    const sources = {
        MODEL: ['CheckpointLoaderSimple', 0],
        CLIP: ['CheckpointLoaderSimple', 1],
        VAE: ['CheckpointLoaderSimple', 2],
        IMAGE: ['LoadImage', 0],
        CONTROL_NET: ['ControlNetLoader', 0],
        FINESSE_FACTOR: ['FinesseLoadFactor', 0],
    }
    await app.loadGraphData(workflow)
    const [host] = app.graph.nodes, made = {}
    const add = type => { const node = LiteGraph.createNode(type); app.graph.add(node); return node }
    for (const [index, input] of host.inputs.entries()) {
        if (input.widget) continue
        const [type, slot] = sources[String(input.type).split(',').pop()]
        made[type] ??= add(type)
        made[type].connect(slot, host, index)
    }
    for (const index of host.outputs.keys()) host.connect(index, add('SaveImage'), 0)
    return (await app.graphToPrompt()).output
}"""


def test_comfyui_offers_them(server):
    connection = server.client()
    offered = connection.get_json("/global_subgraphs").values()
    connection.close()

    ours = {entry["name"] for entry in offered if "Finesse" in entry["info"]["node_pack"]}
    assert ours == {blueprint.name for blueprint in (*BLUEPRINTS, *FAMILIES)}


@pytest.mark.parametrize("opened", ["nodes-2.0", "nodes-2.0" + OWN], indirect=True)
@pytest.mark.parametrize("blueprint", BLUEPRINTS, ids=lambda blueprint: blueprint.example)
def test_a_blueprint_runs(blueprint, page, client):
    prompt = page.evaluate(LINK_UP, read_json(FOLDER / f"{blueprint.name}.json"))

    prompt, pictures = for_miniature(prompt)
    for name, picture in pictures.items():
        client.upload(picture, name)
    for node in prompt.values():
        with contextlib.suppress(KeyError):
            node["inputs"]["steps"] = min(node["inputs"]["steps"], 2)
    saved = client.images(client.run(prompt))
    assert len(saved) >= len(blueprint.outputs)


def unrolled(prompt, link):
    """What is at a link, with all that it is made of and without ids."""
    node = prompt[link[0]]
    inputs = {
        name: unrolled(prompt, value) if isinstance(value, list) else value
        for name, value in node["inputs"].items()
    }
    return node["class_type"], link[1], inputs


def saved_link(prompt):
    (link,) = (node["inputs"]["images"] for node in prompt.values() if node["class_type"] == "SaveImage")
    return unrolled(prompt, link)


@pytest.mark.parametrize("opened", ["nodes-2.0", "nodes-2.0" + OWN], indirect=True)
@pytest.mark.parametrize("blueprint", FAMILIES, ids=lambda blueprint: blueprint.example)
def test_a_familys_blueprint_is_its_example(blueprint, page):
    """tests/nodes/small_objects/test_family_graphs.py runs that."""
    found = page.evaluate(LINK_UP, read_json(FOLDER / f"{blueprint.name}.json"))
    expected = graphs()[blueprint.example].prompt()
    (picture,) = (node for node in found.values() if node["class_type"] == "LoadImage")
    picture["inputs"]["image"] = "example.png"
    assert saved_link(found) == saved_link(expected)
