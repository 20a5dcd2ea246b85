"""ComfyUI-Finesse's face for ComfyUI: where the browser code lies and which nodes there are.

Nothing is imported until ComfyUI calls `comfy_entrypoint`, so that `finesse.core` and
`finesse.training` live without ComfyUI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension

WEB_DIRECTORY = "./web"


async def comfy_entrypoint() -> ComfyExtension:
    """Called once by ComfyUI when it loads the pack."""
    from .nodes import FinesseExtension

    return FinesseExtension()
