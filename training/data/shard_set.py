"""The shards of a data set: each made once of the same causes, in any order, by any number of processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.files import read_json, write_json

NAMED = 10  # missing and damaged files that a report names
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardSet:
    """`folder`/<split>-000000.tar, ... and, when all of them are there, the report `folder`/<split>.json.

    What a finished shard was made of is kept in the folder `records`.
    """

    folder: Path
    split: str
    records: Path

    def make(self, index: int, causes: str, write: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """What shard `index` holds; `write(path)` makes it and tells that, unless it is there.

        It is there when it was made of the same `causes`, a hash of all that decides its bytes, and has kept
        its size. `write` tells at least the number of `samples`; a shard without any is not kept. `causes`,
        the `file` and its `bytes` are added.
        """
        path, record = self.folder / f"{self.split}-{index:06d}.tar", self.records / f"{index:06d}.json"
        if (done := _read_record(record)) and done["causes"] == causes and done["bytes"] == _size(path):
            return done
        (self.folder / f"{self.split}.json").unlink(missing_ok=True)
        found = write(path)
        if not found["samples"]:
            path.unlink()  # the webdataset library refuses an empty shard
        made = {"causes": causes, "file": path.name, "bytes": _size(path), **found}
        write_json(record, made)  # after the shard: a record means that its shard is whole
        return made

    def finish(self, report: dict[str, Any]) -> None:
        """Delete what earlier and killed runs left that `report` does not list, and write it."""
        wanted, digits = {shard["file"] for shard in report["shards"]}, "[0-9]" * 6
        for pattern in (f"{self.split}-{digits}.tar", f".{self.split}-{digits}.tar.*.tmp"):
            for path in sorted(self.folder.glob(pattern)):
                if path.name not in wanted:
                    log.info("Deleting %s, which is no part of the set any more.", path)
                    path.unlink()
        write_json(self.folder / f"{self.split}.json", report)


def named(names: Sequence[str]) -> dict[str, Any]:
    """How many files are missing or damaged, and the first of them, for a report."""
    return {"count": len(names), "first": list(names[:NAMED])}


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except ValueError:  # missing, or damaged and so to be made again
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
