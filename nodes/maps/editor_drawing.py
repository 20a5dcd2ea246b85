"""Exchanges maps and drawings between *Edit Map* and the map editor in the page."""

from __future__ import annotations

import hashlib
import io as streams
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import folder_paths
import numpy as np
from comfy.model_management import throw_exception_if_processing_interrupted
from comfy_api.latest import io
from PIL import Image
from server import PromptServer

from ...core.files import confined
from ...core.maps.drawing import DrawnPatch, parse_drawing
from ...core.maps.palettes import Palette
from ..page_pictures import picture_for_page

UI_KEY, EVENT = "finesse_map", "finesse.map"


@io.comfytype(io_type="FINESSE_MAP_DRAWING")
class MapDrawing(io.ComfyTypeIO):
    """Type of a drawing as `core.maps.drawing` reads it, held by a widget of its own."""

    Type = dict[str, Any]

    class Input(io.WidgetInput):
        """A widget without a socket; its value is {} at first."""

        def __init__(self, id: str, tooltip: str) -> None:
            super().__init__(id, optional=True, tooltip=tooltip, default={}, socketless=True)


def drawn_on(
    images: Sequence[np.ndarray], hashes: Sequence[str], drawing: Any, palette: Palette | None
) -> dict[int, np.ndarray]:
    """Maps with the drawing on them, by their index in `images`; undrawn ones are left out.

    images: RGB float (H, W, 3). hashes: their `map_hash`. Raises ValueError that names the map and what to
    do; this includes a map that has changed since it was drawn on.
    """
    results = {}
    for place, patch in parse_drawing(drawing).items():
        throw_exception_if_processing_interrupted()
        if place >= len(images):
            raise ValueError(
                f"drawing has a patch for map {place + 1} but map has {len(images)} pictures; link as many "
                "as were drawn on, or open the editor, which drops it when you keep."
            )
        name = f"map {place + 1}: " if len(images) > 1 else ""
        try:
            patch.check_base(images[place].shape, hashes[place])
        except ValueError as error:
            raise ValueError(f"{name}{error}") from error
        try:
            results[place] = patch.laid_on(images[place], _picture(patch), palette)
        except ValueError as error:
            raise ValueError(f"{name}drawing: {error}") from error
    return results


def files_fingerprint(drawing: Any) -> str:
    """Hash the files that a drawing names, so that a changed one runs the node again; "" for none."""
    found = hashlib.sha256()
    named = [patch for patch in parse_drawing(drawing).values() if patch.file is not None]
    for patch in named:
        path = _path(patch.file)
        found.update(path.read_bytes() if path.is_file() else b"")
    return found.hexdigest() if named else ""


def _picture(patch: DrawnPatch) -> np.ndarray:
    """RGBA uint8 (h, w, 4)."""
    data = patch.png if patch.png is not None else _file_bytes(patch)
    patch.check_png(data)
    try:
        Image.open(streams.BytesIO(data), formats=["PNG"]).verify()  # reading skips the check sums
        return np.array(Image.open(streams.BytesIO(data), formats=["PNG"]))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"its PNG is damaged ({error}); draw it anew") from error


def _file_bytes(patch: DrawnPatch) -> bytes:
    path = _path(patch.file)
    if not path.is_file():
        raise ValueError(
            f"file {patch.file!r} is missing in {folder_paths.get_input_directory()}: a drawing this large "
            "is kept there and not in the workflow; copy the file there, or drop the drawing in the editor"
        )
    return path.read_bytes()


def _path(name: str) -> Path:
    try:
        return confined(name, folder_paths.get_input_directory())
    except ValueError as error:
        raise ValueError(f"file: {error}") from error


def editor_data(
    node_id: str | None,
    bases: np.ndarray,
    hashes: Sequence[str],
    palette: Palette | None,
    wanted: dict[str, list[int]],
    minimal_area: float,
) -> dict[str, Any]:
    """Data with which the editor opens; the bases, RGB uint8 (B, H, W, 3), are saved as temporary PNGs."""
    return {
        "node": node_id,
        "maps": [_base(*each) for each in zip(bases, hashes, strict=True)],
        "palette": palette
        and {"name": palette.name, "labels": list(palette.labels), "colours": palette.table.tolist()},
        "wanted": [{"name": name, "labels": labels} for name, labels in wanted.items()],
        "minimal_area": minimal_area,
    }


def tell_page(data: dict[str, Any]) -> None:
    """Send the data of an editor to the page that queued this run, before an error ends the node."""
    server = getattr(PromptServer, "instance", None)
    if server is not None and server.client_id is not None:
        server.send_sync(EVENT, data, server.client_id)


def _base(pixels: np.ndarray, hash: str) -> dict[str, Any]:
    throw_exception_if_processing_interrupted()
    height, width = pixels.shape[:2]
    place = picture_for_page(Image.fromarray(pixels), "map", digest=hash)
    return {**place, "sha256": hash, "width": width, "height": height}
