"""*Segment Object (SAM)*: finds the mask of one object, by a box, by points or without either."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io, ui
from torch import Tensor
from typing_extensions import override

from ...core.images import check_image
from ...core.sam.masks import FoundMask, largest_object, point_grid, to_picture
from ...core.sam.points import Point, parse_points
from ...core.small_objects.boxes import Box, parse_boxes
from ...core.small_objects.region import extent
from ..categories import LAYERS
from ..progress_text import show_text
from .sam import SAMS, Sam, as_prompt, load_sam

GRID = 16  # points a side; the paper's 32 are not needed to find the largest object
POINTS_AT_ONCE = 16


class SegmentObject(io.ComfyNode):
    """Gives a mask and a box of one object in each picture."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseSegmentObject",
            display_name="Segment Object (SAM)",
            category=LAYERS,
            description=(
                "Finds the mask of one object with Meta's Segment Anything: the object in a box, the "
                "object at points that you give, or, with neither, the largest object that is not "
                "background. You can use any other mask in place of this one."
            ),
            search_aliases=["segment anything", "SAM", "mask", "cut out", "foreground", "LayerDiffusion"],
            inputs=[
                io.Image.Input("image", tooltip="The picture; each picture of a batch gets a mask."),
                SAMS.combo(
                    tooltip="A file of the original Segment Anything in models/sams: sam_vit_b, _l or _h."
                ),
                io.BoundingBox.Input(
                    "box",
                    optional=True,
                    force_input=True,
                    tooltip="A box around the object: one for all pictures of a batch, or one for each.",
                ),
                io.String.Input(
                    "positive_coords",
                    optional=True,
                    default="",
                    tooltip='Points on the object, in pixels: [{"x": 120, "y": 80}], or 120, 80; 30, 40.',
                ),
                io.String.Input(
                    "negative_coords",
                    optional=True,
                    default="",
                    tooltip="Points outside the object, written like positive_coords.",
                ),
            ],
            outputs=[
                io.Mask.Output("mask", tooltip="1 in the object and 0 outside, one mask for each picture."),
                io.BoundingBox.Output("box", tooltip="The box around each picture's mask."),
                io.String.Output(
                    "report", tooltip="How large each object is, and how sure the model is of it."
                ),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    @override
    def validate_inputs(cls, checkpoint: str | None = None) -> bool | str:
        return SAMS.missing(checkpoint) or True

    @classmethod
    @override
    def fingerprint_inputs(cls, checkpoint: str | None = None, **_: Any) -> str:
        return SAMS.fingerprint(checkpoint)

    @classmethod
    @override
    def execute(
        cls,
        image: Tensor,
        checkpoint: str,
        box: Any = None,
        positive_coords: str = "",
        negative_coords: str = "",
    ) -> io.NodeOutput:
        check_image(image, "image")
        height, width = image.shape[1:3]
        boxes = _boxes(box, len(image), width, height)
        inside = parse_points(positive_coords, width, height, "positive_coords")
        outside = parse_points(negative_coords, width, height, "negative_coords")
        if outside and not inside and box is None:
            raise ValueError(
                f"negative_coords: {len(outside)} points only say where the object is not; give "
                "positive_coords or box as well."
            )
        model = load_sam(checkpoint)
        is_told = box is not None or bool(inside)
        steps = 1 if is_told else 1 + GRID**2 // POINTS_AT_ONCE
        progress = comfy.utils.ProgressBar(len(image) * steps)
        masks: list[Tensor] = []
        places: list[Box] = []
        lines: list[str] = []
        for picture, own in zip(image[..., :3], boxes, strict=True):
            comfy.model_management.throw_exception_if_processing_interrupted()
            look = Look(model, model.embedding(picture), height, width)
            progress.update(1)
            found = look.told(own, inside, outside) if is_told else look.largest(progress)
            mask = None if found is None else look.mask(found.logits)
            place = None if mask is None else extent(mask)
            if found is None or mask is None or place is None:
                raise ValueError(_nothing(len(masks), len(image), is_told))
            masks.append(mask)
            places.append(place)
            lines.append(
                f"picture {len(masks)}: {'object' if is_told else 'largest object'} of {place}, "
                f"{float(mask.mean()):.1%} of the picture; predicted IoU {found.iou:.2f} ({model.size})."
            )
        report = "\n".join(lines)
        show_text(cls, report)
        found_boxes = [[place.to_dict()] for place in places]
        return io.NodeOutput(torch.stack(masks), found_boxes, report, ui=ui.PreviewText(report))


@dataclass(frozen=True, eq=False)
class Look:
    """What the model has seen: the embedding of a picture of `height` x `width`."""

    model: Sam
    embedding: Tensor
    height: int
    width: int

    def told(self, box: Box | None, inside: Sequence[Point], outside: Sequence[Point]) -> FoundMask:
        """Find the object in the box or at the points; a single point takes the likeliest of three masks."""
        points, labels = as_prompt(inside, outside) if inside or outside else (None, None)
        is_vague = box is None and len(inside) + len(outside) == 1
        logits, ious = self.model.masks(
            self.embedding, self.height, self.width, points, labels, box, several=is_vague
        )
        best = int(ious[0].argmax())
        return FoundMask(logits[0, best], float(ious[0, best]))

    def largest(self, progress: comfy.utils.ProgressBar) -> FoundMask | None:
        """Find the largest object among the masks of a grid of points; see `largest_object`."""
        found: list[FoundMask] = []
        for points in point_grid(self.height, self.width, GRID)[:, None].split(POINTS_AT_ONCE):
            comfy.model_management.throw_exception_if_processing_interrupted()
            inside = torch.ones(points.shape[:2], dtype=torch.int64)
            masks = self.model.masks(self.embedding, self.height, self.width, points, inside, several=True)
            best = largest_object(*masks, self.height, self.width)
            found += [best] if best is not None else []
            progress.update(1)
        if not found:
            return None
        logits = torch.stack([one.logits for one in found])[:, None]
        ious = torch.tensor([[one.iou] for one in found], device=logits.device)
        return largest_object(logits, ious, self.height, self.width)

    def mask(self, logits: Tensor) -> Tensor:
        """Turn logits into a mask of 0 and 1 at the picture's size (height, width), on the CPU."""
        enlarged = to_picture(logits[None, None], self.height, self.width, self.model.side)
        return (enlarged[0, 0] > 0).float().cpu()


def _boxes(box: Any, count: int, width: int, height: int) -> list[Box | None]:
    """Parse `box` to a box for each of `count` pictures, inside the picture; None where none is given."""
    if box is None:
        return [None] * count
    is_each = (
        isinstance(box, list | tuple) and len(box) == count > 1 and all(isinstance(x, list) for x in box)
    )
    return [_box(own, width, height) for own in box] if is_each else [_box(box, width, height)] * count


def _box(value: Any, width: int, height: int) -> Box:
    parsed = parse_boxes(value, width, height, "box")
    if len(parsed) > 1:
        raise ValueError(f"box holds {len(parsed)} boxes for one picture; link the box of one object.")
    return parsed[0].box.clip(width, height, "box")


def _nothing(index: int, count: int, is_told: bool) -> str:
    which = f" {index + 1} of {count}" if count > 1 else ""
    if is_told:
        return f"image: picture{which} shows no object at box or positive_coords; move them onto it."
    return (
        f"image: picture{which} shows nothing that the model is sure of and that is not background; give "
        "box or positive_coords, or paint a mask instead."
    )
