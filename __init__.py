"""ComfyUI-Finesse's face for ComfyUI: where the browser code lies and which nodes there are.

Nothing is imported until ComfyUI calls `comfy_entrypoint`, so that `finesse.core` and
`finesse.training` live without ComfyUI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

WEB_DIRECTORY = "./web"
OLDEST_COMFYUI = "0.30.0"  # as in pyproject.toml


async def comfy_entrypoint() -> ComfyExtension:
    """Called once by ComfyUI when it loads the pack; ComfyUI logs what it raises."""
    _check_comfyui()
    from .nodes import FinesseExtension

    return FinesseExtension()


def _check_comfyui() -> None:
    """RuntimeError if this ComfyUI is too old, whose own complaint would be of something else."""
    import re

    try:
        from comfyui_version import __version__ as here
    except ImportError:  # a fork that tells its version elsewhere
        return
    found, oldest = ([int(part) for part in re.findall(r"\d+", each)[:3]] for each in (here, OLDEST_COMFYUI))
    if found < oldest:
        raise RuntimeError(
            f"ComfyUI-Finesse needs ComfyUI {OLDEST_COMFYUI} or newer, and this is ComfyUI {here}: its nodes "
            "are missing. Update ComfyUI and its requirements, by its updater or with git pull and "
            "pip install -r requirements.txt, and start it again."
        )
