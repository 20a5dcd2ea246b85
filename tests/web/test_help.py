"""The pack's help pages in ComfyUI's info panel."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from finesse.tests.web.pages import in_nodes_2

ROOT = Path(__file__).resolve().parents[2]
NODES = list(json.loads((ROOT / "tests" / "node_schemas.json").read_text("utf-8")))
SELECT = """type => {
    app.graph.clear()
    const node = LiteGraph.createNode(type)
    app.graph.add(node)
    app.canvas.deselectAll()
    app.canvas.ds.scale = 0.6 // a tall node's toolbox is seen, too
    app.canvas.selectNode(node)
    app.canvas.centerOnNode(node)
}"""


@in_nodes_2
@pytest.mark.parametrize("node_id", NODES)
def test_the_info_panel_shows_a_nodes_help(page, node_id):
    text = (ROOT / "web" / "docs" / f"{node_id}.md").read_text("utf-8")
    heading = next(line.lstrip("# ") for line in text.splitlines() if line.startswith("#"))
    page.evaluate(SELECT, node_id)
    page.get_by_test_id("info-button").click()

    page.get_by_role("heading", name=heading, exact=True).wait_for()
    picture = page.locator(f'img[src$="{node_id}.webp"]')
    picture.wait_for()
    assert picture.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 300
