from __future__ import annotations

import pytest
from finesse.miniature.prompts import png
from finesse.miniature.scenes import scene


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
