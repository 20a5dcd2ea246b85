"""Builds graphs in Python: one description gives the prompt of a program and the file that the page opens."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .client import Prompt
from .workflows import Node, ObjectInfo, is_widget, saved_values

NOTE, GAP = 1, 60  # id of the note, pixels between nodes
NOTE_SIZE = [400, 640]
FRONTEND = "1.47.12"  # the oldest page that opens these files
GROWING = "COMFY_AUTOGROW_V3"  # inputs that the page adds itself
OPTIONAL = 7  # the page's shape of an input that may stay free


@dataclass(frozen=True)
class Column:
    """A column of nodes, framed by a group."""

    title: str
    x: int
    width: int
    colour: str


@dataclass(frozen=True)
class ModelFile:
    """A model file: its folder below ComfyUI's models, and where it is to be had."""

    name: str
    folder: str
    url: str


@dataclass(frozen=True)
class Made:
    """A node of a graph; `made[slot]` is one of its outputs, as another node's input.

    given: its inputs, model files as such.
    """

    id: int
    kind: str
    given: Mapping[str, Any]
    column: Column
    height: int
    title: str

    def __getitem__(self, slot: int) -> list[Any]:
        return [str(self.id), slot]

    @property
    def models(self) -> list[ModelFile]:
        """The files that it loads."""
        return [value for value in self.given.values() if isinstance(value, ModelFile)]

    @property
    def inputs(self) -> dict[str, Any]:
        """Its inputs as a prompt has them."""
        return {
            name: value.name if isinstance(value, ModelFile) else value for name, value in self.given.items()
        }


@dataclass
class Graph:
    """A graph with a note beside it.

    label: what to call its model.
    widgets: what App mode lets one set: node, its widget's name, height in pixels or 0 for the page's choice.
    results: the nodes whose pictures App mode shows.
    """

    name: str
    label: str = ""
    note: str = ""
    nodes: list[Made] = field(default_factory=list)
    widgets: list[tuple[Made, str, int]] = field(default_factory=list)
    results: list[Made] = field(default_factory=list)

    def add(self, kind: str, column: Column, height: int, title: str = "", /, **given: Any) -> Made:
        """Add a node below the others of its column. height: in the page, in pixels."""
        made = Made(len(self.nodes) + NOTE + 1, kind, given, column, height, title)
        self.nodes.append(made)
        return made

    @property
    def models(self) -> list[ModelFile]:
        """The files that the graph needs."""
        return [model for node in self.nodes for model in node.models]

    def prompt(self) -> Prompt:
        """The graph as a program sends it to ComfyUI."""
        return {str(node.id): {"class_type": node.kind, "inputs": node.inputs} for node in self.nodes}

    def workflow(self, object_info: ObjectInfo) -> dict[str, Any]:
        """The graph as the page opens it. object_info: the answer of GET /object_info."""
        nodes = {node.id: _saved(node, object_info[node.kind]) for node in self.nodes}
        links = _links(nodes, self.nodes)
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, self.name)),
            "revision": 0,
            "last_node_id": max(nodes),
            "last_link_id": len(links),
            "nodes": [_note(self.note), *nodes.values()],
            "links": links,
            "groups": _arranged(nodes, self.nodes),
            "config": {},
            "extra": {
                "ds": {"scale": 0.6, "offset": [560, 160]},
                "frontendVersion": FRONTEND,
                "linearData": {
                    "inputs": [_app_widget(*widget) for widget in self.widgets],
                    "outputs": [str(node.id) for node in self.results],
                },
                "linearMode": False,
            },
            "version": 0.4,
        }


def _saved(node: Made, info: dict[str, Any]) -> Node:
    """A node as the page saves it, its links still to be drawn."""
    inputs, optional = node.inputs, info["input"].get("optional", {})
    specs = {name: (*spec, {})[:2] for name, spec in (info["input"]["required"] | optional).items()}
    sockets = [
        {"name": name, "type": _type(kind), "link": None}
        | ({"shape": OPTIONAL} if name in optional else {})
        | ({"widget": {"name": name}} if is_widget(kind, options) else {})
        for name, (kind, options) in specs.items()
        if kind != GROWING and (not is_widget(kind, options) or _is_link(inputs.get(name)))
    ]
    outputs = zip(info["output_name"], info["output"], strict=True)
    models = [{"name": each.name, "url": each.url, "directory": each.folder} for each in node.models]
    return {
        "id": node.id,
        "type": node.kind,
        "pos": [0, 0],
        "size": [node.column.width, node.height],
        "flags": {},
        "order": node.id - NOTE,
        "mode": 0,
        "inputs": sockets,
        "outputs": [{"name": name, "type": _type(kind), "links": []} for name, kind in outputs],
        **({"title": node.title} if node.title else {}),
        "properties": {"Node name for S&R": node.kind, **({"models": models} if models else {})},
        "widgets_values": saved_values({}, info, inputs),
    }


def _links(saved: dict[int, Node], nodes: list[Made]) -> list[list[Any]]:
    """Draw the links into the saved nodes; -> the page's list of them."""
    links: list[list[Any]] = []
    for node in nodes:
        inputs = node.inputs
        for slot, socket in enumerate(saved[node.id]["inputs"]):
            if _is_link(source := inputs.get(socket["name"])):
                origin, output = int(source[0]), saved[int(source[0])]["outputs"][source[1]]
                links.append([len(links) + 1, origin, source[1], node.id, slot, output["type"]])
                socket["link"] = len(links)
                output["links"].append(len(links))
    return links


def _arranged(saved: dict[int, Node], nodes: list[Made]) -> list[dict[str, Any]]:
    """Set the saved nodes below each other in their columns; -> the page's groups, one a column."""
    tops = dict.fromkeys(sorted((node.column for node in nodes), key=lambda column: column.x), 0)
    for node in nodes:
        saved[node.id]["pos"] = [node.column.x, tops[node.column]]
        tops[node.column] += node.height + GAP
    height = max(tops.values()) + GAP
    return [
        {
            "id": number,
            "title": column.title,
            "bounding": [column.x - 20, -80, column.width + 40, height],
            "color": column.colour,
            "flags": {},
        }
        for number, column in enumerate(tops, 1)
    ]


def _app_widget(node: Made, name: str, height: int) -> list[Any]:
    return [str(node.id), name, *([{"height": height}] if height else [])]


def _type(kind: Any) -> str:
    return "COMBO" if isinstance(kind, list) else kind


def _is_link(value: Any) -> bool:
    return isinstance(value, list)


def _note(text: str) -> Node:
    return {
        "id": NOTE,
        "type": "MarkdownNote",
        "pos": [-460, 0],
        "size": NOTE_SIZE,
        "flags": {},
        "order": 0,
        "mode": 0,
        "inputs": [],
        "outputs": [],
        "properties": {},
        "widgets_values": [text],
        "color": "#432",
        "bgcolor": "#653",
    }
