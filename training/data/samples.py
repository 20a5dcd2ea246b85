"""A picture with its small objects: how it lies in a shard, is read again, and what prompts it has.

A shard is a WebDataset tar file: for each picture `<id>.jpg`, the original file's bytes, and `<id>.json`, a
Record. `read_shard` here and the `webdataset` library both read it.
"""

from __future__ import annotations

import logging
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path

import msgspec
from PIL import Image

from ...core.files import read_json, replacing

log = logging.getLogger(__name__)

# Words that start with a vowel's letter but not its sound, and the other way round.
_VOWEL = re.compile(r"(?!uni|use|usb|uk|ute|eu|ewe|one\b)[aeiou]|hour|heir|honest")


@dataclass(frozen=True)
class SmallObject:
    """A labelled box: (left, top, right, bottom) as fractions of the picture's width and height."""

    label: str
    box: tuple[float, float, float, float]
    colour: str | None


@dataclass(frozen=True)
class Record:
    """What a shard says of a picture: where it comes from, its size in pixels and its small objects."""

    source: str
    id: str
    width: int
    height: int
    objects: tuple[SmallObject, ...]


@dataclass(frozen=True)
class Sample:
    """A record with its picture: the JPEG's bytes, and the same decoded, RGB of the record's size."""

    record: Record
    jpg: bytes
    picture: Image.Image


def prompts(thing: SmallObject) -> list[str]:
    """The paper's prompts for an object: "a dog" and, where its colour is known, "a brown dog"."""
    names = [thing.label] if thing.colour is None else [thing.label, f"{thing.colour} {thing.label}"]
    return [f"{'an' if _VOWEL.match(name) else 'a'} {name}" for name in names]


def decode(jpg: bytes) -> Image.Image:
    """A picture file's bytes as an RGB picture, its pixels read; a ValueError says why it cannot be."""
    try:
        return Image.open(BytesIO(jpg)).convert("RGB")
    except Exception as error:  # a damaged file makes Pillow raise a good many kinds
        raise ValueError(f"{type(error).__name__}: {error}") from error


def picture_path(images: Path, file: str) -> Path:
    """Where a picture lies: in the folder, or in train_<first digit> as OpenImages' archives unpack."""
    path = images / file
    return path if path.exists() else images / f"train_{file[0]}" / file


def write_shard(path: Path, samples: Iterable[Sample]) -> int:
    """Write samples as one tar file, atomically; return their number. Equal samples give equal bytes."""
    count = 0
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            text = msgspec.json.encode(asdict(sample.record))
            for suffix, data in (("jpg", sample.jpg), ("json", text)):
                member = tarfile.TarInfo(f"{sample.record.id}.{suffix}")
                member.size = len(data)
                tar.addfile(member, BytesIO(data))
            count += 1
    return count


def shards(data: str | Path) -> list[Path]:
    """The shards of DATA/train, as DATA/train.json lists them; a ValueError names a missing one."""
    report = Path(f"{data}.json")
    if not report.is_file():
        raise ValueError(f"data: there is no {report}; make it with finesse.training.data.small_objects.")
    paths = [report.parent / shard["file"] for shard in read_json(report)["shards"]]
    if missing := [path.name for path in paths if not path.is_file()]:
        raise ValueError(f"data: {report.parent} lacks {', '.join(missing)}: pack or copy the shards again.")
    return paths


def read_shard(path: str | Path, damaged: list[str] | None = None) -> Iterator[Sample]:
    """The samples of a shard in order, one at a time.

    A sample without a picture or a record, with one that does not decode, or behind the place where the
    file is cut short is left out, logged and, as "file: key: reason", added to `damaged`. A missing file is
    a ValueError.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path} is missing: pack the shards, or give the path of one.")

    def drop(what: str) -> None:
        log.warning("Leaving out a damaged sample: %s: %s", path.name, what)
        if damaged is not None:
            damaged.append(f"{path.name}: {what}")

    try:
        with tarfile.open(path, "r:") as tar:
            for key, members in groupby(tar, key=lambda member: member.name.partition(".")[0]):
                parts = {m.name.partition(".")[2]: _contents(tar, m) for m in members}
                try:
                    sample = _sample(parts)
                except ValueError as error:
                    drop(f"{key}: {error}")
                else:
                    yield sample
            if not _ends_here(path, tar.offset):
                drop("the rest of the file: it is cut short or damaged; pack it again")
    except tarfile.TarError as error:
        drop(f"the rest of the file: {error}; pack it again")


def _contents(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _sample(parts: dict[str, bytes]) -> Sample:
    if missing := {"jpg", "json"} - parts.keys():
        raise ValueError(f"there is no {' and no '.join(sorted(missing))}")
    try:
        record = msgspec.json.decode(parts["json"], type=Record)
    except msgspec.MsgspecError as error:
        raise ValueError(f"its record is none: {error}") from error
    picture = decode(parts["jpg"])
    if picture.size != (record.width, record.height):
        raise ValueError(f"the picture is {picture.size}, its record says {record.width, record.height}")
    return Sample(record, parts["jpg"], picture)


def _ends_here(path: Path, offset: int) -> bool:
    """Whether only the zeros that end a tar file follow; at a damaged header tarfile just stops."""
    with path.open("rb") as file:
        file.seek(offset)
        rest = file.read(tarfile.RECORDSIZE)
    return len(rest) >= tarfile.BLOCKSIZE and not any(rest)
