"""A shard set makes the shards of a data set, each once, in any order, by any number of processes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...core.files import read_json, write_json

NAMED = 10  # how many missing and damaged files a report names
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardSet:
    """The shards `folder`/<split>-000000.tar, ... and, once all exist, the report `folder`/<split>.json.

    The folder `records` keeps what each finished shard was made from.
    """

    folder: Path
    split: str
    records: Path

    def make(self, index: int, causes: str, write: Callable[[Path], dict[str, Any]]) -> dict[str, Any]:
        """What shard `index` holds. If it does not exist, `write(path)` makes it and returns what it holds.

        A shard counts as existing if it was made from the same `causes`, a hash of everything its bytes
        depend on, and still has its size. `write` returns at least the number of `samples`; a shard without
        samples is not kept. `causes`, the `file` and its `bytes` are added to what it returns.
        """
        path, record = self.folder / f"{self.split}-{index:06d}.tar", self.records / f"{index:06d}.json"
        if (done := _read_record(record)) and done["causes"] == causes and done["bytes"] == _size(path):
            return done
        (self.folder / f"{self.split}.json").unlink(missing_ok=True)
        found = write(path)
        if not found["samples"]:
            path.unlink()  # the webdataset library refuses an empty shard
        made = {"causes": causes, "file": path.name, "bytes": _size(path), **found}
        write_json(record, made)  # after the shard, so that a record means that its shard is whole
        return made

    def finish(self, report: dict[str, Any]) -> None:
        """Delete files of earlier and killed runs that `report` does not list, and write the report."""
        wanted, digits = {shard["file"] for shard in report["shards"]}, "[0-9]" * 6
        for pattern in (f"{self.split}-{digits}.tar", f".{self.split}-{digits}.tar.*.tmp"):
            for path in sorted(self.folder.glob(pattern)):
                if path.name not in wanted:
                    log.info("Deleting %s, which is no longer part of the set.", path)
                    path.unlink()
        write_json(self.folder / f"{self.split}.json", report)


def named(names: Sequence[str]) -> dict[str, Any]:
    """The number of missing or damaged files and the names of the first, for a report."""
    return {"count": len(names), "first": list(names[:NAMED])}


def _read_record(path: Path) -> dict[str, Any] | None:
    try:
        return read_json(path)
    except ValueError:  # missing, or damaged: make it again
        return None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
