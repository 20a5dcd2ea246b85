"""Takes the pictures of the help pages: each node as it stands in an example that has run on the miniature.

    python -m finesse.tests.web.make_pictures [NODE ...]

Writes web/docs/<node>.webp in Nodes 2.0, the page's newer look.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from ...core.files import read_json, replacing
from ...demo.family_graphs import other_examples
from ...demo.page_workflows import FOLDER, PANEL, offer
from ...demo.server import ComfyServer
from .browser import find_browser
from .pages import READY, touch_models

ROOT = Path(__file__).resolve().parents[2]
DOCS, SCHEMAS = ROOT / "web" / "docs", ROOT / "tests" / "node_schemas.json"
SCALE = 1.5  # pixels of the picture for one of the page
MARGIN = 12
FIRST = "draw_tiny_object"  # the example that is asked first: here the box picker is in use
RUN = """async () => {
    const done = new Promise((resolve, reject) => {
        app.api.addEventListener('execution_success', resolve)
        app.api.addEventListener('execution_error', ({ detail }) => reject(detail.exception_message))
    })
    await app.queuePrompt(0)
    await done
}"""
LOOK_AT = """type => {
    const node = app.graph.nodes.find(node => node.type === type)
    app.canvas.deselectAll()
    app.canvas.ds.scale = 1
    app.canvas.ds.offset = [500 - node.pos[0], 160 - node.pos[1]]
    app.canvas.setDirty(true, true)
    return String(node.id)
}"""


def homes(wanted: Collection[str]) -> dict[str, list[str]]:
    """The examples to run: name -> those of the wanted nodes that are pictured in it."""
    found: dict[str, list[str]] = {}
    left = set(wanted)
    for name, workflow in sorted(other_examples().items(), key=lambda item: item[0] != FIRST):
        if here := sorted(left & {node["type"] for node in workflow["nodes"]}):
            found[name] = here
            left -= set(here)
    if left:
        raise ValueError(f"no example shows {', '.join(sorted(left))}; add one, or correct the name.")
    return found


@contextmanager
def comfyui_page(width: int = 1600, height: int = 1600) -> Iterator[tuple[Page, Path]]:
    """ComfyUI's page in Nodes 2.0 with the examples on the miniature, and ComfyUI's folder."""
    with ComfyServer() as server, sync_playwright() as playwright:
        with closing(server.client()) as client:
            offer(client, server.folder)
            client.post("/settings", {"Comfy.VueNodes.Enabled": True})
        touch_models(server.folder)
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": height}, device_scale_factor=SCALE)
        page.set_default_timeout(600_000)
        page.goto(server.address)
        page.wait_for_function(READY)
        yield page, server.folder
        browser.close()


def picture_of(page: Page, kind: str) -> Image.Image:
    """The first node of a kind, with a margin."""
    node = page.locator(f'[data-node-id="{page.evaluate(LOOK_AT, kind)}"]').first
    page.wait_for_timeout(700)
    box: Any = node.bounding_box()
    clip = {"x": box["x"] - MARGIN, "y": box["y"] - MARGIN}
    clip |= {"width": box["width"] + 2 * MARGIN, "height": box["height"] + 2 * MARGIN}
    return Image.open(io.BytesIO(page.screenshot(clip=clip)))


def main(wanted: Collection[str]) -> None:
    with comfyui_page() as (page, folder):
        for name, kinds in homes(wanted or read_json(SCHEMAS)).items():
            own, stock = read_json(folder / PANEL / FOLDER / f"{name}.json"), other_examples()[name]
            ran = {node["type"] for node in own["nodes"]}  # the miniature has one of its own for SAM
            for workflow, shown in ((own, ran & set(kinds)), (stock, set(kinds) - ran)):
                if shown:
                    page.evaluate("workflow => app.loadGraphData(workflow)", workflow)
                if shown and workflow is own:
                    page.evaluate(RUN)
                for kind in sorted(shown):
                    with replacing(DOCS / f"{kind}.webp") as path:
                        picture_of(page, kind).save(path, "webp", quality=80, method=6)


if __name__ == "__main__":
    main(sys.argv[1:])
