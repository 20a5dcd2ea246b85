"""Adapts prompts to the miniature: only here loaders, pictures and sizes are swapped."""

from __future__ import annotations

import copy
import io
import json
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from ..core.maps.palettes import ADE20K, COCO_STUFF
from ..miniature.map_set import MAP_SIZE
from ..miniature.world.backgrounds import PLACES
from ..miniature.world.palette import PALETTE
from ..miniature.world.scene import Scene
from ..miniature.world.scenes import background_of, scene
from .client import Prompt
from .layered_prompts import BACKGROUND, BACKGROUND_FILE, is_layered, learning_of, photo_for, place_for

Frame = tuple[int, int, int, int]  # x, y, width, height
FULL_SIZE = 512  # pixels a side that the example workflows are written for
LENGTHS = (
    *("width", "height", "x", "y", "grow", "context", "feather", "rim"),
    *("minimal_size", "merge_distance", "margin", "scale.side"),
)
PIXELS = (*LENGTHS, "box", "crop_region", "editor_state")
ON_OBJECT = {  # examples that need something in their box -> its name, or "" for anything
    "replace_small_object": "",
    "remove_small_object": "",
    "replace_with_so_lora": "",
    "remove_with_so_lora": "",
    "recolour_with_so_lora": "car",
}
SCENES_TO_TRY = 2000
SIDES = {256: MAP_SIZE, 512: 64, 1024: 64}  # of a map, of a picture of SD1.5, of SDXL
KNOWN = {"scale.model_side": 64}  # by the miniature, which cannot be asked
DRAWN = ("EmptyLatentImage", "FinesseSampleConditionMaps")  # nodes whose sides those are
EDIT_PIXELS = ("dx", "dy", "x", "y", "width", "height", "point", "points")
WORLD = json.dumps(dict(zip(PALETTE.labels, PALETTE.colours, strict=True)))
MAP_GUIDANCE = 4.0  # at most, in graphs with maps: more makes their colours too loud to be read
TUNED = "tuned loader"  # the node that is added
PALETTE_INPUTS = {"palette": "custom_palette", "source": "custom_source", "target": "custom_target"}


def for_miniature(
    prompt: Prompt, size: int = 64, *, on_object: str | None = None
) -> tuple[Prompt, dict[str, bytes]]:
    """Adapt a graph to the miniature; -> it and the pictures to upload for it: file name -> PNG.

    The checkpoint becomes the miniature (its inpainting twin when the file's name says so), the tuned VAE
    the miniature's, SAM its segmenter, every picture a scene of its world, what is measured in pixels shrinks
    from 512 to `size`, layers are learnt by `learning_of`, and where maps are drawn `cfg` is at most
    MAP_GUIDANCE. Nothing else changes.

    on_object: the scene has an object of this name in the box, "" stands for any; if None the boxes are free.
    """
    prompt = copy.deepcopy(prompt)
    draws_maps, layered = bool(of_type(prompt, "FinesseLoadFactor")), is_layered(prompt)
    for node in prompt.values():
        inputs = node["inputs"]
        if node["class_type"] == "CheckpointLoaderSimple":
            model = "inpainting" if "inpaint" in inputs["ckpt_name"].lower() else "text-to-image"
            model = "subjects" if layered else model
            node["class_type"] = "FinesseMiniatureLoader"
            node["inputs"] = {"model": model, "vae": "plain"}
        if draws_maps and "cfg" in inputs:
            inputs["cfg"] = min(inputs["cfg"], MAP_GUIDANCE)
        if node["class_type"] in DRAWN:
            inputs.update({name: SIDES[inputs[name]] * size // 64 for name in ("width", "height")})
        else:
            inputs.update({name: shrink(inputs[name], size) for name in PIXELS if name in inputs})
        inputs.update({name: value for name, value in KNOWN.items() if name in inputs})
        _use_world(node)
    _tune_vae(prompt)
    return prompt, _pictures(prompt, size, on_object)


def _pictures(prompt: Prompt, size: int, on_object: str | None) -> dict[str, bytes]:
    """Draw the scenes that a prompt loads: file name -> PNG."""
    text, loads, pictures = " ".join(texts_of(prompt)), of_type(prompt, "LoadImage"), {}
    for node in loads:
        if is_layered(prompt) and node["_meta"]["title"] == BACKGROUND:
            node["inputs"]["image"] = BACKGROUND_FILE
            pictures[BACKGROUND_FILE] = png(place_for(text, size))
    names = [node["inputs"]["image"] for node in loads if node["inputs"]["image"] not in pictures]
    if names:
        fitting = (
            photo_for(text, size)
            if is_layered(prompt)
            else scene_around(boxes_of(prompt), size, text, on_object=on_object)
        )
        painted = boxes_of(prompt) if of_type(prompt, "FinesseBoxesFromMask") else []
        pictures |= {name: png(_masked(fitting.image, painted)) for name in names}
    return pictures


def _masked(pixels: np.ndarray, boxes: list[dict[str, int]]) -> np.ndarray:
    """Give a picture (H, W, 3) a mask over the boxes, if any, as ComfyUI's mask editor saves it."""
    if not boxes:
        return pixels
    alpha = np.full((*pixels.shape[:2], 1), 255, np.uint8)
    for box in boxes:
        alpha[box["y"] : box["y"] + box["height"], box["x"] : box["x"] + box["width"]] = 0
    return np.concatenate([pixels, alpha], axis=-1)


def _use_world(node: dict[str, Any]) -> None:
    """Use the miniature's ControlNet and the palette of its world instead of those for real models."""
    inputs = node["inputs"]
    if node["class_type"] == "ControlNetLoader":
        node["class_type"], node["inputs"] = "FinesseMiniatureControlNet", {}
    if node["class_type"] == "FinesseSegmentObject":
        node["class_type"], node["inputs"] = "FinesseMiniatureSegmenter", {"image": inputs["image"]}
    inputs.update(learning_of(node))
    for name, text in PALETTE_INPUTS.items():
        if inputs.get(name) in (COCO_STUFF.name, ADE20K.name):
            inputs |= {name: "custom", text: WORLD}
    if node["class_type"] == "FinesseEditMap":
        inputs["edits"] = json.dumps(_scaled(json.loads(inputs["edits"]), MAP_SIZE / 256))


def _scaled(edits: Any, factor: float, measured: bool = False) -> Any:
    """Multiply all that edits of a map measure in pixels by `factor`."""
    if isinstance(edits, list):
        return [_scaled(item, factor, measured) for item in edits]
    if isinstance(edits, dict):
        return {name: _scaled(value, factor, name in EDIT_PIXELS) for name, value in edits.items()}
    return round(edits * factor) if measured and isinstance(edits, int) else edits


def _tune_vae(prompt: Prompt) -> None:
    """Take the tuned VAE from the miniature's loader, the only one that knows its widths."""
    sources = [[name, 1] for name, node in prompt.items() if node["class_type"] == "FinesseLoadSOLoRA"]
    for node in list(prompt.values()):
        if node["class_type"] == "FinesseLoadSOLoRA":
            node["inputs"]["tuned_vae"] = "none"
        elif node["inputs"].get("vae") in sources:
            node["inputs"]["vae"] = [TUNED, 2]
            tuned = {"model": "inpainting", "vae": "tuned"}
            prompt[TUNED] = {"class_type": "FinesseMiniatureLoader", "inputs": tuned}


def shrink(value: Any, size: int) -> Any:
    """Scale a length in pixels, a box, or a widget's list of boxes to a picture of `size`; links stay.

    A length above 0 stays at least 1: a feather of 4 pixels becomes 1.
    """
    if isinstance(value, dict) and "__value__" in value:
        return {"__value__": [shrink(box, size) for box in value["__value__"]]}
    if isinstance(value, dict):
        return value | {name: shrink(value[name], size) for name in ("x", "y", "width", "height")}
    return value if isinstance(value, list) else -(-value * size // FULL_SIZE)


def boxes_of(prompt: Prompt) -> list[dict[str, int]]:
    """Find the boxes that a prompt edits: from *Create Bounding Boxes*, or else from the edit nodes."""
    drawn = [node["inputs"]["editor_state"] for node in of_type(prompt, "CreateBoundingBoxes")]
    own = [node["inputs"]["box"] for node in of_type(prompt, "FinesseInpaintSmallBox")]
    values = drawn or [value for value in own if isinstance(value, dict)]  # no links
    return [box for value in values for box in value.get("__value__", [value])]


def texts_of(prompt: Prompt) -> list[str]:
    """Collect a prompt's positive and negative texts, each once."""
    texts = [node["inputs"]["text"] for node in of_type(prompt, "CLIPTextEncode")]
    read = [_source_text(prompt[text[0]]["inputs"]) if isinstance(text, list) else text for text in texts]
    return list(dict.fromkeys(text for text in read if text))


def _source_text(inputs: dict[str, Any]) -> str:
    """Text of a node from which others take theirs: a primitive's, or the sentence of an edit."""
    return inputs.get("value") or inputs["prompt"]


def of_type(prompt: Prompt, class_type: str) -> list[dict[str, Any]]:
    """List the prompt's nodes of one type."""
    return [node for node in prompt.values() if node["class_type"] == class_type]


def schedule_of(prompt: Prompt) -> dict[str, Any]:
    """The inputs of the first node that sets the number of steps, under `steps`."""
    nodes = of_type(prompt, "KSampler") + of_type(prompt, "BasicScheduler")
    return nodes[0]["inputs"]


def scene_around(boxes: list[dict[str, int]], size: int, text: str, *, on_object: str | None = None) -> Scene:
    """Find the first test scene in which the edit makes sense.

    If the text names a place, the scene is there. No object reaches into a box; except that with `on_object`
    the first box holds one object, of this name unless it is "", that fills at least a third of it.
    """
    areas = tuple((box["x"], box["y"], box["width"], box["height"]) for box in boxes)
    return scene(_seed_around(areas, size, text, on_object), size, split="test")


@cache
def _seed_around(boxes: tuple[Frame, ...], size: int, text: str, on_object: str | None) -> int:
    def faults(candidate: Scene) -> int:
        inside = [share_inside(thing.box, box) for thing in candidate.objects for box in boxes]
        filling = [
            thing.box[2] * thing.box[3]
            for thing in candidate.objects
            if on_object in ("", thing.name)
            and thing.phrase not in text
            and share_inside(thing.box, boxes[0]) > 0.9
        ]
        too_small = on_object is not None and 3 * max(filling, default=0) < boxes[0][2] * boxes[0][3]
        return 4 * too_small + sum(share > 0 for share in inside) - len(filling)

    best, fewest = 0, None
    names_place = any(place in text for place in PLACES)
    for seed in range(SCENES_TO_TRY):
        if names_place and background_of(seed, split="test") not in text:
            continue
        count = faults(scene(seed, size, split="test"))
        if fewest is None or count < fewest:
            best, fewest = seed, count
        if count <= 0:
            break
    return best


def share_inside(thing: Frame, box: Frame) -> float:
    """Share of a thing's box that lies in `box`."""
    x, y, width, height = thing
    across = min(x + width, box[0] + box[2]) - max(x, box[0])
    down = min(y + height, box[1] + box[3]) - max(y, box[1])
    return max(0, across) * max(0, down) / (width * height)


def png(pixels: Any) -> bytes:
    """Encode uint8 pixels, (H, W, 3) or (H, W, 4), as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def text_to_image(text: str, seed: int = 0, steps: int = 25, size: int = 64, batch: int = 1) -> Prompt:
    """Make a prompt of stock nodes that draws `text` with the miniature and saves the pictures."""
    return {
        "model": {"class_type": "FinesseMiniatureLoader", "inputs": {"model": "text-to-image"}},
        "positive": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["model", 1], "text": text}},
        "negative": {"class_type": "CLIPTextEncode", "inputs": {"clip": ["model", 1], "text": ""}},
        "latent": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": size, "height": size, "batch_size": batch},
        },
        "sampler": {
            "class_type": "KSampler",
            "inputs": {
                "model": ["model", 0],
                "seed": seed,
                "steps": steps,
                "cfg": 5.0,
                "sampler_name": "euler",
                "scheduler": "normal",
                "positive": ["positive", 0],
                "negative": ["negative", 0],
                "latent_image": ["latent", 0],
                "denoise": 1.0,
            },
        },
        "decode": {"class_type": "VAEDecode", "inputs": {"samples": ["sampler", 0], "vae": ["model", 2]}},
        "save": {
            "class_type": "SaveImage",
            "inputs": {"images": ["decode", 0], "filename_prefix": "drawing"},
        },
    }
