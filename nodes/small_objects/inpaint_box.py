"""*Inpaint Small Box*: prepares an edit in a small box: an object drawn, replaced or removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from comfy_api.latest import io, ui
from comfy_execution.graph_utils import ExecutionBlocker
from torch import Tensor
from typing_extensions import override

from ...core.images import check_image, check_mask
from ...core.small_objects.boxes import Grid, LabelledBox, box_name, describe_effective_area, parse_boxes
from ...core.small_objects.region import PlannedEdit, Region, cut_window, plan_edit
from ..categories import SMALL_OBJECTS
from ..latents import encode_edit, for_sampler
from ..model_grid import grid_of, reads_mask
from ..progress_text import show_text
from ..types import Conditioning, FinesseRegion
from .box_picker import UI_KEY, picker_data
from .box_prompts import prompt_per_box, texts_of_boxes, to_encode
from .inpaint_inputs import inpaint_inputs
from .window_conditioning import IntoWindow
from .window_scale import known_side, read_scale


class InpaintSmallBox(io.ComfyNode):
    """Makes conditioning, latent and region for an edit inside one or more boxes."""

    @classmethod
    @override
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FinesseInpaintSmallBox",
            display_name="Inpaint Small Box",
            category=SMALL_OBJECTS,
            description=(
                "Prepares an edit inside a box for any sampler: draw, replace or remove an object a few "
                "dozen pixels wide, with an inpainting model, a plain one or an edit model. Enlarges the "
                "window around the box until the model sees enough of it. Paste the decoded result back with "
                "Composite Box."
            ),
            search_aliases=["inpaint", "small object", "bounding box", "regional prompt", "SOEDiff", "crop"],
            inputs=inpaint_inputs(),
            outputs=[
                io.Conditioning.Output("positive", tooltip="Positive conditioning for the sampler."),
                io.Conditioning.Output("negative", tooltip="Negative conditioning for the sampler."),
                io.Latent.Output(
                    "latent", tooltip="The encoded window, with a noise mask if noise_mask is on."
                ),
                FinesseRegion.Output("region", tooltip="Where the edit belongs; link it to Composite Box."),
                io.String.Output(
                    "report",
                    tooltip="How many cells the box has at each UNet level, with warnings and remarks.",
                ),
                io.Image.Output(
                    "window",
                    tooltip="The window as it is sampled, for edit models and ControlNet nodes.",
                ),
                io.Mask.Output("window_mask", tooltip="Mask of what is edited in window, 1 in the boxes."),
            ],
            hidden=[io.Hidden.unique_id],
            has_intermediate_output=True,
        )

    @classmethod
    @override
    def check_lazy_status(
        cls, image: Tensor, box: Any, boxes: Any = None, prompts: Any = None, **others: Any
    ) -> list[str]:
        is_waiting = "clip" in others and others["clip"] is None
        if isinstance(prompts, tuple):  # ComfyUI's form here of a growing input of which nothing is linked
            prompts = None
        try:
            texts = texts_of_boxes(_read_boxes(box, boxes, image), prompts)
        except ValueError:
            return []  # execute tells what is wrong, after all inputs are checked
        return ["clip"] if is_waiting and to_encode(texts) else []

    @classmethod
    @override
    def execute(
        cls,
        image: Tensor,
        vae: Any,
        box: Any,
        snap: bool,
        grow: int,
        noise_mask: bool,
        context: int,
        positive: Conditioning | None = None,
        negative: Conditioning | None = None,
        mask: Tensor | None = None,
        boxes: Any = None,
        clip: Any = None,
        model: Any = None,
        scale: dict[str, Any] | None = None,
        prompts: Mapping[str, Conditioning] | None = None,
    ) -> io.NodeOutput:
        check_image(image, "image")
        height, width = image.shape[1:3]
        labelled = _read_boxes(box, boxes, image)
        texts = texts_of_boxes(labelled, prompts)
        if clip is None and (words := to_encode(texts)):
            told, name = ", ".join(map(repr, words)), "box" if boxes is None else "boxes"
            raise ValueError(
                f"{name} has texts ({told}) but clip is not linked; link the CLIP of your model."
            )
        pictures = [item.picture for item in labelled]
        usable_mask = None if mask is None else check_mask(mask, image)
        grid, scaling = grid_of(model, vae), read_scale(scale, model)
        edit = plan_edit(
            [item.box for item in labelled],
            _names(labelled),
            usable_mask,
            (width, height),
            grid=grid,
            snap=snap,
            grow=grow,
            context=context,
            scale=scaling,
            pictures=pictures,
            batch=len(image),
        )
        window, window_mask = cut_window(image, edit.region), edit.mask
        latent, inpaint = encode_edit(vae, window, window_mask, noise_mask, model)
        into_window = IntoWindow(edit.region)
        given = {"positive": positive or [], "negative": negative or []}
        made = {
            "positive": prompt_per_box(given["positive"], into_window, texts, edit, clip),
            "negative": into_window(given["negative"], "negative"),
        }
        _check_reach(made, given, edit.region)
        edit = replace(edit, notes=edit.notes + into_window.notes)
        is_placeholder = mask is not None and usable_mask is None
        report = _report(edit, labelled, image, is_placeholder, model, grid, noise_mask)
        region = replace(edit.region, seeds=tuple(item.seed for item in labelled))
        show_text(cls, report)
        return io.NodeOutput(
            *(_output(name, prompt, inpaint, latent["samples"], model) for name, prompt in made.items()),
            latent,
            region,
            report,
            window,
            window_mask,
            ui={
                **ui.PreviewText(report).as_dict(),
                UI_KEY: [picker_data(cls, image, grid, known_side(model))],
            },
        )


def _read_boxes(box: Any, boxes: Any, image: Tensor) -> list[LabelledBox]:
    name, value = ("box", box) if boxes is None else ("boxes", boxes)
    pictures, height, width = image.shape[:3]
    return parse_boxes(value, width, height, name, pictures)


def _names(labelled: list[LabelledBox]) -> list[str]:
    if len(labelled) == 1:
        return ["box"]
    names, counts = [], Counter[int | None]()
    for item in labelled:
        name = box_name(counts[item.picture], item.picture)
        names.append(f"{name} ({item.text})" if item.text else name)
        counts[item.picture] += 1
    return names


def _check_reach(
    prompts: Mapping[str, Conditioning], given: Mapping[str, Conditioning], region: Region
) -> None:
    """Raise ValueError for a prompt of which nothing is left in the window."""
    for name, left in prompts.items():
        if given[name] and not left:
            raise ValueError(
                f"{name} has no effect in the window ({region.window}): its areas and masks lie outside. "
                "Enlarge context, or combine it with a prompt for the whole picture."
            )


def _output(
    name: str, prompt: Conditioning, inpaint: dict[str, Tensor], samples: Tensor, model: Any
) -> Conditioning | ExecutionBlocker:
    """The prompt as an output; one that is not linked stops what would read it, with a message."""
    if not prompt:
        return ExecutionBlocker(
            f"{name} of Inpaint Small Box is not linked, so there is none for the sampler; link it, or give "
            "the sampler a prompt that is made from window."
        )
    return for_sampler(prompt, inpaint, samples, model)


def _report(
    edit: PlannedEdit,
    labelled: list[LabelledBox],
    image: Tensor,
    is_placeholder: bool,
    model: Any,
    grid: Grid,
    noise_mask: bool,
) -> str:
    region = edit.region
    lines = [
        describe_effective_area(box, region.sampled(box), grid, name)
        for box, name in zip(region.boxes, _names(labelled), strict=True)
    ]
    lines += [_describe_window(region, grid, model is not None), *edit.notes]
    if is_placeholder:
        lines.append("mask is Load Image's empty 64×64 placeholder and was ignored.")
    if image.shape[-1] == 4:
        lines.append("image has an alpha channel: it is not encoded, and Composite Box keeps it.")
    if model is not None and not noise_mask and not reads_mask(model):
        lines.append("model is no inpainting model and noise_mask is off: the whole window is redrawn.")
    return "\n".join(lines)


def _describe_window(region: Region, grid: Grid, is_read: bool) -> str:
    text = f"Window {region.window}"
    if region.scaled:
        (width, height), factor = region.scaled, region.scaled[0] / region.window.width
        text += f", sampled at {width}×{height} px ({factor:.3g} times)"
    text += f"; {grid.cell} px a cell"
    if grid.patch > 1:
        text += f", {grid.token} px a token"
    if grid.levels > 1:
        text += f", {grid.levels} UNet levels"
    return f"{text} ({'read from model' if is_read else 'as in SD1.x; link model to read them'})."
