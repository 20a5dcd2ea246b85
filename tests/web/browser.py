"""Finds a Chromium-like browser for the page tests, and installs one where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
DEBIAN = (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"])


def find_browser() -> str | None:
    """The browser's path; None for the one that playwright installed. RuntimeError when none is to be had."""
    if found := _installed():
        return found
    if shutil.which("apt-get") and os.geteuid() == 0 and all(map(_succeeds, DEBIAN)):
        return _installed()
    if _succeeds([sys.executable, "-m", "playwright", "install", "chromium"]):
        return None
    raise RuntimeError("the page tests need Chromium, Chrome or Edge: install one of them and run again")


def _installed() -> str | None:
    on_path = next(filter(None, map(shutil.which, NAMES)), None)
    return on_path or next((place for place in PLACES if Path(place).exists()), None)


def _succeeds(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0
