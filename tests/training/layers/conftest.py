"""A model of random weights with photos to edit, for the scripts of layered edits."""

import pytest
import torch
from finesse.tests.training.layers.photos import SIDE, write_photos
from finesse.training.layers.edit_learning import Editor, LayeredConfig
from finesse.training.layers.photo_edits import read_edits
from finesse.training.models.base_model import PLAIN, load_base


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder)
    return folder


@pytest.fixture(scope="session")
def layered_config(photos):
    """Settings of a short run into a folder."""

    def settings(output, **changes):
        chosen = {
            "base": str(photos / "base"),
            "edits": str(photos / "edits.jsonl"),
            "folder": str(output),
            "resolution": SIDE,
            "embedding_steps": 4,
            "fine_tuning_steps": 3,
            "learning_rate": 1e-3,
            "pictures": 2,
            "sampling_steps": 3,
            "rank": 2,
        } | changes
        return LayeredConfig(**chosen)

    return settings


@pytest.fixture
def editing(layered_config, tmp_path):
    """The base, an editor on it and the edits of two photos."""

    def make(**changes):
        settings = layered_config(tmp_path, **changes)
        base = load_base(settings.base, channels=PLAIN)
        return base, Editor(settings, base, torch.device("cpu")), read_edits(settings.edits, settings.seed)

    return make
