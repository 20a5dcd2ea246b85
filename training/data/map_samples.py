"""Samples of pictures with their condition maps are written to shards and read again.

A shard holds for each picture `<id>.jpg`, `<id>.json` (source, id, width, height, captions) and, for each
condition, `<id>.<condition>.png` of the same size.
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
    """An RGB picture, its captions, and for each condition a map of its size. `id` has no full stop."""

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
    """A sample in the form that `write_tar` takes: the maps lossless, the picture as JPEG."""
    record = _Record(sample.source, sample.id, *sample.picture.size, sample.captions)
    maps = {f"{condition}.png": _saved(picture, "png") for condition, picture in sample.maps.items()}
    jpg = _saved(sample.picture, "jpeg", quality=JPEG_QUALITY)
    return sample.id, {"jpg": jpg, "json": msgspec.json.encode(asdict(record)), **maps}


def write_maps(path: Path, samples: Iterable[MapSample]) -> int:
    """Write samples to one tar file, atomically, and return their number. Equal samples give equal bytes."""
    return write_tar(path, map(pack_maps, samples))


def read_maps(
    path: str | Path, conditions: Sequence[str], damaged: list[str] | None = None
) -> Iterator[MapSample]:
    """Yield the samples of a shard in order, with the maps of `conditions`, all RGB.

    A sample is skipped if its picture, its record or one of these maps is missing, damaged or of another
    size. It is logged and added to `damaged` as "file: key: reason"; so is the rest of a file that is cut
    short. Raises ValueError if the file is missing.
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
            raise ValueError(f"{suffix} is {size}, but the record says {record.width, record.height}")
    return MapSample(record.id, record.captions, pictures.pop("picture"), pictures, record.source)


def _saved(picture: Image.Image, kind: str, **settings: int) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **settings)
    return file.getvalue()
