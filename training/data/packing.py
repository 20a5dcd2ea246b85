"""Pack selected objects, their colours and their pictures into WebDataset shards, one sample per picture.

A shard depends only on its list of pictures, objects and colours. So threads can make shards in any order,
and an interrupted run continues where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
from tqdm import tqdm

from ..loop.cache import code_hash
from .ahead import ahead
from .box_selection import BOX, read_selection
from .colours import CHUNK, colours_of, read_colours
from .samples import Sample, SampleRecord, SmallObject, picture_path, write_shard
from .shard_set import ShardSet, named
from .tars import decode


def pack(
    selection: Path, images: Path, colours: Path, folder: Path, *, per_shard: int = 1000, workers: int = 8
) -> dict[str, Any]:
    """Write `folder`/<split>-000000.tar, ... and the report `folder`/<split>.json; return the report.

    selection: the Parquet file of the step select. colours: the folder of the step colours; if it is empty,
    objects have no colours. images: the folder of the pictures. Shards hold `per_shard` pictures in the order
    of the image ids. A picture that is missing or does not decode is counted and left out. A shard that
    exists and was made from the same data is not made again. Shards of an earlier, longer set are deleted.
    Raises ValueError if there is no picture at all or if the colours are not complete.
    """
    if per_shard < 1 or workers < 1:
        raise ValueError(f"per_shard is {per_shard} and workers {workers}: give at least 1 of each.")
    selected = read_selection(selection)
    split = selected["causes"]["split"]
    model, parts = read_colours(selection, colours) or (None, None)
    missing: list[str] = []
    source = selected["causes"]["source"]
    plans = _plans(_pictures(selection, images, parts, missing), source, per_shard, code_hash(__name__))
    target = ShardSet(folder, split, selection.parent / "shards")
    shards = list(tqdm(ahead(partial(_make_shard, target), plans, workers), desc="shards"))
    made = [shard for shard in shards if shard["samples"]]
    damaged = [name for shard in shards for name in shard["damaged"]]
    if not made:
        raise ValueError(
            f"{images} has none of the pictures: {len(missing)} are missing, {len(damaged)} damaged, for "
            f"example {(missing + damaged)[0]}. Give the folder that they are in."
        )
    report = {
        **selected["causes"],
        "boxes": {name: selected[name] for name in ("rows", "kept", "dropped", "unknown_classes")},
        "pictures": {
            "kept": sum(shard["samples"] for shard in made),
            "missing": named(missing),
            "damaged": named(damaged),
        },
        "objects": sum(shard["objects"] for shard in made),
        "colours": {"model": model, **sum((Counter(shard["colours"]) for shard in made), Counter())},
        "shards": [{name: shard[name] for name in ("file", "samples", "objects")} for shard in made],
    }
    target.finish(report)
    return report


@dataclass(frozen=True)
class _Picture:
    path: Path
    id: str
    stamp: tuple[int, int]  # the file's size and modification time
    objects: tuple[SmallObject, ...]
    colours: tuple[str, ...]  # the state of each object's colour: known, no_colour, not_asked


def _pictures(
    selection: Path, images: Path, parts: list[Path] | None, missing: list[str]
) -> Iterator[_Picture]:
    """Yield the existing pictures in order; the names of the others are added to `missing`."""
    for (image, file), rows in groupby(_rows(selection, parts), key=lambda row: row[:2]):
        things = [
            (SmallObject(label, tuple(box), colour or None), colour) for _, _, label, *box, colour in rows
        ]
        path = picture_path(images, file)
        try:
            stat = path.stat()
        except OSError:
            missing.append(file)
            continue
        how = ("not_asked" if colour is None else "known" if colour else "no_colour" for _, colour in things)
        stamp = stat.st_size, stat.st_mtime_ns
        yield _Picture(path, image, stamp, tuple(thing for thing, _ in things), tuple(how))


def _rows(selection: Path, parts: list[Path] | None) -> Iterator[tuple[Any, ...]]:
    """Yield (image, file, label, left, top, right, bottom, colour) of each object, one chunk in memory."""
    objects = pl.scan_parquet(selection)
    for chunk in range(-(-objects.select(pl.len()).collect().item() // CHUNK)):
        frame = objects.slice(chunk * CHUNK, CHUNK).select("image", "file", "label", *BOX).collect()
        found = colours_of(parts[chunk]) if parts else [None] * frame.height
        for row, colour in zip(frame.iter_rows(), found, strict=True):
            yield *row, colour


@dataclass(frozen=True)
class _Plan:
    index: int
    source: str
    pictures: list[_Picture]
    code: str

    def causes(self) -> str:
        """A hash of everything that the shard's bytes depend on."""
        parts = [self.code, self.source, [(p.path.name, p.id, p.stamp, p.objects) for p in self.pictures]]
        return hashlib.sha256(json.dumps(parts, default=asdict).encode()).hexdigest()


def _plans(pictures: Iterator[_Picture], source: str, per_shard: int, code: str) -> Iterator[_Plan]:
    for index, group in groupby(enumerate(pictures), key=lambda item: item[0] // per_shard):
        yield _Plan(index, source, [picture for _, picture in group], code)


def _make_shard(target: ShardSet, plan: _Plan) -> dict[str, Any]:
    """Make a shard unless it exists; return what it holds and which pictures are damaged."""
    damaged: list[str] = []
    colours: Counter[str] = Counter()

    def samples() -> Iterator[Sample]:
        for picture in plan.pictures:
            try:
                jpg = picture.path.read_bytes()
                decoded = decode(jpg)
            except (OSError, ValueError) as error:
                damaged.append(f"{picture.path.name}: {error}")
                continue
            colours.update(picture.colours)
            yield Sample(SampleRecord(plan.source, picture.id, *decoded.size, picture.objects), jpg, decoded)

    def write(path: Path) -> dict[str, Any]:
        return {
            "samples": write_shard(path, samples()),
            "objects": colours.total(),
            "colours": dict(sorted(colours.items())),
            "damaged": damaged,
        }

    return target.make(plan.index, plan.causes(), write)
