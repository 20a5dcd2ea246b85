"""Exchanges boxes and pictures between *Inpaint Small Box* and the box picker in the page."""

from __future__ import annotations

from typing import Any

from comfy_api.latest import io
from PIL import Image
from torch import Tensor

from ...core.images import to_bytes
from ...core.small_objects.boxes import Grid
from ..page_pictures import picture_for_page

UI_KEY = "finesse_box"
LONGEST_SIDE = 1024  # largest side of the picture in the page: sharp enough to draw on


@io.comfytype(io_type="FINESSE_BOXES")
class Boxes(io.ComfyTypeIO):
    """Type of one box or several, as `parse_boxes` reads them, drawn in the picker (web/box_picker)."""

    Type = dict[str, Any] | list[dict[str, Any]]

    class Input(io.WidgetInput):
        """A widget; in `io.MultiType.Input` it also has a socket for other types."""


def picker_data(node: type[io.ComfyNode], image: Tensor, grid: Grid, model_side: int) -> dict[str, Any]:
    """Data that the picker shows after a run: the first picture, its size, and what the grades need.

    image: (batch, height, width, 3 or 4). model_side: in pixels, of the pictures that the model knows.
    """
    height, width = image.shape[1:3]
    data: dict[str, Any] = {
        "width": width,
        "height": height,
        "token": grid.token,
        "levels": grid.levels,
        "model_side": model_side,
    }
    if node.hidden is not None and node.hidden.unique_id is not None:  # None outside a server
        picture = Image.fromarray(to_bytes(image[0, ..., :3]).cpu().numpy())
        picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        data["picture"] = picture_for_page(picture, "box", "jpg")
    return data
