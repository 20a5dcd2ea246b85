"""Keeps what a long benchmark has measured in a folder, so that a run that was killed goes on there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..core.files import read_json, write_json


def claim(folder: Path, settings: Mapping[str, Any]) -> None:
    """Make `folder` the one of a run with these settings, JSON values by name.

    Raises ValueError when it holds what was measured with others.
    """
    path = folder / "settings.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, dict(settings))
    before = read_json(path)
    names = before.keys() | settings.keys()
    if other := sorted(name for name in names if before.get(name) != settings.get(name)):
        raise ValueError(
            f"folder: {folder} was measured with other settings for {', '.join(other)}; give another folder, "
            "or the same settings to go on."
        )
