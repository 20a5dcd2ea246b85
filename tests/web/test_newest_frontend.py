"""The editors in the newest page that there is, which users may have before ComfyUI pins it: a second run.

It warns and does not fail: what changes there is no fault of a change here.
"""

from __future__ import annotations

import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

FOLDER = Path(__file__).parent
EDITORS = ("test_box_picker.py", "test_seed_picker.py", "test_map_editor.py")
PACKAGE = "comfyui-frontend-package"
LINES = 25  # of a failed run's output in the warning


def run(*arguments):
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, cwd=FOLDER.parents[1], capture_output=True, text=True)


def test_the_editors_in_the_newest_page(tmp_path, measured):
    fetched = run("pip", "download", "--no-deps", "--disable-pip-version-check", "-d", tmp_path, PACKAGE)
    if fetched.returncode:
        warnings.warn(f"the newest page cannot be fetched: {fetched.stderr[-500:]}", stacklevel=1)
        return
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "page")
    page = tmp_path / "page" / "comfyui_frontend_package" / "static"
    assert (page / "index.html").exists()

    tests = [FOLDER / name for name in EDITORS]
    done = run("pytest", "-q", "-p", "no:cacheprovider", "--frontend", page, *tests)
    shown = "\n".join(done.stdout.splitlines()[-LINES:])
    measured(f"editors in {wheel.name.split('-py3')[0]}: {shown.splitlines()[-1]}")
    assert "no tests ran" not in shown, shown
    if done.returncode:
        warnings.warn(f"the editors fail in {wheel.name}:\n{shown}", stacklevel=1)
