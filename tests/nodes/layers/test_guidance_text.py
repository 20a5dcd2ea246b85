"""Iterative guidance takes the object's text as it was encoded: what the shipped graphs link says so."""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
GRAPHS = [*ROOT.glob("example_workflows/*.json"), *ROOT.glob("subgraphs/*.json")]
READERS = {"FinesseIterativeGuidance", "FinesseSaveLayeredEdit"}
PLAIN = {("CLIPTextEncode", "CONDITIONING"), ("FinesseLoadLayeredEdit", "object")}


def graphs_in(path):
    """The graph of a file and those of its subgraphs."""
    whole = json.loads(path.read_text("utf-8"))
    return [whole, *whole.get("definitions", {}).get("subgraphs", [])]


def sources(graph, name):
    """(reader, node, output) of each link into an input `name` of READERS."""
    nodes = {node["id"]: node for node in graph["nodes"]}
    links = {}
    for link in graph["links"]:
        number, node, slot = (
            link[:3] if isinstance(link, list) else (link["id"], link["origin_id"], link["origin_slot"])
        )
        links[number] = (node, slot)
    for node in graph["nodes"]:
        for given in node.get("inputs", []):
            if node["type"] in READERS and given["name"] == name and given["link"] is not None:
                source, slot = links[given["link"]]
                origin = nodes[source]
                yield node["type"], origin["type"], origin["outputs"][slot]["name"]


def test_the_shipped_graphs_link_the_text_as_encoded():
    found = [each for path in GRAPHS for graph in graphs_in(path) for each in sources(graph, "object")]
    assert {reader for reader, *_ in found} == READERS
    assert {(node, output) for _, node, output in found} == PLAIN
