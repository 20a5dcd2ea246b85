"""Records where a file came from: the commit of the code that made it, and the settings."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath

ROOT = Path(__file__).resolve().parent.parent


def git_commit() -> str:
    """Short hash of this code's commit; "unknown" outside a git checkout."""
    command = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    try:
        return (
            subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
        )
    except OSError:  # no git on this machine
        return "unknown"


def settings_json(settings: Mapping[str, object]) -> str:
    """Settings as JSON for a file's header. Paths keep only their last part; the rest tells of the owner."""
    is_path = {name: isinstance(value, str) and set(value) & {"/", "\\"} for name, value in settings.items()}
    return json.dumps(
        {name: PureWindowsPath(value).name if is_path[name] else value for name, value in settings.items()}
    )
