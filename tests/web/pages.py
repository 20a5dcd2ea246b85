"""Which of ComfyUI's pages the tests open: both of its renderers, and what a page and its server need."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from finesse.demo.family_graphs import graphs
from finesse.demo.page_workflows import offer
from finesse.demo.prompts import png
from finesse.demo.server import ComfyServer
from finesse.miniature.stored import FACTORS
from finesse.miniature.world.scenes import scene
from playwright.sync_api import Page

MODEL_FILES = (
    "checkpoints/sd-v1-5-inpainting.safetensors",
    "checkpoints/v1-5-pruned-emaonly.safetensors",
    "checkpoints/sd_xl_base_1.0.safetensors",
    "controlnet/control_v11p_sd15_seg_fp16.safetensors",
    "sams/sam_vit_b_01ec64.pth",
    "controlnet/sdxl-controlnet-seg.safetensors",
    *(f"finesse_factors/{name}" for name in FACTORS),
    *(f"finesse_segmenters/segformer/{name}" for name in ("config.json", "model.safetensors")),
    "finesse_layers/dancing_person.safetensors",
)
READY = "window.app?.extensionManager && app.isGraphReady && !app.extensionManager.spinner"
RENDERERS = ("classic", "nodes-2.0")
OWN = "-own-page"
in_classic = pytest.mark.parametrize("opened", ["classic"], indirect=True)
in_nodes_2 = pytest.mark.parametrize("opened", ["nodes-2.0"], indirect=True)
# Leaves one workflow, an empty one, seen as at the start, and no messages.
CLEAR = """async () => {
    const { workflow, toast } = app.extensionManager
    await app.loadGraphData({version: 0.4, nodes: [], links: []})
    for (const other of workflow.openWorkflows.filter(each => each !== workflow.activeWorkflow)) {
        await workflow.closeWorkflow(other)
    }
    (toast.dismissAll ?? toast.removeAll)()
    app.canvas.ds.scale = 1
    app.canvas.ds.offset = [0, 0]
}"""
# Tells of what newer pages will lose, where our code still uses it.
WATCH_DEPRECATED = """() => {
    if (window.deprecated) return
    window.deprecated = []
    LiteGraph.alwaysRepeatWarnings = true
    LiteGraph.onDeprecationWarning.push(message => {
        const caller = new Error().stack.split('\\n')[4] // of the property, behind it and this
        if (caller?.includes('ComfyUI-Finesse')) window.deprecated.push(message + caller)
    })
}"""


@dataclass
class Opened:
    """A page in the browser and its server."""

    page: Page
    server: ComfyServer


def touch_models(folder):
    """Empty files in ComfyUI's folder for those of MODEL_FILES and of the families that are not there."""
    of_families = (f"{file.folder}/{file.name}" for graph in graphs().values() for file in graph.models)
    for name in (*MODEL_FILES, *of_families):
        (folder / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "models" / name).touch()


def equip(server):
    """Give a server the files that the notes of the examples name, and what `dev.py serve` offers."""
    touch_models(server.folder)
    connection = server.client()
    connection.upload(png(scene(1, 512).image), "example.png")
    offer(connection, server.folder)
    connection.close()
