"""COCO's annotations give segmentation and pose maps of its pictures.

Segmentations come from COCO-Stuff's "stuffthingmaps", whose pixels are label ids: 0 (person) to 181 (wood),
and 255 for unlabelled pixels. `COCO_STUFF` follows COCO-Stuff's own list of labels, 0 unlabeled, 1 person,
..., 182 wood, which is the pixel plus one. Poses come from COCO-WholeBody's keypoints.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import msgspec
import numpy as np
from PIL import Image

from ...core.maps.palettes import COCO_STUFF
from .coco import CocoImage, read_coco
from .skeletons import Keypoints, Skeleton, draw_skeletons

UNLABELLED = 255
JOINT = 1 / 128  # a joint's radius over the map's side: 4 pixels at 512, as in ControlNet's annotator
# COCO has 17 keypoints: the nose, then left and right eye, ear, shoulder, elbow, wrist, hip, knee and ankle.
# Here they are in OpenPose's order, whose second keypoint, the neck (None), lies between the shoulders:
_OPENPOSE = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
_SHOULDERS = (5, 6)


class Person(msgspec.Struct, gc=False):
    """A person's keypoints in COCO-WholeBody as unparsed JSON: lists of x, y and a number, 0 if unseen."""

    image_id: int
    keypoints: msgspec.Raw
    face_kpts: msgspec.Raw
    lefthand_kpts: msgspec.Raw
    righthand_kpts: msgspec.Raw

    def text(self) -> bytes:
        """Everything that the drawing of the person depends on."""
        parts = (self.keypoints, self.face_kpts, self.lefthand_kpts, self.righthand_kpts)
        return b"".join(map(bytes, parts))


@dataclass(frozen=True)
class Square:
    """The largest centred square of a picture, which maps show at `size` pixels."""

    left: int
    top: int
    side: int
    size: int

    @staticmethod
    def of(width: int, height: int, size: int) -> Square:
        side = min(width, height)
        return Square((width - side) // 2, (height - side) // 2, side, size)

    def cut(self, picture: Image.Image) -> Image.Image:
        return picture.crop((self.left, self.top, self.left + self.side, self.top + self.side))

    def shrink(self, picture: Image.Image, how: Image.Resampling = Image.Resampling.LANCZOS) -> Image.Image:
        return self.cut(picture).resize((self.size, self.size), how)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """The coordinates in the map, or outside it, of a place in the picture."""
        scale = self.size / self.side
        return (x - self.left) * scale, (y - self.top) * scale


@dataclass(frozen=True)
class CocoPicture:
    """An existing picture, and the annotations that its maps are made from.

    stuff: its file of labels, if segmentation is wanted. people: empty if pose is not wanted.
    """

    id: str
    path: Path
    width: int
    height: int
    captions: tuple[str, ...]
    stuff: Path | None
    people: tuple[Person, ...]
    stamps: tuple[int, ...]  # the files' sizes and modification times

    def causes(self) -> tuple[object, ...]:
        """Everything that the sample depends on, as JSON-able values."""
        people = hashlib.sha256(b"".join(person.text() for person in self.people)).hexdigest()
        return self.id, self.path.name, self.width, self.height, self.captions, self.stamps, people


class _Caption(msgspec.Struct, gc=False):
    image_id: int
    caption: str


class _Captions(msgspec.Struct):
    images: list[CocoImage]
    annotations: list[_Caption]


class _People(msgspec.Struct):
    annotations: list[Person]


def coco_pictures(
    images: Path,
    captions: Path,
    missing: list[str],
    *,
    stuff: Path | None = None,
    keypoints: Path | None = None,
) -> list[CocoPicture]:
    """The pictures of a captions JSON in the order of their ids; missing files are added to `missing`.

    images: the folder of the pictures. stuff: for segmentation, the folder of COCO-Stuff's PNG files.
    keypoints: for pose, COCO-WholeBody's JSON. A picture without a caption or a PNG file counts as missing
    too. Raises ValueError that names a JSON file that is missing or of another kind, or keypoints of other
    pictures.
    """
    annotated = read_coco(captions, _Captions, "captions")
    texts = defaultdict(list)
    for annotation in annotated.annotations:
        texts[annotation.image_id].append(" ".join(annotation.caption.split()))
    people = _people(keypoints)
    if keypoints and people.keys().isdisjoint(image.id for image in annotated.images):
        raise ValueError(f"{keypoints} has nobody in the pictures of {captions}: give that split's file.")
    found = []
    for image in sorted(annotated.images, key=lambda image: image.id):
        path = images / image.file_name
        labels = stuff and stuff / f"{Path(image.file_name).stem}.png"
        try:
            stats = [file.stat() for file in (path, labels) if file]
        except OSError as error:
            missing.append(Path(error.filename).name)
            continue
        if image.id not in texts:
            missing.append(f"{image.file_name}: a caption")
            continue
        stamps = tuple(number for stat in stats for number in (stat.st_size, stat.st_mtime_ns))
        seen = tuple(people.get(image.id, ()))
        size = (image.width, image.height)
        found.append(CocoPicture(str(image.id), path, *size, tuple(texts[image.id]), labels, seen, stamps))
    return found


def _people(keypoints: Path | None) -> dict[int, list[Person]]:
    found = defaultdict(list)
    if keypoints:
        for person in read_coco(keypoints, _People, "coco_wholebody").annotations:
            found[person.image_id].append(person)
    return found


def stuff_labels(pixels: np.ndarray) -> np.ndarray:
    """The labels of COCO_STUFF, uint8, for a file's pixels (H, W) uint8. Raises ValueError for other ids."""
    labels = pixels + np.uint8(1)  # 255, unlabelled, becomes 0
    if labels.size and labels.max() >= len(COCO_STUFF.labels):
        last = len(COCO_STUFF.labels) - 2
        raise ValueError(f"it has the label {labels.max() - 1}; labels are 0 to {last} and {UNLABELLED}")
    return labels


def segmentation(path: Path, size: tuple[int, int], square: Square) -> Image.Image:
    """A picture's labels, painted in COCO_STUFF. Raises ValueError for a damaged file or another size."""
    data = path.read_bytes()
    try:
        picture = Image.open(BytesIO(data))
        picture.load()
    except Exception as error:  # a damaged file makes Pillow raise many kinds of errors
        raise ValueError(f"{path.name}: {type(error).__name__}: {error}") from error
    if picture.mode not in ("L", "P") or picture.size != size:
        raise ValueError(f"{path.name} is {picture.mode} {picture.size}, not 8 bits per pixel and {size}")
    try:
        labels = stuff_labels(np.asarray(square.shrink(picture, Image.Resampling.NEAREST)))
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from error
    return Image.fromarray(COCO_STUFF.encode(labels))


def pose(people: Iterable[Person], square: Square) -> Image.Image:
    """The people's skeletons on black. Raises ValueError for keypoints that cannot be read."""
    return Image.fromarray(draw_skeletons([_skeleton(person, square) for person in people], square.size))


def _skeleton(person: Person, square: Square) -> Skeleton:
    body = _places(person.keypoints, 17, square)
    left, right = (body[index] for index in _SHOULDERS)
    neck = left and right and ((left[0] + right[0]) / 2, (left[1] + right[1]) / 2)
    return Skeleton(
        body=tuple(neck if index is None else body[index] for index in _OPENPOSE),
        radius=JOINT * square.size,
        face=_places(person.face_kpts, 68, square),
        hands=tuple(_places(hand, 21, square) for hand in (person.lefthand_kpts, person.righthand_kpts)),
    )


def _places(text: msgspec.Raw, count: int, square: Square) -> Keypoints:
    try:
        numbers = msgspec.json.decode(text, type=list[float])
    except msgspec.MsgspecError as error:
        raise ValueError(f"its keypoints cannot be read: {error}") from error
    if len(numbers) != 3 * count:
        raise ValueError(f"it has {len(numbers)} numbers for {count} keypoints, of 3 numbers each")
    triples = zip(numbers[::3], numbers[1::3], numbers[2::3], strict=True)
    return tuple(square.place(x, y) if seen > 0 else None for x, y, seen in triples)
