"""What all tests share: one real ComfyUI with the pack and the miniature, and the figures they measure."""

from __future__ import annotations

import io
import re
import shutil

import numpy as np
import pytest
from finesse.demo.server import ComfyServer
from PIL import Image
from xdist.scheduler import LoadScopeScheduling

MEASURED = "measured"
HEAVY = {"server", "fresh", "browser"}  # fixtures whose tests --quick leaves out
LONG = ("web", "server", "training", "miniature", "nodes")  # folders of tests, the longest first
PAGE = re.compile(r"[\[-]((?:classic|nodes-2\.0)(?:-own-page)?)[\]-]")  # in the id of a test that opens one


def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true", help="leave out what needs a server or a browser")
    parser.addoption("--write-schemas", action="store_true", help="write tests/node_schemas.json anew")
    parser.addoption("--frontend", help="folder of another page for ComfyUI to serve than its own")


def pytest_collection_modifyitems(config, items):
    if config.getoption("--quick"):
        heavy = [item for item in items if HEAVY & set(item.fixturenames)]
        config.hook.pytest_deselected(items=heavy)
        items[:] = [item for item in items if item not in heavy]
    if hasattr(config, "workerinput"):  # in one of several processes a long file must not begin last
        rank = {folder: place for place, folder in enumerate(LONG)}
        items.sort(key=lambda item: rank.get(item.nodeid.split("/")[1], len(LONG)))


def group_of(test_id):
    """Tests that run in one process, one after the other: those of a page, which they share, or of a file."""
    page = PAGE.search(test_id)
    return page[1] if page else test_id.split("::")[0]


class Scheduling(LoadScopeScheduling):
    def _split_scope(self, nodeid):
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False
    return Scheduling(config, log)


@pytest.fixture
def measured(record_property):
    """Takes down a figure, to be shown when all tests are done."""
    return lambda line: record_property(MEASURED, line)


def pytest_terminal_summary(terminalreporter):
    reports = [report for found in terminalreporter.stats.values() for report in found]
    lines = [
        line
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, line in report.user_properties
        if name == MEASURED
    ]
    if lines:
        terminalreporter.section(MEASURED)
        for line in lines:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A copy of the miniature's weights, for tests to spoil."""
    from finesse.miniature.model import networks

    return shutil.copytree(networks.WEIGHTS, tmp_path_factory.mktemp("weights") / "64")


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """A folder with a miniature of random weights, and ComfyUI's modules to load it with."""
    from finesse.benchmarks import parity
    from finesse.miniature.model import networks

    parity.import_comfyui()
    folder = tmp_path_factory.mktemp("miniature")
    networks.random(folder)
    return folder


@pytest.fixture(scope="session")
def small_objects(tmp_path_factory):
    """The miniature's small objects as training data."""
    from finesse.miniature.small_object_set import write_samples

    folder = tmp_path_factory.mktemp("small_objects")
    write_samples(folder, folder / "cache", "train", 40, 64)
    return folder / "train"


@pytest.fixture(scope="session")
def server(tmp_path_factory, weights, pytestconfig):
    """The one ComfyUI of the session."""
    folder, frontend = tmp_path_factory.mktemp("comfyui"), pytestconfig.getoption("--frontend")
    arguments = ["--front-end-root", frontend] if frontend else []
    with ComfyServer(folder, None, arguments, {"FINESSE_MINIATURE": str(weights)}) as running:
        yield running


@pytest.fixture
def client(server):
    """A connection to the server, whose queue is empty."""
    connection = server.client()
    yield connection
    connection.close()
    server.check()


@pytest.fixture(scope="session")
def object_info(server):
    connection = server.client()
    yield connection.object_info()
    connection.close()


@pytest.fixture(scope="session")
def pixels():
    """PNG bytes -> uint8 array."""
    return lambda data: np.asarray(Image.open(io.BytesIO(data)))
