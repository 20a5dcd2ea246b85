"""ComfyUI's page in a browser, in both of its renderers."""

from __future__ import annotations

import pytest
from finesse.demo.page_workflows import offer
from finesse.demo.prompts import png
from finesse.miniature.stored import FACTORS
from finesse.miniature.world.scenes import scene
from finesse.tests.web.browser import find_browser
from finesse.tests.web.map_editor_desk import desk, editor_page, site  # noqa: F401
from playwright.sync_api import sync_playwright

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


@pytest.fixture(scope="session")
def browser():
    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_browser(), args=options)
        yield running
        running.close()


def touch_models(folder):
    """Empty files in ComfyUI's folder for those of MODEL_FILES that are not there."""
    for name in MODEL_FILES:
        (folder / "models" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "models" / name).touch()


@pytest.fixture(scope="session")
def users_files(server):
    """What users have: the files that the notes of the examples name, and what `dev.py serve` offers."""
    touch_models(server.folder)
    connection = server.client()
    connection.upload(png(scene(1, 512).image), "example.png")
    offer(connection, server.folder)
    yield
    connection.close()


@pytest.fixture(scope="module", params=[False, True], ids=["classic", "nodes-2.0"])
def page(request, server, browser, users_files):
    """ComfyUI's page, ready, in one of its renderers."""
    connection = server.client()
    connection.post("/settings", {"Comfy.VueNodes.Enabled": request.param})
    connection.close()
    opened = browser.new_page(viewport={"width": 1600, "height": 900})
    opened.set_default_timeout(120_000)
    opened.goto(server.address)
    opened.wait_for_function(READY)
    assert opened.evaluate("app.extensionManager.setting.get('Comfy.VueNodes.Enabled')") is request.param
    yield opened
    opened.close()
