"""Gives each box its own text: `positive` holds around the boxes, and its controls and sizes also in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import comfy.utils
import torch
import torch.nn.functional as F
from comfy_api.latest import io
from torch import Tensor

from ...core.small_objects.box_masks import BoxMask, partition
from ...core.small_objects.boxes import Box, LabelledBox
from ...core.small_objects.region import PlannedEdit, Region
from ..types import Conditioning
from .window_conditioning import IntoWindow, area_of

MOST_PROMPTS = 20

# These say where, when and how strongly an entry holds; a box's text holds in its box, always, at strength 1
OWN = (
    *("mask", "mask_strength", "set_area_to_bounds", "area", "strength", "gligen", "default"),
    *("start_percent", "end_percent", "clip_start_percent", "clip_end_percent"),
)
CONTROL = ("control", "control_apply_to_uncond")


def prompts_input() -> io.Autogrow.Input:
    return io.Autogrow.Input(
        "prompts",
        optional=True,
        template=io.Autogrow.TemplateNames(
            io.Conditioning.Input("prompt", tooltip="What to draw in the box of this number."),
            names=[f"box{number}" for number in range(1, MOST_PROMPTS + 1)],
            min=0,
        ),
        tooltip=(
            "Encoded prompts of the boxes, by the boxes' numbers, in place of their texts: for encoders that "
            "read pictures or have settings, as Text Encode Qwen Image Edit Plus."
        ),
    )


def texts_of_boxes(
    boxes: Sequence[LabelledBox], prompts: Mapping[str, Conditioning] | None
) -> list[str | Conditioning]:
    """What is drawn in each box: its prompt, if one is linked, or its text, "" for what `positive` says."""
    linked = {name: prompt for name, prompt in (prompts or {}).items() if prompt is not None}
    names = [f"box{number}" for number in range(1, len(boxes) + 1)]
    if strays := linked.keys() - set(names):
        raise ValueError(
            f"prompts has {', '.join(sorted(strays))}, but the last box is number {len(boxes)}; draw the "
            "box, or unlink its prompt."
        )
    return [linked.get(name, item.text) for name, item in zip(names, boxes, strict=True)]


def to_encode(texts: Sequence[str | Conditioning]) -> list[str]:
    """The texts among `texts_of_boxes`, for which a text encoder is needed."""
    return [text for text in texts if isinstance(text, str) and text]


def prompt_per_box(
    positive: Conditioning,
    into_window: IntoWindow,
    texts: Sequence[str | Conditioning],
    edit: PlannedEdit,
    clip: Any,
) -> Conditioning:
    """Limit `positive` to outside the boxes that have a text; in these only their text holds, for all steps.

    into_window: moves conditioning into the window. texts: as of `texts_of_boxes`. Controls, sizes and what
    else hangs on those entries of `positive` that reach into a box hold for its text, too. Boxes of the same
    text share an entry, since the model runs once for each.
    """
    around = into_window(positive, "positive")
    if all(text == "" for text in texts):
        return around
    parts, rest = partition(edit.masks, *edit.region.sampled_size)
    places = [_place(values, rest, edit.region) for _, values in around]
    alike: dict[tuple[str | int, tuple[int, ...]], list[BoxMask]] = {}
    for index, (text, part) in enumerate(zip(texts, parts, strict=True)):
        if text == "":
            rest[part.box.index] += part.values
        elif bool(part.values.any()):
            reaching = tuple(i for i, place in enumerate(places) if _reaches(place, part))
            alike.setdefault((text if isinstance(text, str) else index, reaching), []).append(part)
    prompts: Conditioning = []
    for (text, reaching), own_parts in alike.items():
        # No control reaches a box that no prompt reaches, but sizes are the whole picture's
        shared = (
            _shared([around[i] for i in reaching], OWN) if reaching else _shared(positive, (*OWN, *CONTROL))
        )
        mask = torch.zeros_like(rest[: max(len(part.values) for part in own_parts)])
        for part in own_parts:
            mask[part.box.index] += part.values
        if isinstance(text, str):
            encoded = clip.encode_from_tokens_scheduled(clip.tokenize(text))
        else:
            encoded = _reaching(into_window, texts[text], f"prompts.box{text + 1}", mask)
        prompts += [[cond, {**shared, **_within(values, mask)}] for cond, values in encoded]
    whole = BoxMask(Box(0, 0, rest.shape[2], rest.shape[1]), rest)
    kept = [entry for entry, place in zip(around, places, strict=True) if _reaches(place, whole)]
    return [[cond, _within(values, rest)] for cond, values in kept] + prompts


def _reaching(into_window: IntoWindow, prompt: Any, name: str, mask: Tensor) -> Conditioning:
    """The entries of a box's prompt that hold in the box, which is `mask` (1 or B, h, w) of the window."""
    box = BoxMask(Box(0, 0, mask.shape[2], mask.shape[1]), mask)
    moved = into_window(prompt, name)
    reaching = [entry for entry in moved if _reaches(_place(entry[1], mask, into_window.region), box)]
    if not reaching:
        raise ValueError(
            f"{name} has no effect in its box: its areas and masks lie outside. Combine it with a prompt for "
            "the whole picture, or unlink it."
        )
    return reaching


def _within(values: Mapping[str, Any], part: Tensor) -> dict[str, Any]:
    """Values of an entry, its mask (if it has one) cut to `part` (1 or B, h, w)."""
    return {"mask_strength": 1.0, "set_area_to_bounds": False, **values, "mask": _masked(values, part)}


def _masked(values: Mapping[str, Any], part: Tensor) -> Tensor:
    """Cut `part` to an entry's mask, if it has one; the mask stretches over the window."""
    if "mask" not in values:
        return part
    mask = values["mask"].to(part)
    mask = mask.reshape(-1, *mask.shape[-2:])  # HW -> BHW
    if mask.shape[-2:] != part.shape[-2:]:
        mask = F.interpolate(mask.unsqueeze(1), part.shape[-2:], mode="bilinear").squeeze(1)
    if len(part) > 1 and len(mask) not in (1, len(part)):
        mask = comfy.utils.repeat_to_batch_size(mask, len(part))
    return part * mask


def _shared(entries: Conditioning, left_out: Sequence[str]) -> dict[str, Any]:
    """Values of all entries but those `left_out`; where two differ, the first one's count."""
    shared: dict[str, Any] = {}
    for _, values in entries:
        shared = {**values, **shared}
    return {key: value for key, value in shared.items() if key not in left_out}


def _place(values: Mapping[str, Any], like: Tensor, region: Region) -> Tensor | None:
    """Where in the window an entry holds, as a mask such as `like` (1 or B, h, w); None for everywhere."""
    area = area_of(values, region)
    if "mask" not in values and not area:
        return None
    place = _masked(values, torch.ones_like(like))
    if not area:
        return place
    height, width, y, x = (side * region.cell for side in area)
    inside = torch.zeros_like(place)
    inside[:, y : y + height, x : x + width] = 1
    return place * inside


def _reaches(place: Tensor | None, part: BoxMask) -> bool:
    """True if an entry that holds in `place` does so anywhere in `part`."""
    return bool((part.values if place is None else part.values * place[part.box.index]).any())
