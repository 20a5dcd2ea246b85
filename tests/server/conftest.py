from __future__ import annotations

import pytest
from finesse.demo.prompts import png
from finesse.demo.server import ComfyServer
from finesse.miniature.world.scenes import scene
from finesse.tests.prompts import picture, text_to_image


@pytest.fixture(scope="session")
def scene_png():
    return png(scene(5, 64).image)


@pytest.fixture
def scene_file(client, scene_png):
    """A picture of the miniature world in the server's input folder."""
    return client.upload(scene_png, "scene.png")


@pytest.fixture
def forget(client):
    """Makes the server forget models and results, as they are before the first prompt."""

    def free():
        client.post("/free", {"free_memory": True, "unload_models": True})
        # The server does so after its next prompt.
        empty = {"width": 8, "height": 8, "batch_size": 1, "color": 0}
        client.run(
            {
                "empty": {"class_type": "EmptyImage", "inputs": empty},
                "preview": {"class_type": "PreviewImage", "inputs": {"images": ["empty", 0]}},
            }
        )

    return free


@pytest.fixture(scope="session")
def fresh(tmp_path_factory, weights):
    """A server on which nothing has run yet."""
    folder = tmp_path_factory.mktemp("fresh")
    with ComfyServer(folder, environment={"FINESSE_MINIATURE": str(weights)}) as running:
        yield running


@pytest.fixture(scope="session")
def fresh_picture(fresh):
    """What `text_to_image(seed=7)` gives as the first thing that a server does: PNG bytes."""
    connection = fresh.client()
    yield picture(connection, text_to_image(seed=7))
    connection.close()
