"""COCO's JSON files: large, so mapped into memory, and only the fields that are wanted are decoded."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

Content = TypeVar("Content")


class CocoImage(msgspec.Struct, gc=False):
    """An entry of the list `images`; the file is a relative path that stays in its folder."""

    id: int
    file_name: Annotated[str, msgspec.Meta(pattern=r"^(?!/)(?!(.*/)?\.\.(/|$))[^\\:\x00]+$")]
    width: Annotated[int, msgspec.Meta(ge=1)]
    height: Annotated[int, msgspec.Meta(ge=1)]


def read_coco(path: Path, content: type[Content], kind: str) -> Content:
    """A JSON file as a msgspec struct that names the fields wanted; those that are msgspec.Raw stay on disk.

    A ValueError tells what is wrong with the file, and to give a `kind` such as "instances".
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: download it or give its path.")
    try:
        with path.open("rb") as file:
            # Never closed by hand: what is Raw goes on reading from it.
            text = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return msgspec.json.decode(text, type=content)
    except (msgspec.MsgspecError, ValueError) as error:  # mmap's ValueError: an empty file
        raise ValueError(f"{path} is no COCO {kind} file, give {kind}_...json: {error}") from error
