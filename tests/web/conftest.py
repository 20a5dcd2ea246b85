"""ComfyUI's page in a browser, in both of its renderers."""

from __future__ import annotations

import pytest
from finesse.miniature.scenes import scene
from finesse.miniature.workflows import png
from finesse.tests.web.browser import find_browser
from playwright.sync_api import sync_playwright

READY = "window.app?.extensionManager && app.isGraphReady && !app.extensionManager.spinner"


@pytest.fixture(scope="session")
def browser():
    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_browser(), args=options)
        yield running
        running.close()


@pytest.fixture(scope="session")
def users_files(server):
    """What a user has who did as the example workflows' notes say: the model file, and ComfyUI's picture."""
    (server.folder / "models" / "checkpoints" / "sd-v1-5-inpainting.safetensors").touch()
    connection = server.client()
    connection.upload(png(scene(1, 512).image), "example.png")
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
