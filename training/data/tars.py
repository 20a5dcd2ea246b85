"""WebDataset tar files are written whole or not at all, and damaged samples are skipped when they are read.

A sample is a key and its parts by suffix: `<key>.jpg`, `<key>.json`, ... follow each other in the file. Both
`read_tar` and the `webdataset` library read such files.
"""

from __future__ import annotations

import logging
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import msgspec
from PIL import Image

from ...core.files import replacing

Parsed = TypeVar("Parsed")
log = logging.getLogger(__name__)


def write_tar(path: Path, samples: Iterable[tuple[str, Mapping[str, bytes]]]) -> int:
    """Write samples to one tar file, atomically, and return their number. Equal samples give equal bytes.

    A key has no full stop: everything after the first one is the suffix.
    """
    count = 0
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, parts in samples:
            for suffix, data in parts.items():
                member = tarfile.TarInfo(f"{key}.{suffix}")
                member.size = len(data)
                tar.addfile(member, BytesIO(data))
            count += 1
    return count


def read_tar(
    path: str | Path, parse: Callable[[dict[str, bytes]], Parsed], damaged: list[str] | None = None
) -> Iterator[Parsed]:
    """Yield `parse(parts)` of each sample of a tar file in order.

    A sample is skipped if `parse` raises ValueError for it, or if the file is cut short before its end. It is
    logged and added to `damaged` as "file: key: reason". Raises ValueError if the file is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is missing: pack the shards, or give the path of one.")

    def drop(what: str) -> None:
        log.warning("Skipping a damaged sample: %s: %s", path.name, what)
        if damaged is not None:
            damaged.append(f"{path.name}: {what}")

    try:
        with tarfile.open(path, "r:") as tar:
            for key, members in groupby(tar, key=lambda member: member.name.partition(".")[0]):
                parts = {m.name.partition(".")[2]: _contents(tar, m) for m in members}
                try:
                    sample = parse(parts)
                except ValueError as error:
                    drop(f"{key}: {error}")
                else:
                    yield sample
            if not _ends_here(path, tar.offset):
                drop("the rest of the file: it is cut short or damaged; pack it again")
    except tarfile.TarError as error:
        drop(f"the rest of the file: {error}; pack it again")


def decode(data: bytes) -> Image.Image:
    """Decode the bytes of a picture file to an RGB picture. Raises ValueError if they are damaged."""
    try:
        return Image.open(BytesIO(data)).convert("RGB")
    except Exception as error:  # a damaged file makes Pillow raise many kinds of errors
        raise ValueError(f"{type(error).__name__}: {error}") from error


def parse_record(parts: dict[str, bytes], kind: type[Parsed], pictures: Iterable[str]) -> Parsed:
    """A sample's JSON as a dataclass. Raises ValueError that names missing fields, or missing `pictures`."""
    if missing := {"json", *pictures} - parts.keys():
        raise ValueError(f"there is no {' and no '.join(sorted(missing))}")
    try:
        return msgspec.json.decode(parts["json"], type=kind)
    except msgspec.MsgspecError as error:
        raise ValueError(f"its record cannot be read: {error}") from error


def _contents(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _ends_here(path: Path, offset: int) -> bool:
    """Whether only the zeros that end a tar file follow; at a damaged header, tarfile stops silently."""
    with path.open("rb") as file:
        file.seek(offset)
        rest = file.read(tarfile.RECORDSIZE)
    return len(rest) >= tarfile.BLOCKSIZE and not any(rest)
