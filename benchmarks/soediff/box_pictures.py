"""Held-out pictures with one small box each: from the miniature's scenes, curated data or SOEBench's list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Annotated

import msgspec
import torch
from PIL import Image
from torch import Tensor

from ...core.files import confined
from ...training.data.samples import Sample, SampleRecord, SmallObject, read_shard, shards
from ...training.small_objects.views import Views, views_of

SOEBENCH_CROP = 1.1  # of the box's longer side: the square that SOEBench scores
PEOPLE = "person"  # SOEBench leaves them out

Row = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, tuple[str, str], tuple[str, str | None]]


@dataclass
class BoxPictures:
    """N held-out pictures."""

    pixels: Tensor  # (N, 3, S, S) in [0, 1]
    boxes: Tensor  # (N, 4) in pixels, on the latent grid: what is drawn
    crops: Tensor  # (N, 4) in pixels: what CLIP and Inception see
    near_pixels: Tensor  # (N, 3, S, S): the windows around the boxes, enlarged
    near_boxes: Tensor  # (N, 4)
    texts: list[tuple[str, str]]  # without and with the colour
    things: list[tuple[str, str | None]]  # label and colour

    def part(self, rows: slice) -> BoxPictures:
        return BoxPictures(*(value[rows] for value in vars(self).values()))

    def to(self, device: torch.device) -> BoxPictures:
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **moved)

    def __len__(self) -> int:
        return len(self.texts)


def held_out(
    found: Iterable[Sample], count: int, side: int, cell: int, crop: Callable[[Sample], Tensor] | None = None
) -> BoxPictures:
    """The first `count` boxes of some samples, or all there are, in pictures of `side` pixels.

    cell: pixels of a latent cell. crop: what juries see of a sample's one box, (4,); None for the box itself.
    """
    settings = Views(side, (side // 2, side // 2))

    def single() -> Iterator[Row]:
        for sample in found:
            for view in views_of(sample, settings, cell):
                rows = (view.boxes, view.near_pixels, view.near_boxes, view.texts, view.things)
                for box, near, near_box, text, thing in zip(*rows, strict=True):
                    yield view.pixels, box, crop(sample) if crop else box, near, near_box, text, thing

    columns = list(zip(*islice(single(), count), strict=True))
    if not columns:
        return BoxPictures(*(torch.empty(0) for _ in range(5)), [], [])
    pixels, box, seen, near, near_box, texts, things = columns
    shown, shown_near = (torch.stack(part).float() / 255 for part in (pixels, near))
    boxes, crops, near_boxes = (torch.stack(part) for part in (box, seen, near_box))
    return BoxPictures(shown, boxes, crops, shown_near, near_boxes, list(texts), list(things))


def curated(data: str, sides: tuple[float, float]) -> Iterator[Sample]:
    """A split's samples, with those of their objects whose longer side is in this range of the picture's."""
    low, high = sides
    for sample in chain.from_iterable(map(read_shard, shards(data))):
        width, height = sample.picture.size
        extents = [
            max((right - left) * width, (bottom - top) * height) / min(width, height)
            for left, top, right, bottom in (thing.box for thing in sample.record.objects)
        ]
        pairs = zip(sample.record.objects, extents, strict=True)
        if kept := tuple(thing for thing, extent in pairs if low <= extent <= high):
            yield replace(sample, record=replace(sample.record, objects=kept))


Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]


class SoeBenchBox(msgspec.Struct):
    """An entry of SOEBench's list, by its own names: a box in fractions of the picture's sides."""

    picture: str = msgspec.field(name="ImageID")
    label: str = msgspec.field(name="LabelName")
    left: Fraction = msgspec.field(name="XMin")
    top: Fraction = msgspec.field(name="YMin")
    right: Fraction = msgspec.field(name="XMax")
    bottom: Fraction = msgspec.field(name="YMax")
    colour: str | None = msgspec.field(name="color", default=None)

    @property
    def side(self) -> float:
        """Side of the square of the same area, as a fraction of the picture's."""
        return ((self.right - self.left) * (self.bottom - self.top)) ** 0.5


def soebench(path: Path, images: Path, sides: tuple[float, float], side: int) -> Iterator[Sample]:
    """Read the objects of SOEBench's list (Pan et al. 2024) that are of this size, one a sample.

    As in the authors' loader, a box counts by the root of its area, people are left out, and each picture is
    resized to a square of `side` pixels. images: the folder that the list's ImageIDs are in.
    Raises ValueError for another file, and for a picture that is missing.
    """
    try:
        boxes = msgspec.json.decode(path.read_bytes(), type=list[SoeBenchBox])
    except msgspec.MsgspecError as error:
        raise ValueError(f"data: {path} is no list of SOEBench: {error}.") from error
    low, high = sides
    for place, box in enumerate(boxes):
        if box.label.lower() == PEOPLE or not low <= box.side <= high:
            continue
        file = confined(box.picture, images)
        if not file.is_file():
            raise ValueError(f"images: {file} is missing; give the folder that {box.picture} is in.")
        with Image.open(file) as opened:
            picture = opened.convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
        thing = SmallObject(box.label, (box.left, box.top, box.right, box.bottom), box.colour)
        record = SampleRecord("soebench", f"{place:05}", side, side, (thing,))
        yield Sample(record, b"", picture)


def soebench_crop(sample: Sample) -> Tensor:
    """The square that SOEBench scores, (4,) in whole pixels: 1.1 times the box; it may pass the edge."""
    (thing,) = sample.record.objects
    box = torch.tensor(thing.box) * sample.record.width
    half = SOEBENCH_CROP * (box[2:] - box[:2]).max() / 2
    centre = (box[:2] + box[2:]) / 2
    return torch.cat([centre - half, centre + half]).round()
