"""The nodes in ComfyUI's page, in each language that they speak."""

from __future__ import annotations

import pytest
from finesse.demo import locales
from finesse.tests.web.pages import READY, in_nodes_2

CORE_NODES = {  # core's nodes that our texts name: type -> English name
    "KSampler": "KSampler",
    "SamplerCustomAdvanced": "SamplerCustomAdvanced",
    "VAEDecode": "VAE Decode",
    "CFGGuider": "CFG Guider",
    "CreateBoundingBoxes": "Create Bounding Boxes",
    "LossGraphNode": "Plot Loss Graph",
}
TITLES = "types => types.map(type => LiteGraph.registered_node_types[type].title)"
NODE = "FinesseGetFactorMaps"
SHOWN = """type => {
    const node = LiteGraph.createNode(type)
    return {
        category: node.constructor.category,
        description: node.constructor.nodeData.description,
        inputs: node.inputs.map(slot => slot.localized_name),
        widgets: node.widgets.map(widget => widget.label),
        outputs: node.outputs.map(slot => slot.localized_name),
    }
}"""

MENUS = """types => {
    const ours = app.extensions.filter(one => one.name.startsWith("Finesse"))
    const entries = node => ours.flatMap(one => one.getNodeMenuItems?.(node) ?? [])
    return {
        commands: Object.fromEntries(ours.flatMap(one => one.commands ?? [])
            .map(({ id, label }) => [id.replaceAll(".", "_"), { label }])),
        entries: types.flatMap(type => entries(LiteGraph.createNode(type))).map(entry => entry.content),
    }
}"""


@pytest.fixture(params=locales.LANGUAGES)
def foreign(request, server, browser):
    """ComfyUI's page in a language, and that language."""
    page = browser.new_page(locale=request.param)
    page.set_default_timeout(120_000)
    page.goto(server.address)
    page.wait_for_function(READY)
    assert page.evaluate("app.extensionManager.setting.get('Comfy.Locale')") == request.param
    yield page, request.param
    page.close()


def test_nodes_speak_the_users_language(foreign):
    page, language = foreign
    catalogue = locales.read(locales.FOLDER / f"{language}.json")
    nodes = locales.read(locales.FOLDER / language / "nodeDefs.json")
    inputs, outputs = (
        [slot["name"] for slot in nodes[NODE][kind].values()] for kind in ("inputs", "outputs")
    )

    titles = page.evaluate(TITLES, list(nodes))
    shown = page.evaluate(SHOWN, NODE)

    assert titles == [node["display_name"] for node in nodes.values()]
    assert shown == {
        "category": f"Finesse/{catalogue['condition maps']}",
        "description": nodes[NODE]["description"],
        "inputs": inputs,
        "widgets": inputs[1:],  # the first is a socket
        "outputs": outputs,
    }

    for title, english in zip(page.evaluate(TITLES, list(CORE_NODES)), CORE_NODES.values(), strict=True):
        for text, translation in catalogue.items():
            assert english not in text or title in translation, (title, text, translation)


@in_nodes_2
def test_the_menus_english_is_what_the_page_says(page):
    english = locales.read_english()

    said = page.evaluate(MENUS, list(english["nodeDefs.json"]))

    assert said["commands"] == english["commands.json"]
    menu = english["main.json"]["contextMenu"]
    assert menu == {entry: entry for entry in said["entries"]}
