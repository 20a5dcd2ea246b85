"""What a file's header says of where it came from."""

from __future__ import annotations

import json

import pytest
from finesse.training.provenance import settings_json


@pytest.mark.parametrize("path", ["/home/ann/models/sd15", "models/sd15/", "C:\\Users\\ann\\sd15"])
def test_of_a_path_only_the_last_part_is_told(path):
    assert json.loads(settings_json({"base": path, "rank": 4})) == {"base": "sd15", "rank": 4}


def test_other_settings_are_told_as_they_are():
    settings = {"crop": "192, 320", "modules": "to_q, ff.net.2", "by_area": True, "rate": 1e-4, "none": None}
    assert json.loads(settings_json(settings)) == settings
