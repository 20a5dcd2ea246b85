"""BLIP-VQA is asked for the colour of each selected object, on the object's crop (SOEDiff, section 5.2).

The objects of a selection are split into chunks of CHUNK rows. Process i of n answers the chunks i, i + n,
.... Each chunk gets its own JSON file, written whole or not at all. A chunk is asked again if its file does
not exist, or was written for other objects, by another model or by other code.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from ...core.files import file_hash, read_json, write_json
from ..loop.cache import code_hash
from .ahead import ahead
from .box_selection import BOX, read_selection
from .samples import picture_path
from .tars import decode

if TYPE_CHECKING:  # transformers takes seconds to import, and packing does not need it
    from .blip import Blip

log = logging.getLogger(__name__)

CHUNK = 4096
MARGIN = 0.2  # of the box's sides, added all around: some surroundings help to recognise the object
# English's eleven basic colour words and four more. Any other answer, such as "brown and white", counts as
# none.
COLOURS = frozenset(
    {
        *("black", "white", "gray", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown"),
        *("beige", "tan", "silver", "gold"),
    }
)


def ask_colours(
    selection: Path,
    images: Path,
    blip: Blip,
    folder: Path,
    *,
    batch_size: int = 64,
    workers: int = 8,
    process: int = 0,
    processes: int = 1,
) -> None:
    """Ask `blip` for the colours of the selected objects, and write files in `folder` for `read_colours`.

    selection: a Parquet file of the step select. images: the folder of its pictures, which `workers` threads
    read. An object whose picture is missing or damaged gets no answer; the log says how many.
    """
    if batch_size < 1 or workers < 1:
        raise ValueError(f"batch_size is {batch_size} and workers {workers}: give at least 1 of each.")
    read_selection(selection)  # refuses any other file
    objects = pl.scan_parquet(selection)
    asked = {"model": blip.name, "weights": file_hash(*blip.files), "code": code_hash(__name__)}
    todo = [
        chunk
        for chunk in range(process, _count(objects), processes)
        if _answers(_part(folder, chunk), asked | {"rows": rows_digest(objects, chunk)}) is None
    ]
    batches = _batches(objects, todo, batch_size)
    prepared = ahead(partial(_prepare, images, blip), batches, workers)
    by_chunk = groupby(prepared, key=lambda batch: batch.chunk)
    for chunk, group in tqdm(by_chunk, total=len(todo), desc="colours", disable=process != 0):
        answers, unseen = [], 0
        for batch in group:
            answers += (got := _ask(blip, batch))
            unseen += got.count(None)
        if unseen:
            log.warning("%d objects of chunk %d get no colour: their pictures cannot be read.", unseen, chunk)
        causes = asked | {"rows": rows_digest(objects, chunk)}
        write_json(_part(folder, chunk), {"causes": causes, "answers": answers})


def read_colours(selection: Path, folder: Path) -> tuple[str, list[Path]] | None:
    """The model's name and the file of each chunk's answers; None if nothing was asked.

    Raises ValueError that says how many chunks are not answered yet, or were answered for another selection,
    by another model or by other code than the first one.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        return None
    objects, asked = pl.scan_parquet(selection), read_json(files[0])["causes"]
    parts = [_part(folder, chunk) for chunk in range(_count(objects))]
    answered = (
        _answers(part, asked | {"rows": rows_digest(objects, chunk)}) for chunk, part in enumerate(parts)
    )
    if lacking := sum(answers is None for answers in answered):
        raise ValueError(
            f"{asked['model']} has not answered {lacking} of {len(parts)} chunks in {folder} for this "
            "selection: run the step colours again, or delete that folder to pack without colours."
        )
    return asked["model"], parts


def colours_of(part: Path) -> list[str | None]:
    """A chunk's answers as colours: None for an object without an answer, "" for one without a colour."""
    return [None if answer is None else colour(answer) for answer in read_json(part)["answers"]]


def colour(answer: str) -> str:
    """The colour in COLOURS that an answer names, or ""."""
    word = answer.strip().lower().replace("grey", "gray")
    return word if word in COLOURS else ""


def crop(picture: Image.Image, box: Sequence[float]) -> Image.Image:
    """The part of a picture inside a box (in fractions) with MARGIN around it, clipped to the picture."""
    left, top, right, bottom = box
    x, y = MARGIN * (right - left), MARGIN * (bottom - top)
    width, height = picture.size
    edges = (max(left - x, 0) * width, max(top - y, 0) * height)
    ends = (min(right + x, 1) * width, min(bottom + y, 1) * height)
    return picture.crop((*(int(edge) for edge in edges), *(-int(-end // 1) for end in ends)))


@dataclass
class _Batch:
    chunk: int
    rows: list[tuple[Any, ...]]  # (file, label, left, top, right, bottom), ordered by file
    seen: list[int]  # the rows whose picture could be read
    pixels: Tensor | None = None  # of the rows in `seen`


def _batches(objects: pl.LazyFrame, chunks: Sequence[int], size: int) -> Iterator[_Batch]:
    for chunk in chunks:
        rows = _rows(objects, chunk)
        for start in range(0, len(rows), size):
            yield _Batch(chunk, rows[start : start + size], [])


def _count(objects: pl.LazyFrame) -> int:
    """The number of chunks that the objects are split into."""
    return -(-objects.select(pl.len()).collect().item() // CHUNK)


def _rows(objects: pl.LazyFrame, chunk: int) -> list[tuple[Any, ...]]:
    return objects.slice(chunk * CHUNK, CHUNK).select("file", "label", *BOX).collect().rows()


def rows_digest(objects: pl.LazyFrame, chunk: int) -> str:
    """The SHA-256 of everything in the selection that a chunk's answers depend on."""
    return hashlib.sha256(json.dumps(_rows(objects, chunk)).encode()).hexdigest()


def _prepare(images: Path, blip: Blip, batch: _Batch) -> _Batch:
    crops = []
    for file, group in groupby(enumerate(batch.rows), key=lambda row: row[1][0]):
        try:
            picture = decode(picture_path(images, file).read_bytes())
        except (OSError, ValueError):
            continue
        for index, (_, _, *box) in group:
            batch.seen.append(index)
            crops.append(crop(picture, box))
    batch.pixels = blip.prepare(crops) if crops else None
    return batch


def _ask(blip: Blip, batch: _Batch) -> list[str | None]:
    answers: list[str | None] = [None] * len(batch.rows)
    if batch.pixels is not None:
        questions = [f"what color is the {batch.rows[index][1]}?" for index in batch.seen]
        for index, answer in zip(batch.seen, blip.ask(batch.pixels, questions), strict=True):
            answers[index] = answer
    return answers


def _part(folder: Path, chunk: int) -> Path:
    return folder / f"{chunk:06d}.json"


def _answers(part: Path, causes: dict[str, Any]) -> list[str | None] | None:
    if not part.exists():
        return None
    try:
        found = read_json(part)
    except ValueError as error:
        log.warning("Asking for damaged answers again: %s", error)
        return None
    return found["answers"] if found["causes"] == causes else None
