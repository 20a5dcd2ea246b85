"""COCO's large JSON files are mapped into memory, and only the fields that are needed are decoded."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

Content = TypeVar("Content")


class CocoImage(msgspec.Struct, gc=False):
    """An entry of the list `images`. Its file name is a relative path that does not leave its folder."""

    id: int
    file_name: Annotated[str, msgspec.Meta(pattern=r"^(?!/)(?!(.*/)?\.\.(/|$))[^\\:\x00]+$")]
    width: Annotated[int, msgspec.Meta(ge=1)]
    height: Annotated[int, msgspec.Meta(ge=1)]


def read_coco(path: Path, content: type[Content], kind: str) -> Content:
    """Read a JSON file as a msgspec struct with the needed fields; fields of type msgspec.Raw stay on disk.

    kind: the kind of file to ask for in messages, such as "instances". Raises ValueError that says what is
    wrong with the file.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: download it or give its path.")
    try:
        with path.open("rb") as file:
            # The map is never closed explicitly, because Raw fields keep reading from it.
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return msgspec.json.decode(text, type=content)
    except (msgspec.MsgspecError, ValueError) as error:  # mmap's ValueError: an empty file
        raise ValueError(f"{path} is no COCO {kind} file, give {kind}_...json: {error}") from error
