"""A picture with its condition maps: how it lies in a shard, and how it is read again.

A shard holds for each picture `<id>.jpg`, `<id>.json` (source, id, width, height, captions) and for each
condition `<id>.<condition>.png`, all of one size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import msgspec
from PIL import Image

from .tars import decode, parse_record, read_tar, write_tar

JPEG_QUALITY = 95


@dataclass(frozen=True)
class MapSample:
    """A picture, RGB, its captions, and a map of its size by condition; `id` holds no full stop."""

    id: str
    captions: tuple[str, ...]
    picture: Image.Image
    maps: dict[str, Image.Image]
    source: str


@dataclass(frozen=True)
class _Record:
    source: str
    id: str
    width: int
    height: int
    captions: tuple[str, ...]


def pack_maps(sample: MapSample) -> tuple[str, dict[str, bytes]]:
    """A sample as `write_tar` takes it: maps without loss, the picture as JPEG."""
    record = _Record(sample.source, sample.id, *sample.picture.size, sample.captions)
    maps = {f"{condition}.png": _saved(picture, "png") for condition, picture in sample.maps.items()}
    jpg = _saved(sample.picture, "jpeg", quality=JPEG_QUALITY)
    return sample.id, {"jpg": jpg, "json": msgspec.json.encode(asdict(record)), **maps}


def write_maps(path: Path, samples: Iterable[MapSample]) -> int:
    """Write samples as one tar file, atomically; return their number. Equal samples give equal bytes."""
    return write_tar(path, map(pack_maps, samples))


def read_maps(
    path: str | Path, conditions: Sequence[str], damaged: list[str] | None = None
) -> Iterator[MapSample]:
    """The samples of a shard in order, one at a time, their maps those of `conditions`, all RGB.

    A sample that lacks the picture, the record or one of the maps, or in which one is damaged or of another
    size, is left out, logged and, as "file: key: reason", added to `damaged`; so is the rest of a file that
    is cut short. A missing file is a ValueError.
    """
    return read_tar(path, partial(_sample, tuple(conditions)), damaged)


def _sample(conditions: tuple[str, ...], parts: dict[str, bytes]) -> MapSample:
    names = {"picture": "jpg", **{condition: f"{condition}.png" for condition in conditions}}
    record = parse_record(parts, _Record, names.values())
    pictures = {}
    for name, suffix in names.items():
        try:
            pictures[name] = decode(parts[suffix])
        except ValueError as error:
            raise ValueError(f"{suffix}: {error}") from error
        if (size := pictures[name].size) != (record.width, record.height):
            raise ValueError(f"{suffix} is {size}, the record says {record.width, record.height}")
    return MapSample(record.id, record.captions, pictures.pop("picture"), pictures, record.source)


def _saved(picture: Image.Image, kind: str, **settings: int) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **settings)
    return file.getvalue()
