"""Select the boxes of OpenImages and COCO that hold small objects (SOEDiff, section 5.2).

An object is real, whole and single: not occluded, truncated, a group, a depiction or seen from inside, and
neither a person nor a body part. The paper's formulas for the size are lost in the text we have. Our reading
follows its threshold analysis: the *longer* side of the box, as a fraction of the picture's width or height,
is under 1/8 for training and from 1/8 to under 1/6 for tests, and the *shorter* side is at least `smallest`.
COCO marks only crowds; there a box within a pixel of the picture's border counts as truncated.
"""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from ...core.files import replacing
from ..loop.cache import code_hash
from .coco import CocoImage, read_coco

log = logging.getLogger(__name__)

SIDES = {"train": (0.0, 1 / 8), "test": (1 / 8, 1 / 6)}
SMALLEST = 1 / 32  # two latent cells at 512 pixels, 20 pixels in a COCO picture
PEOPLE = ["person", "man", "woman", "boy", "girl"]
BODY_PART = "human "  # "human eye", "human hair", ... in OpenImages
FLAGS = {
    "IsOccluded": "occluded",
    "IsTruncated": "truncated",
    "IsGroupOf": "group",
    "IsDepiction": "depiction",
    "IsInside": "inside",
}
BOX = ["left", "top", "right", "bottom"]
ROW_GROUP = 65_536
BAD_BOX = ~(
    (pl.col("left") >= 0)
    & (pl.col("top") >= 0)
    & (pl.col("right") <= 1)
    & (pl.col("bottom") <= 1)
    & (pl.col("left") < pl.col("right"))
    & (pl.col("top") < pl.col("bottom"))
)
_METADATA = "finesse.selection"
_COORDINATES = {"XMin": "left", "YMin": "top", "XMax": "right", "YMax": "bottom"}


def select_openimages(
    boxes: Path, classes: Path, out: Path, split: str, smallest: float = SMALLEST
) -> dict[str, Any]:
    """Write the small objects of an OpenImages box CSV to the Parquet file `out`; return its read_selection.

    boxes: a ...-annotations-bbox.csv with fractions in XMin, XMax, YMin, YMax; it is streamed. classes: the
    class-descriptions-boxable.csv, with or without a header. Dropped rows are counted by the first rule that
    they break; the rules also drop rows that cannot be read, boxes outside 0..1 or without area, class ids
    that are not in `classes`, and flags of -1 (unknown). Raises ValueError for a missing file, a missing
    column, a file of another kind and an empty result.
    """
    causes = _causes("openimages", split, smallest, boxes, classes)
    if (done := _done(out, causes)) is not None:
        return done
    with _naming(boxes):
        frame = _scan(boxes).with_columns(file=pl.format("{}.jpg", "image"))
        whole = pl.all_horizontal(
            pl.col("class", *BOX, *FLAGS).is_not_null(), pl.col("image").str.contains(r"^[\w-]+$")
        )
        broken = {
            "unreadable": ~whole.fill_null(False),
            "bad_box": BAD_BOX,
            **{name: pl.col(flag) == 1 for flag, name in FLAGS.items()},
            "unknown_flag": pl.any_horizontal(pl.col(flag) != 0 for flag in FLAGS),
        }
        return _write(frame, _read_classes(classes), broken, out, causes)


def select_coco(instances: Path, out: Path, split: str, smallest: float = SMALLEST) -> dict[str, Any]:
    """Write the small objects of a COCO instances JSON to the Parquet file `out`; return its read_selection.

    Its boxes are [x, y, width, height] in pixels. The file is read once, and only the needed fields are kept.
    Dropped annotations are counted by the first rule that they break; the rules also drop boxes outside the
    picture or without area, and unknown ids of images and categories. Raises ValueError for a missing file, a
    missing or wrong field (with its place), and an empty result.
    """
    causes = _causes("coco", split, smallest, instances)
    if (done := _done(out, causes)) is not None:
        return done
    rows, labels = _read_coco(instances)
    frame = rows.lazy().with_columns(
        left=pl.col("x") / pl.col("width"),
        top=pl.col("y") / pl.col("height"),
        right=(pl.col("x") + pl.col("w")) / pl.col("width"),
        bottom=(pl.col("y") + pl.col("h")) / pl.col("height"),
    )
    pixel_x, pixel_y = 1 / pl.col("width"), 1 / pl.col("height")
    at_border = pl.any_horizontal(
        pl.col("left") < pixel_x,
        pl.col("top") < pixel_y,
        pl.col("right") > 1 - pixel_x,
        pl.col("bottom") > 1 - pixel_y,
    )
    broken = {
        "unknown_image": pl.col("file").is_null(),
        "bad_box": BAD_BOX,
        "crowd": pl.col("crowd") != 0,
        "truncated": at_border,
    }
    with _naming(instances):
        return _write(frame, labels, broken, out, causes)


def read_selection(path: Path) -> dict[str, Any]:
    """The metadata of a Parquet file of selected objects: causes, rows, kept, and dropped by reason.

    Raises ValueError if the file is missing or of another kind.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing: run the step select first.")
    with _naming(path):
        metadata = pl.read_parquet_metadata(path)
    if _METADATA not in metadata:
        raise ValueError(f"{path} was not written by the step select: move it away and run that step.")
    return json.loads(metadata[_METADATA])


def _causes(source: str, split: str, smallest: float, *inputs: Path) -> dict[str, Any]:
    if split not in SIDES:
        raise ValueError(f"split is {split!r}: use one of {', '.join(SIDES)}.")
    low, high = SIDES[split]
    if not 0 <= smallest < high:
        raise ValueError(f"smallest is {smallest}: give a fraction of the side from 0 to below {high:.4f}.")
    for path in inputs:
        if not path.is_file():
            raise ValueError(f"{path} is missing: download it or give its path.")
    files = {path.name: [path.stat().st_size, path.stat().st_mtime_ns] for path in inputs}
    rules = {"longer_side": [low, high], "shorter_side": smallest}
    return {"source": source, "split": split, "rules": rules, "files": files, "code": code_hash(__name__)}


def _done(out: Path, causes: dict[str, Any]) -> dict[str, Any] | None:
    if not out.exists() or (found := read_selection(out))["causes"] != causes:
        return None
    log.info("%s exists already, made from the same files by the same rules.", out)
    return found


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except pl.exceptions.PolarsError as error:
        raise ValueError(f"{path} cannot be read: copy or download it again ({error}).") from error


def _write(
    frame: pl.LazyFrame, labels: dict[str, str], broken: dict[str, pl.Expr], out: Path, causes: dict[str, Any]
) -> dict[str, Any]:
    """Count rows by the first rule that they break (`broken`, then size, then class), write the others."""
    (low, high), smallest = causes["rules"]["longer_side"], causes["rules"]["shorter_side"]
    sides = pl.col("right") - pl.col("left"), pl.col("bottom") - pl.col("top")
    longer, shorter = pl.max_horizontal(sides), pl.min_horizontal(sides)
    broken = {**broken, "too_large": longer >= high, "too_small": (longer < low) | (shorter < smallest)}
    reason = pl.coalesce(pl.when(rule).then(pl.lit(name)) for name, rule in broken.items())
    frame = frame.with_columns(reason=reason)
    counts: Counter[str | None] = Counter()
    unknown = set()
    for name, broke, rows in frame.group_by("class", "reason").len().collect(engine="streaming").iter_rows():
        why = broke or _class_reason(labels.get(name))
        counts[why] += rows
        if why == "unknown_class":
            unknown.add(name)
    kept = counts.pop(None, 0)
    report = {
        "causes": causes,
        "rows": kept + counts.total(),
        "kept": kept,
        "dropped": dict(sorted(counts.items())),
        "unknown_classes": sorted(unknown)[:10],
    }
    if not kept:
        raise ValueError(f"None of the boxes in {', '.join(causes['files'])} holds a small object: {report}.")
    wanted = {name: label for name, label in labels.items() if _class_reason(label) is None}
    names = pl.LazyFrame({"class": list(wanted), "label": list(wanted.values())})
    small = frame.filter(pl.col("reason").is_null(), pl.col("class").is_in(list(wanted)))
    # New strings, because those that a filter keeps hold the memory of all that were read with them.
    small = small.select("class", *BOX, image=pl.format("{}", "image"), file=pl.format("{}", "file"))
    objects = small.join(names, on="class").select("image", "file", "label", *BOX).sort(pl.all())
    with replacing(out) as temporary:
        objects.sink_parquet(temporary, row_group_size=ROW_GROUP, metadata={_METADATA: json.dumps(report)})
    return report


def _class_reason(label: str | None) -> str | None:
    if label is None:
        return "unknown_class"
    if label in PEOPLE:
        return "person"
    return "body_part" if label.startswith(BODY_PART) else None


def _scan(boxes: Path) -> pl.LazyFrame:
    columns = {"ImageID": "image", "LabelName": "class", **_COORDINATES, **{flag: flag for flag in FLAGS}}
    header = pl.scan_csv(boxes, infer_schema=False, glob=False).collect_schema().names()
    if missing := [name for name in columns if name not in header]:
        raise ValueError(
            f"{boxes} lacks the columns {', '.join(missing)}; it has {', '.join(header)[:200]}: "
            "give OpenImages' boxes, ...-annotations-bbox.csv."
        )
    types = dict.fromkeys(_COORDINATES, pl.Float64) | dict.fromkeys(FLAGS, pl.Int8)
    rows = pl.scan_csv(
        boxes,
        schema_overrides=types,
        infer_schema=False,
        ignore_errors=True,  # a value of another type becomes null, and its row "unreadable"
        truncate_ragged_lines=True,
        encoding="utf8-lossy",
        glob=False,
    )
    return rows.select(pl.col(name).alias(new) for name, new in columns.items())


def _read_classes(path: Path) -> dict[str, str]:
    """Lower-case labels by class id such as /m/0bt9lr."""
    with _naming(path):
        rows = pl.read_csv(path, has_header=False, infer_schema=False, glob=False)
    names = {row[0]: row[-1] for row in rows.iter_rows() if row[0] != "LabelName"}
    if rows.width != 2 or not names or not all(key and key.startswith("/") and names[key] for key in names):
        raise ValueError(
            f"{path} is no list of classes, it begins with {rows.row(0)}: give OpenImages' "
            "class-descriptions-boxable.csv, whose rows hold a class id such as /m/0bt9lr and a name."
        )
    return {key: name.strip().lower() for key, name in names.items()}


class _Annotation(msgspec.Struct, gc=False):
    image_id: int
    category_id: int
    bbox: tuple[float, float, float, float]
    iscrowd: int


class _Category(msgspec.Struct):
    id: int
    name: str


class _Coco(msgspec.Struct):
    images: list[CocoImage]
    annotations: list[_Annotation]
    categories: list[_Category]


def _read_coco(path: Path) -> tuple[pl.DataFrame, dict[str, str]]:
    """One row per annotation, file and size null if its image is unknown; and lower-case labels by class."""
    coco = read_coco(path, _Coco, "instances")
    sizes = {image.id: (image.file_name, image.width, image.height) for image in coco.images}
    columns: dict[str, list[Any]] = {
        "image": [str(a.image_id) for a in coco.annotations],
        "class": [str(a.category_id) for a in coco.annotations],
        "crowd": [a.iscrowd for a in coco.annotations],
    }
    for index, name in enumerate("xywh"):
        columns[name] = [a.bbox[index] for a in coco.annotations]
    for index, name in enumerate(("file", "width", "height")):
        columns[name] = [sizes.get(a.image_id, (None,) * 3)[index] for a in coco.annotations]
    return pl.DataFrame(columns), {str(c.id): c.name.strip().lower() for c in coco.categories}
