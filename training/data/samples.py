"""Samples of pictures with their small objects are written to shards, read again, and turned into prompts.

A shard holds for each picture `<id>.jpg`, the bytes of the original file, and `<id>.json`, a SampleRecord.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec
from PIL import Image

from ...core.files import read_json
from .tars import decode, parse_record, read_tar, write_tar

# Words that start with a vowel's letter but not its sound, and the reverse.
_VOWEL = re.compile(r"(?!uni|use|usb|uk|ute|eu|ewe|one\b)[aeiou]|hour|heir|honest")


@dataclass(frozen=True)
class SmallObject:
    """A labelled box (left, top, right, bottom), in fractions of the picture's width and height."""

    label: str
    box: tuple[float, float, float, float]
    colour: str | None


@dataclass(frozen=True)
class SampleRecord:
    """A picture's entry in a shard: its source, its size in pixels and its small objects."""

    source: str
    id: str
    width: int
    height: int
    objects: tuple[SmallObject, ...]


@dataclass(frozen=True)
class Sample:
    """A record with its picture: the bytes of the JPEG, and the decoded RGB picture of the record's size."""

    record: SampleRecord
    jpg: bytes
    picture: Image.Image


def prompts(thing: SmallObject) -> list[str]:
    """The paper's prompts for an object: "a dog" and, if its colour is known, "a brown dog"."""
    names = [thing.label] if thing.colour is None else [thing.label, f"{thing.colour} {thing.label}"]
    return [f"{'an' if _VOWEL.match(name) else 'a'} {name}" for name in names]


def picture_path(images: Path, file: str) -> Path:
    """The path of a picture: in the folder, or in train_<first digit>, as OpenImages' archives unpack."""
    path = images / file
    return path if path.exists() else images / f"train_{file[0]}" / file


def write_shard(path: Path, samples: Iterable[Sample]) -> int:
    """Write samples to one tar file, atomically, and return their number. Equal samples give equal bytes."""
    parts = ((s.record.id, {"jpg": s.jpg, "json": msgspec.json.encode(asdict(s.record))}) for s in samples)
    return write_tar(path, parts)


def shards(data: str | Path) -> list[Path]:
    """The shards of DATA/train that DATA/train.json lists. Raises ValueError that names missing files."""
    report = Path(f"{data}.json")
    if not report.is_file():
        raise ValueError(
            f"data: there is no {report}; make it with finesse.training.data.small_objects or .maps."
        )
    paths = [report.parent / shard["file"] for shard in read_json(report)["shards"]]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise ValueError(f"data: {report.parent} lacks {', '.join(missing)}: pack or copy the shards again.")
    return paths


def read_shard(path: str | Path, damaged: list[str] | None = None) -> Iterator[Sample]:
    """Yield the samples of a shard in order.

    A sample is skipped if its picture or record is missing or damaged, or if the file is cut short before it.
    It is logged and added to `damaged` as "file: key: reason". Raises ValueError if the file is missing.
    """
    return read_tar(path, _sample, damaged)


def _sample(parts: dict[str, bytes]) -> Sample:
    record = parse_record(parts, SampleRecord, ("jpg",))
    picture = decode(parts["jpg"])
    if picture.size != (record.width, record.height):
        raise ValueError(f"the picture is {picture.size}, but its record says {record.width, record.height}")
    return Sample(record, parts["jpg"], picture)
