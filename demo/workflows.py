"""Turns example workflows into the prompts that programs run, as the page's `graphToPrompt` does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .client import Prompt

EXAMPLES = Path(__file__).resolve().parent.parent / "example_workflows"

VIRTUAL = ("Note", "MarkdownNote", "PrimitiveNode", "Reroute")
MUTED, BYPASSED = 2, 4
DYNAMIC = "COMFY_DYNAMICCOMBO_V3"  # a choice that brings widgets of its own
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", DYNAMIC)
SEEDS = ("seed", "noise_seed")

Node = dict[str, Any]
ObjectInfo = dict[str, Any]


def examples() -> dict[str, dict[str, Any]]:
    """The example workflows, as the page opens them: name -> JSON."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(EXAMPLES.glob("*.json"))}


def to_api(workflow: dict[str, Any], object_info: ObjectInfo) -> Prompt:
    """Convert a workflow saved by the page to an API prompt.

    workflow: the page's JSON, with links as lists. object_info: the answer of GET /object_info.
    Raises ValueError for a node type that the server does not have, a subgraph included.
    """
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: (link[1], link[2]) for link in workflow["links"]}
    prompt: Prompt = {}
    for node in nodes.values():
        if node["type"] in VIRTUAL or node.get("mode") in (MUTED, BYPASSED):
            continue
        if node["type"] not in object_info:
            raise ValueError(f"node {node['id']} is a {node['type']!r}, which this ComfyUI does not have")
        info = object_info[node["type"]]
        inputs = _widget_values(node, info)
        for socket in node.get("inputs", []):
            source = _source(socket.get("link"), nodes, links)
            if source:
                inputs[socket["name"]] = source
        title = node.get("title") or info["display_name"] or node["type"]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}
    return prompt


def saved_values(node: Node, info: dict[str, Any], inputs: dict[str, Any]) -> list[Any]:
    """Turn a prompt's `inputs` into the node's widget values, as the page saves them for `to_api` to read.

    A widget with a link, or one that the prompt leaves out, keeps what the node has saved, or its default.
    """
    saved = iter(node.get("widgets_values") or [])
    values: list[Any] = []
    chosen: dict[str, Any] = {}
    for name, kind, options in _widgets(info, chosen):
        before = next(saved, _default(kind, options))
        value = inputs.get(name, before)
        if isinstance(value, dict) and "__value__" in value:
            value = value["__value__"]
        elif isinstance(value, list):  # a link
            value = before
        chosen[name] = value
        values.append(value)
        values += [next(saved, companion) for companion in _companions(name, kind, options)]
    return values


def is_widget(kind: Any, options: dict[str, Any]) -> bool:
    """Whether an input of a node is a widget, which may take a link, rather than a socket."""
    if options.get("forceInput") or options.get("rawLink"):
        return False
    return isinstance(kind, list) or kind in WIDGET_TYPES or "default" in options


def _widget_values(node: Node, info: dict[str, Any]) -> dict[str, Any]:
    """Values of the node's widgets, which the page saves as a list in their order."""
    saved = iter(node.get("widgets_values") or [])
    values: dict[str, Any] = {}
    for name, kind, options in _widgets(info, values):
        try:
            value = next(saved)
        except StopIteration:
            break  # saved by an older version of the node: ComfyUI fills in the default
        # A bare list would be read as a link.
        values[name] = {"__value__": value} if isinstance(value, list) else value
        for _ in _companions(name, kind, options):
            next(saved, None)
    return values


def _widgets(info: dict[str, Any], chosen: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """List name, type and options of a node's inputs that are widgets, in the page's order.

    chosen: values by name; a choice brings the widgets of the value that is there when the next is asked for.
    """
    for group in ("required", "optional"):
        specs = info["input"].get(group, {})
        for name in info["input_order"].get(group, []):
            yield from _widgets_of(name, specs[name], chosen)


def _widgets_of(name: str, spec: Any, chosen: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    kind, options = (*spec, {})[:2]
    if not is_widget(kind, options):
        return
    yield name, kind, options
    if kind == DYNAMIC:
        (brought,) = (each["inputs"] for each in options["options"] if each["key"] == chosen[name])
        for inner in brought.values():
            for below, inner_spec in inner.items():
                yield from _widgets_of(f"{name}.{below}", inner_spec, chosen)


def _default(kind: Any, options: dict[str, Any]) -> Any:
    return options["options"][0]["key"] if kind == DYNAMIC else options.get("default")


def _companions(name: str, kind: Any, options: dict[str, Any]) -> list[str]:
    """What the widgets beside a widget begin with, whose values the page saves after its own."""
    has_control = options.get("control_after_generate") or (name in SEEDS and kind == "INT")
    return ["fixed"] * bool(has_control) + ["image"] * bool(options.get("image_upload"))


def _source(link: int | None, nodes: dict[int, Node], links: dict[int, tuple[int, int]]) -> list[Any] | None:
    """Find a link's source, [node id, slot], past reroutes and bypassed nodes; None if it has none."""
    if link is None or link not in links:
        return None
    origin, slot = links[link]
    node = nodes[origin]
    if node["type"] == "Reroute":
        return _source(node["inputs"][0].get("link"), nodes, links)
    if node["type"] in VIRTUAL or node.get("mode") == MUTED:
        return None
    if node.get("mode") == BYPASSED:
        kind, inputs = node["outputs"][slot]["type"], node.get("inputs", [])
        # The input of the same slot if its type fits, else the first that fits.
        for socket in [*inputs[slot : slot + 1], *inputs]:
            if socket["type"] == kind:
                return _source(socket.get("link"), nodes, links)
        return None
    return [str(origin), slot]
