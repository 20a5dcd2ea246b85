"""What *Inpaint Small Box* and the box picker in the page tell each other."""

from __future__ import annotations

import hashlib
import io as streams
from pathlib import Path
from typing import Any

import folder_paths
from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from ..core.files import replacing

UI_KEY = "finesse_box"
SUBFOLDER = "finesse"  # of ComfyUI's folder for temporary files
LONGEST_SIDE = 1024  # of the picture for the page: sharp enough to draw on


@io.comfytype(io_type="FINESSE_BOXES")
class Boxes(io.ComfyTypeIO):
    """A box or a list of them as `core.boxes.parse_boxes` reads it, drawn in the picker (web/box_picker)."""

    Type = dict[str, Any] | list[dict[str, Any]]

    class Input(io.WidgetInput):
        """A widget; in `io.MultiType.Input` with a socket for other types beside."""


def picker_data(node: type[io.ComfyNode], image: Tensor, cell: int, levels: int) -> dict[str, Any]:
    """What the picker shows after a run: the picture's size, its first picture, and what the grades ask for.

    image: (batch, height, width, 3 or 4). cell: pixels under one latent value. levels: of the UNet.
    """
    height, width = image.shape[1:3]
    data: dict[str, Any] = {"width": width, "height": height, "cell": cell, "levels": levels}
    if node.hidden is not None and node.hidden.unique_id is not None:  # not alone, but in a page's workflow
        data["picture"] = _saved(image[0, ..., :3])
    return data


def _saved(pixels: Tensor) -> dict[str, str]:
    """Where a picture (height, width, 3) lies as a small JPEG, written once for each content."""
    picture = Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().cpu().numpy())
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    buffer = streams.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    name = f"box_{hashlib.sha256(buffer.getvalue()).hexdigest()[:32]}.jpg"
    path = Path(folder_paths.get_temp_directory()) / SUBFOLDER / name
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
    return {"filename": name, "subfolder": SUBFOLDER, "type": "temp"}
