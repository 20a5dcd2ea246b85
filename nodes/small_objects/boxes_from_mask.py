"""*Boxes from Mask*: makes the boxes of an edit from masks, or from the boxes of a detector."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from comfy_api.latest import io, ui
from torch import Tensor
from typing_extensions import override

from ...core.images import check_image
from ...core.small_objects.boxes import LabelledBox, box_name, parse_boxes
from ...core.small_objects.mask_parts import (
    ORDERS,
    boxes_of_parts,
    joined,
    lines_of,
    ordered,
    with_texts,
    without_specks,
)
from ..categories import SMALL_OBJECTS
from ..latents import MAX_SIDE
from ..page_pictures import picture_for_page
from ..progress_text import show_text
from .numbered_boxes import numbered_boxes

MOST_BOXES = 1000  # in a picture
MOST_SHOWN = 16  # pictures in the node

Frames = list[list[LabelledBox]]  # of each picture, or one for all


class BoxesFromMask(io.ComfyNode):
    """Finds boxes in masks or takes a detector's, tidies them up, and gives each a text."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseBoxesFromMask",
            display_name="Boxes from Mask",
            category=SMALL_OBJECTS,
            description=(
                "Makes a box around each part of a mask, or takes the boxes of a detector, and gives each a "
                "text from a list. Inpaint Small Box then edits all of them in one sampling pass. The boxes "
                "are shown on the picture, numbered in the order of the texts."
            ),
            search_aliases=[
                *("mask to boxes", "mask to bbox", "multiple masks", "separate masks", "split mask"),
                *("detailer", "SEGS", "SAM3", "connected components"),
            ],
            inputs=_boxes_inputs(),
            outputs=[
                io.BoundingBox.Output(
                    "boxes",
                    tooltip=(
                        "The boxes with their texts, for boxes of Inpaint Small Box. They also fit bboxes of "
                        "Create Bounding Boxes and other box nodes."
                    ),
                ),
                io.Int.Output("count", tooltip="How many boxes there are, in all pictures together."),
                io.String.Output(
                    "report", tooltip="Each box with its text, and remarks on what was left out or not used."
                ),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    @override
    def execute(
        cls,
        image: Tensor,
        texts: str,
        minimal_size: int,
        merge_distance: int,
        margin: int,
        order: str,
        threshold: float,
        split: bool,
        mask: Tensor | None = None,
        boxes: Any = None,
    ) -> io.NodeOutput:
        check_image(image, "image")
        if (mask is None) == (boxes is None):
            raise ValueError(
                f"mask and boxes are {'not' if boxes is None else 'both'} linked; link one of them: mask for "
                "masks, boxes for those of a detector or of Create Bounding Boxes."
            )
        height, width = image.shape[1:3]
        found = _of_boxes(boxes, image) if mask is None else _of_masks(mask, image, threshold, split)
        large = [without_specks(frame, minimal_size) for frame in found]
        apart = [joined(frame, merge_distance) for frame in large]
        _check_count(found, apart, "mask" if boxes is None else "boxes", minimal_size)
        lines = lines_of(texts)
        frames = [with_texts(ordered(frame, order), lines) for frame in apart]
        frames = [[_grown(item, margin, width, height) for item in frame] for frame in frames]
        report = "\n".join([*_listed(frames), *_remarks(found, large, apart, lines)])
        show_text(cls, report)
        return io.NodeOutput(
            [[item.to_dict() for item in frame] for frame in frames],
            _total(frames),
            report,
            ui={**ui.PreviewText(report).as_dict(), **_pictures(cls, image, frames)},
        )


def _boxes_inputs() -> list[io.Input]:
    return [
        io.Image.Input(
            "image",
            tooltip="The picture that goes into Inpaint Small Box, or a batch of pictures.",
        ),
        io.String.Input(
            "texts",
            default="",
            multiline=True,
            placeholder="one text a line, in the order of the boxes",
            tooltip=(
                "A text for each box, one a line. The last line holds for all boxes that remain, so one line "
                "is for all. An empty line, or -, leaves a box its own text, or the prompt of the picture."
            ),
        ),
        io.Int.Input(
            "minimal_size",
            default=4,
            min=1,
            max=MAX_SIDE,
            tooltip="Parts narrower and lower than this many pixels are left out as specks.",
        ),
        io.Int.Input(
            "merge_distance",
            default=0,
            min=0,
            max=MAX_SIDE,
            tooltip=(
                "Boxes with less than this many pixels between them become one. 0 joins none, 1 joins those "
                "that touch or overlap."
            ),
        ),
        io.Int.Input(
            "margin",
            default=0,
            min=0,
            max=MAX_SIDE,
            tooltip="Pixels added on every side of a box, inside the picture.",
        ),
        io.Combo.Input(
            "order",
            options=list(ORDERS),
            default=ORDERS[0],
            tooltip=(
                "reading goes row by row from the top, each row from the left. Where boxes overlap, Inpaint "
                "Small Box draws the later one, so largest first keeps small boxes whole."
            ),
        ),
        io.Float.Input(
            "threshold",
            default=0.5,
            min=0.0,
            max=1.0,
            step=0.01,
            advanced=True,
            tooltip="Pixels of mask count from this value up; 0 takes all that are painted at all.",
        ),
        io.Boolean.Input(
            "split",
            default=True,
            advanced=True,
            tooltip="Make a box for each connected part of a mask. If off, for each mask as a whole.",
        ),
        io.Mask.Input(
            "mask",
            optional=True,
            tooltip=(
                "A mask, or several. With one picture, all masks are its own; with a batch of pictures, give "
                "one mask for all of them or one for each."
            ),
        ),
        io.MultiType.Input(
            "boxes",
            [io.BoundingBox, io.Array],
            optional=True,
            tooltip=(
                "Boxes in place of mask: bboxes of SAM3 Detect or another detector, or bboxes or elements of "
                "Create Bounding Boxes."
            ),
        ),
    ]


def _of_masks(mask: Tensor, image: Tensor, threshold: float, split: bool) -> Frames:
    """The boxes of masks: one list, or one for each picture."""
    masks = mask.reshape(-1, *mask.shape[-2:])
    pictures, height, width = image.shape[:3]
    if tuple(masks.shape[1:]) != (height, width):
        raise ValueError(
            f"mask is {masks.shape[2]}×{masks.shape[1]} px but image is {width}×{height} px; scale or crop "
            "both the same way. (64×64 px has the empty mask of Load Image: paint one in its mask editor.)"
        )
    if pictures > 1 and len(masks) not in (1, pictures):
        raise ValueError(
            f"mask has {len(masks)} masks but image has {pictures} pictures; give one mask for all, one a "
            "picture, or link one picture."
        )
    painted = masks > 0 if threshold == 0 else masks >= threshold
    found = [[LabelledBox(box) for box in boxes_of_parts(each, split)] for each in painted]
    if not any(found):
        brightest = f"{float(masks.max()):.3g}" if masks.numel() else "none"
        raise ValueError(
            f"mask has no pixel of {threshold:g} or more, the brightest is {brightest}; paint it, or lower "
            "threshold."
        )
    return found if 1 < pictures == len(masks) else [[item for frame in found for item in frame]]


def _of_boxes(boxes: Any, image: Tensor) -> Frames:
    """Boxes that are linked, clipped to their picture: one list, or one for each picture."""
    pictures, height, width = image.shape[:3]
    items = parse_boxes(boxes, width, height, "boxes", pictures)
    frames: Frames = [[] for _ in range(1 if items[0].picture is None else pictures)]
    for item in items:
        frame = frames[item.picture or 0]
        name = box_name(len(frame), item.picture)
        frame.append(replace(item, box=item.box.clip(width, height, name)))
    return frames


def _check_count(found: Frames, apart: Frames, name: str, minimal_size: int) -> None:
    """Raise ValueError if no box is left, or too many for an edit."""
    if not any(apart):
        largest = max(
            (item.box for frame in found for item in frame), key=lambda box: max(box.width, box.height)
        )
        raise ValueError(
            f"{name} has no part of {minimal_size} px or more: the largest of {_total(found)} is {largest}; "
            "lower minimal_size."
        )
    most = max(map(len, apart))
    if most > MOST_BOXES:
        raise ValueError(
            f"{name} gives {most} boxes in a picture, more than {MOST_BOXES}; raise minimal_size from "
            f"{minimal_size}, or merge_distance."
        )


def _grown(item: LabelledBox, margin: int, width: int, height: int) -> LabelledBox:
    return replace(item, box=item.box.grow(margin).clip(width, height))


def _total(frames: Frames) -> int:
    return sum(map(len, frames))


def _listed(frames: Frames) -> list[str]:
    """A line for each box."""
    several = len(frames) > 1
    return [
        f"{box_name(index, picture if several else None)}: {item.box}"
        + (f": {item.text}" if item.text else "")
        for picture, frame in enumerate(frames)
        for index, item in enumerate(frame)
    ]


def _remarks(found: Frames, large: Frames, apart: Frames, lines: Sequence[str]) -> Iterator[str]:
    """Tell what was left out, joined and not used."""
    most = max(map(len, apart))
    where = " in a picture" if len(apart) > 1 else ""
    if specks := _total(found) - _total(large):
        yield f"Left out as smaller than minimal_size: {specks}."
    if _total(large) > _total(apart):
        yield f"Joined by merge_distance: {_total(large)} became {_total(apart)}."
    if 1 < len(lines) < most:
        yield f"texts has {len(lines)} lines, fewer than boxes ({most}{where}): the last is repeated."
    if len(lines) > most:
        yield f"texts has {len(lines)} lines, more than boxes ({most}{where}): the last are not used."


def _pictures(node: type[io.ComfyNode], image: Tensor, frames: Frames) -> dict[str, Any]:
    """The pictures that the node shows, with the boxes and their numbers; none outside a server."""
    if node.hidden is None or node.hidden.unique_id is None:
        return {}
    drawn = [
        numbered_boxes(picture, [item.box for item in frames[min(index, len(frames) - 1)]])
        for index, picture in enumerate(image[:MOST_SHOWN])
    ]
    return {"images": [picture_for_page(each, "boxes", "jpg") for each in drawn]}
