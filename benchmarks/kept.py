"""Keeps what a long benchmark has measured in a folder, so that a run that was killed goes on there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..core.files import file_hash, read_json, write_json


def claim(folder: Path, settings: Mapping[str, Any], weights: Sequence[Path]) -> None:
    """Make `folder` the one of a run with these settings, JSON values by name, and these files.

    Raises ValueError when it holds what was measured with others.
    """
    path, given = folder / "settings.json", {**settings, "weights": file_hash(*weights)}
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, given)
    before = read_json(path)
    names = before.keys() | given.keys()
    if other := sorted(name for name in names if before.get(name) != given.get(name)):
        raise ValueError(
            f"folder: {folder} was measured with other settings for {', '.join(other)}; give another folder, "
            "or the same settings to go on."
        )
