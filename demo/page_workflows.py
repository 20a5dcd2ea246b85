"""Prepares the example workflows on the miniature for the page, where `dev.py serve` offers them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from ..core.files import write_json
from .client import ComfyClient
from .family_graphs import other_examples
from .prompts import ON_OBJECT, for_miniature
from .workflows import Node, ObjectInfo, saved_values, to_api

PANEL = Path("user/default/workflows")  # of ComfyUI's folder: what its page lists under Workflows
FOLDER = "miniature"
NOTHING_TO_FETCH = "**On the miniature.** All that it needs is here: press *Run*."


def offer(client: ComfyClient, folder: Path) -> int:
    """Write the examples on the miniature, and their pictures, to a ComfyUI in `folder`; -> their number."""
    object_info = client.object_info()
    workflows = other_examples()
    for name, workflow in workflows.items():
        changed, pictures = for_page(name, workflow, object_info)
        for file, picture in pictures.items():
            client.upload(picture, file)
        write_json(folder / PANEL / FOLDER / f"{name}.json", changed)
    return len(workflows)


def for_page(
    name: str, workflow: dict[str, Any], object_info: ObjectInfo
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Make the example `name` on the miniature, as the page saves it, and its pictures: file name -> PNG.

    The page turns it into the same prompt as `for_miniature` makes from the example, except for pictures.
    """
    prompt, pictures = for_miniature(to_api(workflow, object_info), on_object=ON_OBJECT.get(name))
    workflow = copy.deepcopy(workflow)
    nodes = {str(node["id"]): node for node in workflow["nodes"]}
    for key, own in prompt.items():
        if key not in nodes:  # the loader of the tuned VAE
            nodes[key] = _added(workflow, own["class_type"], object_info[own["class_type"]])
        node = nodes[key]
        if node["type"] != own["class_type"]:
            kept = [socket for socket in node["inputs"] if socket["name"] in own["inputs"]]
            node |= {"type": own["class_type"], "inputs": kept, "widgets_values": []}
            node["properties"] = {"Node name for S&R": own["class_type"]}
        if node["type"] == "LoadImage":
            own["inputs"]["image"] = f"{name}_{own['inputs']['image']}"
        node["widgets_values"] = saved_values(node, object_info[node["type"]], own["inputs"])
    for node in workflow["nodes"]:
        if node["type"] == "MarkdownNote":
            title, text = node["widgets_values"][0].split("\n\n", 1)
            node["widgets_values"] = ["\n\n".join([title, NOTHING_TO_FETCH, text])]
    for key, own in prompt.items():
        for socket in nodes[key]["inputs"]:
            _link(workflow, nodes, nodes[key], socket, own["inputs"].get(socket["name"]))
    return workflow, {f"{name}_{file}": picture for file, picture in pictures.items()}


def _added(workflow: dict[str, Any], kind: str, info: dict[str, Any]) -> Node:
    """Add a new node of `kind` in the corner above the others."""
    workflow["last_node_id"] += 1
    corner = [min(node["pos"][i] for node in workflow["nodes"]) for i in (0, 1)]
    outputs = zip(info["output_name"], info["output"], strict=True)
    node = {
        "id": workflow["last_node_id"],
        "type": kind,
        "pos": [corner[0], corner[1] - 160],
        "size": [320, 100],
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [],
        "outputs": [{"name": name, "type": output, "links": []} for name, output in outputs],
        "properties": {"Node name for S&R": kind},
        "widgets_values": [],
    }
    workflow["nodes"].append(node)
    return node


def _link(
    workflow: dict[str, Any], nodes: dict[str, Node], node: Node, socket: dict[str, Any], source: Any
) -> None:
    """Move a socket's link to `source`, [key, slot], unless it comes from there already."""
    links = {link[0]: link for link in workflow["links"]}
    link = links.get(socket.get("link"))
    if link is None or not isinstance(source, list):
        return
    origin, slot = nodes[source[0]], source[1]
    if link[1:3] == [origin["id"], slot]:
        return
    for other in workflow["nodes"]:
        for output in other.get("outputs", []):
            output["links"] = [number for number in output.get("links") or [] if number != link[0]]
    link[1:3] = [origin["id"], slot]
    origin["outputs"][slot]["links"].append(link[0])
