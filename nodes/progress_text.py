"""Shows a text in a node after it ran."""

from __future__ import annotations

from comfy_api.latest import io
from server import PromptServer


def show_text(node: type[io.ComfyNode], text: str) -> None:
    """Show `text` in the node that runs, if it has the hidden `unique_id`."""
    if node.hidden is not None and node.hidden.unique_id is not None:
        PromptServer.instance.send_progress_text(text, node.hidden.unique_id)
