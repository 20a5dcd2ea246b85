"""Saves pictures for the editors in ComfyUI's page, as temporary files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import folder_paths
from PIL import Image

from ..core.files import replacing

SUBFOLDER = "finesse"
FORMATS = {"png": ("PNG", {"compress_level": 1}), "jpg": ("JPEG", {"quality": 90})}


def picture_for_page(
    picture: Image.Image, kind: str, suffix: str = "png", digest: str | None = None
) -> dict[str, str]:
    """Save a picture, once for each content, and tell where the page finds it.

    kind: the beginning of the file's name. suffix: one of FORMATS. digest: hash of the pixels, if known.
    """
    digest = digest or hashlib.sha256(picture.tobytes()).hexdigest()
    name = f"{kind}_{picture.width}x{picture.height}_{digest[:32]}.{suffix}"
    path = Path(folder_paths.get_temp_directory()) / SUBFOLDER / name
    if not path.exists():
        format, options = FORMATS[suffix]
        with replacing(path) as temporary:
            picture.save(temporary, format, **options)
    return {"filename": name, "subfolder": SUBFOLDER, "type": "temp"}
