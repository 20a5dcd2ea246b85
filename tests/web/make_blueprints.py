"""Makes the subgraph blueprints: what stands between the loaders and the savers of an example, as one node.

    python -m finesse.tests.web.make_blueprints

Writes subgraphs/<name>.json, which ComfyUI offers in its node library. ComfyUI's own page does the work.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.files import write_json
from ...demo.edit_graph import NEGATIVE, EditGraph
from ...demo.family_graphs import graphs
from ...demo.family_notes import EDIT
from ...demo.graph_builder import ModelFile
from ...demo.workflows import examples
from .make_pictures import comfyui_page

LABELS = {"name": "model_patch"}  # of widgets whose own name tells too little
FOLDER = Path(__file__).resolve().parents[2] / "subgraphs"


@dataclass(frozen=True)
class Blueprint:
    """A subgraph and the example that it is cut out of.

    outside: ids of the example's nodes that stay outside, besides notes. outputs: (id of the node that makes
    it, name). widgets: (id of the node, its widget, name). values: (id of the node, its widget, value) where
    it begins with another one than the example.
    """

    name: str
    example: str
    description: str
    outside: tuple[int, ...]
    outputs: tuple[tuple[int, str], ...]
    widgets: tuple[tuple[int, str, str], ...]
    values: tuple[tuple[int, str, Any], ...] = ()

    @property
    def id(self) -> str:
        """The subgraph's own, the same each time."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.name))


BLUEPRINTS = (
    Blueprint(
        "Edit Small Object (Finesse)",
        "draw_small_object",
        "Draws, replaces or removes an object in a small box; every other pixel stays as it was.",
        (2, 3, 9, 11),
        ((10, "image"),),
        (
            (4, "text", "prompt"),
            (5, "text", "negative prompt"),
            (7, "seed", "seed"),
            (7, "steps", "steps"),
            (7, "cfg", "cfg"),
        ),
    ),
    Blueprint(
        "Prompt to Picture by Recall (Finesse)",
        "prompt_to_picture_by_recall",
        "Samples segmentation maps of a prompt, keeps the one that shows most of it, makes the picture.",
        (2, 6, 10, 12, 17, 18),
        ((16, "picture"), (9, "best map")),
        (
            (3, "value", "prompt"),
            (5, "text", "negative prompt"),
            (7, "count", "number of maps"),
            (7, "seed", "seed of the maps"),
            (15, "seed", "seed of the picture"),
            (14, "strength", "strength of the map"),
        ),
    ),
    Blueprint(
        "Edit Map and Draw (Finesse)",
        "edit_map_and_regenerate",
        "Takes a segmentation map, lets you edit it, and makes the picture of what it shows.",
        (2, 3, 6, 7, 8, 9, 10, 12, 14, 15, 16, 17, 22, 23, 24, 25),
        ((21, "picture"), (11, "edited map")),
        (
            (4, "text", "prompt"),
            (5, "text", "negative prompt"),
            (11, "edits", "edits"),
            (20, "seed", "seed"),
            (19, "strength", "strength of the map"),
        ),
        ((11, "edits", "[]"), (11, "palette", "coco-stuff")),
    ),
    Blueprint(
        "Layered Edit (Finesse)",
        "change_action_and_background",
        "Changes what the subject of a photo does and puts it before another background (LayerDiffusion).",
        (2, 3, 13, 14, 22, 23, 24, 25),
        ((21, "pictures"), (10, "new background")),
        (
            (6, "prompt", "prompt"),
            (10, "source", "background"),
            (11, "steps", "steps for the texts"),
            (12, "steps", "steps for the model"),
            (11, "alpha", "alpha"),
            (16, "noise_seed", "seed"),
        ),
    ),
)


def of_family(graph: EditGraph) -> Blueprint:
    """The blueprint of a model family: all of its example but the picture, the report and what saves."""
    job = "Changes what is" if graph.name.startswith(EDIT) else "Draws, replaces or removes an object"
    (pasted,) = (node.id for node in graph.nodes if node.kind == "FinesseCompositeBox")
    unwanted = ((node, "text", "negative prompt") for node in graph.nodes if node.title == NEGATIVE)
    files = (
        (node, name, LABELS.get(name, name))
        for node in graph.nodes
        for name, value in node.given.items()
        if isinstance(value, ModelFile)
    )
    (prompt, text, _), (seed_of, seed, _) = graph.widgets[-2:]
    shown = ((prompt, text, "prompt"), *unwanted, (seed_of, seed, "seed"), *files)
    return Blueprint(
        f"{'Edit' if graph.name.startswith(EDIT) else 'Draw'} Small Object with {graph.label} (Finesse)",
        graph.name,
        f"{job} in a small box with {graph.label}; every other pixel stays as it was.",
        tuple(node.id for node in graph.nodes if node.kind in ("LoadImage", "PreviewAny", "SaveImage")),
        ((pasted, "image"),),
        tuple((node.id, widget, label) for node, widget, label in shown),
    )


FAMILIES = tuple(of_family(graph) for graph in graphs().values())

CUT_OUT = """async ({ workflow, blueprint }) => {
    await app.loadGraphData(workflow)
    const graph = app.graph
    for (const node of [...graph.nodes]) if (node.type === 'MarkdownNote') graph.remove(node)
    const inside = graph.nodes.filter(node => !blueprint.outside.includes(Number(node.id)))
    const { subgraph, node: host } = graph.convertToSubgraph(new Set(inside))
    subgraph.name = host.title = blueprint.name
    subgraph.description = blueprint.description
    const targets = input => input.linkIds.map(id => {
        const link = subgraph.getLink(id), node = subgraph.getNodeById(link.target_id)
        return { node, slot: node.inputs[link.target_slot] }
    })
    for (const input of [...subgraph.inputs]) {
        if (targets(input).every(({ slot }) => slot.widget)) subgraph.removeInput(input)
    }
    for (const [id, widget, label] of blueprint.widgets) {
        const node = subgraph.getNodeById(id), slot = node.inputs.find(input => input.widget?.name === widget)
        subgraph.addInput(label, slot.type).connect(slot, node)
    }
    for (const output of [...subgraph.outputs]) subgraph.removeOutput(output)
    for (const [id, label] of blueprint.outputs) {
        const node = subgraph.getNodeById(id), slot = node.outputs.find(output => output.type === 'IMAGE')
        subgraph.addOutput(label, 'IMAGE').connect(slot, node)
    }
    for (const [id, name, value] of blueprint.values) {
        subgraph.getNodeById(id).widgets.find(widget => widget.name === name).value = value
    }
    for (const node of [...graph.nodes]) if (node !== host) graph.remove(node)
    for (const group of [...graph.groups]) graph.remove(group)
    host.setSize(host.computeSize())
    return [JSON.stringify(graph.serialize()), subgraph.id] // what is undefined must not become null
}"""


def blueprint_json(made: str, subgraph: str, blueprint: Blueprint) -> dict[str, Any]:
    """The JSON that the page made, with ids that stay the same, in the library's category."""
    fixed = json.loads(made.replace(subgraph, blueprint.id))
    (definition,) = fixed["definitions"]["subgraphs"]
    for kind in ("inputs", "outputs"):
        for slot in definition[kind]:
            slot["id"] = str(uuid.uuid5(uuid.UUID(blueprint.id), f"{kind} {slot['name']}"))
    definition |= {"category": "Finesse", "description": blueprint.description}
    return fixed | {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, blueprint.id)), "extra": {}}


def main() -> None:
    with comfyui_page() as (page, _):
        for blueprint in (*BLUEPRINTS, *FAMILIES):
            workflow = examples()[blueprint.example]
            made, subgraph = page.evaluate(CUT_OUT, {"workflow": workflow, "blueprint": vars(blueprint)})
            write_json(FOLDER / f"{blueprint.name}.json", blueprint_json(made, subgraph, blueprint))


if __name__ == "__main__":
    main()
