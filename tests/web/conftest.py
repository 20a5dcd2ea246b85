"""ComfyUI's page in a browser, in both of its renderers.

It is the page of the server that all tests share: with `--frontend` the newest one that is published. Tests
marked `own_page_too` then run on the page that ComfyUI comes with, too.
"""

from __future__ import annotations

import pytest
from finesse.demo.server import ComfyServer
from finesse.tests.web.box_picking import show
from finesse.tests.web.browser import find_browser
from finesse.tests.web.map_editor_desk import desk, editor_page, site  # noqa: F401
from finesse.tests.web.pages import CLEAR, OWN, READY, RENDERERS, WATCH_DEPRECATED, Opened, equip
from playwright.sync_api import sync_playwright


def pytest_configure(config):
    config.addinivalue_line("markers", "own_page_too: run on the page that ComfyUI comes with, too")


def pytest_generate_tests(metafunc):
    """Open pages of every kind for what asks for a page, unless it names the kind."""
    definition = metafunc.definition
    named = any("opened" in mark.args[0] for mark in definition.iter_markers("parametrize"))
    if "opened" in metafunc.fixturenames and not named:
        has_newest = metafunc.config.getoption("--frontend") is not None
        twice = has_newest and definition.get_closest_marker("own_page_too")
        kinds = [*RENDERERS, *(renderer + OWN for renderer in RENDERERS if twice)]
        metafunc.parametrize("opened", kinds, indirect=True, scope="session")


@pytest.fixture(scope="session")
def browser():
    options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find_browser(), args=options)
        yield running
        running.close()


@pytest.fixture(scope="session")
def equipped(server):
    """The server that all tests share, with what users have."""
    equip(server)
    return server


@pytest.fixture(scope="session")
def own_server(tmp_path_factory):
    """A server with the page that ComfyUI comes with."""
    with ComfyServer(tmp_path_factory.mktemp("own_page")) as running:
        equip(running)
        yield running


@pytest.fixture(scope="session")
def opened(request, browser):
    """ComfyUI's page, ready: a renderer, and which page."""
    renderer = request.param.removesuffix(OWN)
    server = request.getfixturevalue("own_server" if request.param.endswith(OWN) else "equipped")
    is_new = renderer == "nodes-2.0"
    connection = server.client()
    connection.post("/settings", {"Comfy.VueNodes.Enabled": is_new})
    connection.close()
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.set_default_timeout(120_000)
    page.goto(server.address)
    page.wait_for_function(READY)
    assert page.evaluate("app.extensionManager.setting.get('Comfy.VueNodes.Enabled')") is is_new
    yield Opened(page, server)
    page.close()


@pytest.fixture
def page(opened):
    """ComfyUI's page with an empty workflow."""
    opened.page.evaluate(CLEAR)
    opened.page.evaluate(WATCH_DEPRECATED)
    yield opened.page
    assert not opened.page.evaluate("window.deprecated?.splice(0) ?? []")


@pytest.fixture
def picker(page):
    """The page with one box picker that shows a picture."""
    page.set_default_timeout(20_000)
    show(page)
    return page


@pytest.fixture
def client(opened):
    """A connection to the page's server, whose queue is empty."""
    connection = opened.server.client()
    yield connection
    connection.close()
    opened.server.check()
