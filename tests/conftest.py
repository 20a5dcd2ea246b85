"""What all tests share: one real ComfyUI with the pack and the miniature, and the figures they measure."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
from finesse.demo.server import ComfyServer
from PIL import Image

MEASURED: list[str] = []


def pytest_addoption(parser):
    parser.addoption("--write-schemas", action="store_true", help="write tests/node_schemas.json anew")
    parser.addoption("--frontend", help="folder of another page for ComfyUI to serve than its own")


@pytest.fixture(scope="session")
def measured():
    """Takes down a figure, to be shown when all tests are done."""
    return MEASURED.append


def pytest_terminal_summary(terminalreporter):
    if MEASURED:
        terminalreporter.section("measured")
        for line in MEASURED:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """A copy of the miniature's weights, for tests to spoil."""
    from finesse.miniature.model import networks as models

    return shutil.copytree(models.WEIGHTS, tmp_path_factory.mktemp("weights") / "64")


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """A folder with a miniature of random weights, and ComfyUI's modules to load it with."""
    from finesse.benchmarks import parity
    from finesse.miniature.model import networks as models

    parity.import_comfyui()
    folder = tmp_path_factory.mktemp("miniature")
    models.random(folder)
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
