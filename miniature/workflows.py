"""Example workflows as programs run them: from the page's JSON to an API prompt, and on to the miniature.

`to_api` writes what the page's own `graphToPrompt` writes. `for_miniature` is the one place where the
stock loader, the pictures and the sizes of a workflow are swapped for the miniature's.
"""

from __future__ import annotations

import copy
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from .backgrounds import PLACES
from .comfy_client import Prompt
from .scenes import Scene, scene

EXAMPLES = Path(__file__).resolve().parent.parent / "example_workflows"
FULL_SIZE = 512  # pixels a side that the example workflows are written for

VIRTUAL = ("Note", "MarkdownNote", "PrimitiveNode", "Reroute")
MUTED, BYPASSED = 2, 4
WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")
SEEDS = ("seed", "noise_seed")
PIXELS = ("width", "height", "x", "y", "box", "crop_region", "editor_state", "grow", "context", "feather")
ON_OBJECT = {  # examples that need something in their box: what, or "" for anything
    "replace_small_object": "",
    "remove_small_object": "",
    "replace_with_so_lora": "",
    "remove_with_so_lora": "",
    "recolour_with_so_lora": "car",
}
SCENES_TO_TRY = 2000

Node = dict[str, Any]
ObjectInfo = dict[str, Any]


def examples() -> dict[str, dict[str, Any]]:
    """The example workflows, as the page opens them: name -> JSON."""
    return {path.stem: json.loads(path.read_text("utf-8")) for path in sorted(EXAMPLES.glob("*.json"))}


# Workflow -> prompt


def to_api(workflow: dict[str, Any], object_info: ObjectInfo) -> Prompt:
    """The API prompt of a workflow saved by the page.

    workflow: the page's JSON, with links as lists. object_info: the answer of GET /object_info.
    Raises ValueError for a node type that the server does not have, a subgraph included.
    """
    nodes = {node["id"]: node for node in workflow["nodes"]}
    links = {link[0]: (link[1], link[2]) for link in workflow["links"]}
    prompt: Prompt = {}
    for node in nodes.values():
        if node["type"] in VIRTUAL or node.get("mode") in (MUTED, BYPASSED):
            continue
        if node["type"] not in object_info:
            raise ValueError(f"node {node['id']} is a {node['type']!r}, which this ComfyUI does not have")
        info = object_info[node["type"]]
        inputs = _widget_values(node, info)
        for socket in node.get("inputs", []):
            source = _source(socket.get("link"), nodes, links)
            if source:
                inputs[socket["name"]] = source
        title = node.get("title") or info["display_name"] or node["type"]
        prompt[str(node["id"])] = {"class_type": node["type"], "inputs": inputs, "_meta": {"title": title}}
    return prompt


def _widget_values(node: Node, info: dict[str, Any]) -> dict[str, Any]:
    """What the node's widgets hold. The page saves it as a list in the order of the widgets."""
    saved = iter(node.get("widgets_values") or [])
    values = {}
    for group in ("required", "optional"):
        for name in info["input_order"].get(group, []):
            kind, options = (*info["input"][group][name], {})[:2]
            if not _is_widget(kind, options):
                continue
            try:
                value = next(saved)
            except StopIteration:
                break  # saved by an older version of the node: ComfyUI fills in the default
            # A bare list would be read as a link.
            values[name] = {"__value__": value} if isinstance(value, list) else value
            for _ in range(_companions(name, kind, options)):
                next(saved, None)
    return values


def _is_widget(kind: Any, options: dict[str, Any]) -> bool:
    if options.get("forceInput") or options.get("rawLink"):
        return False
    return isinstance(kind, list) or kind in WIDGET_TYPES or "default" in options


def _companions(name: str, kind: Any, options: dict[str, Any]) -> int:
    """How many values the page saves after a widget's own: those of widgets that it puts beside it."""
    if kind == "BOUNDING_BOX":
        return 4  # x, y, width, height
    return int(bool(options.get("control_after_generate")) or (name in SEEDS and kind == "INT")) + bool(
        options.get("image_upload")
    )


def _source(link: int | None, nodes: dict[int, Node], links: dict[int, tuple[int, int]]) -> list[Any] | None:
    """Where a link's value comes from, [node id, slot], past reroutes and bypassed nodes; None if nowhere."""
    if link is None or link not in links:
        return None
    origin, slot = links[link]
    node = nodes[origin]
    if node["type"] == "Reroute":
        return _source(node["inputs"][0].get("link"), nodes, links)
    if node["type"] in VIRTUAL or node.get("mode") == MUTED:
        return None
    if node.get("mode") == BYPASSED:
        kind, inputs = node["outputs"][slot]["type"], node.get("inputs", [])
        # The input of the same slot if its type fits, else the first that fits.
        for socket in [*inputs[slot : slot + 1], *inputs]:
            if socket["type"] == kind:
                return _source(socket.get("link"), nodes, links)
        return None
    return [str(origin), slot]


# Prompt -> the miniature's prompt


def for_miniature(
    prompt: Prompt, size: int = 64, *, on_object: str | None = None
) -> tuple[Prompt, dict[str, bytes]]:
    """The same graph on the miniature, and the pictures to upload for it: file name -> PNG.

    The checkpoint becomes the miniature (its inpainting twin when the file's name says so), the tuned VAE the
    miniature's, every picture a scene of its world, and what is measured in pixels shrinks from 512 to
    `size`. Nothing else changes.

    on_object: the scene has an object of this name in the box, "" stands for any; if None the boxes are free.
    """
    prompt = copy.deepcopy(prompt)
    for node in prompt.values():
        inputs = node["inputs"]
        if node["class_type"] == "CheckpointLoaderSimple":
            model = "inpainting" if "inpaint" in inputs["ckpt_name"].lower() else "text-to-image"
            node["class_type"], node["inputs"] = "FinesseMiniatureLoader", {"model": model}
        inputs.update({name: shrink(inputs[name], size) for name in PIXELS if name in inputs})
    _tune_vae(prompt)
    names = [node["inputs"]["image"] for node in prompt.values() if node["class_type"] == "LoadImage"]
    fitting = scene_around(boxes_of(prompt), size, texts_of(prompt), on_object=on_object)
    return prompt, {name: png(fitting.image) for name in names}


def _tune_vae(prompt: Prompt) -> None:
    """Take the tuned VAE from the miniature's loader, the only one that knows its widths."""
    sources = [[name, 1] for name, node in prompt.items() if node["class_type"] == "FinesseLoadSOLoRA"]
    for node in list(prompt.values()):
        if node["class_type"] == "FinesseLoadSOLoRA":
            node["inputs"]["tuned_vae"] = "none"
        elif node["inputs"].get("vae") in sources:
            node["inputs"]["vae"] = ["tuned", 2]
            tuned = {"model": "inpainting", "vae": "tuned"}
            prompt["tuned"] = {"class_type": "FinesseMiniatureLoader", "inputs": tuned}


def shrink(value: Any, size: int) -> Any:
    """A length in pixels, a box, or a widget's list of boxes, for a picture of `size`; a link stays a link.

    What is not nothing at full size does not vanish: a feather of 4 pixels becomes one of 1.
    """
    if isinstance(value, dict) and "__value__" in value:
        return {"__value__": [shrink(box, size) for box in value["__value__"]]}
    if isinstance(value, dict):
        return value | {name: shrink(value[name], size) for name in ("x", "y", "width", "height")}
    return value if isinstance(value, list) else -(-value * size // FULL_SIZE)


def boxes_of(prompt: Prompt) -> list[dict[str, int]]:
    """The boxes that a prompt edits: those drawn in *Create Bounding Boxes*, or the one of the edit node."""
    drawn = [node["inputs"]["editor_state"]["__value__"] for node in of_type(prompt, "CreateBoundingBoxes")]
    single = [node["inputs"]["box"] for node in of_type(prompt, "FinesseInpaintSmallBox")]
    return [box for boxes in drawn for box in boxes] or [box for box in single if isinstance(box, dict)]


def texts_of(prompt: Prompt) -> str:
    """All that a prompt asks for, in one string."""
    return " ".join(node["inputs"]["text"] for node in of_type(prompt, "CLIPTextEncode"))


def of_type(prompt: Prompt, class_type: str) -> list[dict[str, Any]]:
    """The prompt's nodes of one type."""
    return [node for node in prompt.values() if node["class_type"] == class_type]


def schedule_of(prompt: Prompt) -> dict[str, Any]:
    """The inputs of the first node that sets the number of steps, under `steps`."""
    nodes = of_type(prompt, "KSampler") + of_type(prompt, "BasicScheduler")
    return nodes[0]["inputs"]


def scene_around(boxes: list[dict[str, int]], size: int, text: str, *, on_object: str | None = None) -> Scene:
    """The first test scene that the edit makes sense in.

    Where the text names a place it is there. No object reaches into a box, except that, with `on_object`,
    the first box holds one object, of this name unless it is "", that fills at least a third of it.
    """

    def faults(candidate: Scene) -> int:
        inside = [share_inside(thing.box, box) for thing in candidate.objects for box in boxes]
        filling = [
            thing.box[2] * thing.box[3]
            for thing in candidate.objects
            if on_object in ("", thing.name)
            and thing.phrase not in text
            and share_inside(thing.box, boxes[0]) > 0.9
        ]
        wrong_place = any(place in text for place in PLACES) and candidate.background not in text
        too_small = (
            on_object is not None and 3 * max(filling, default=0) < boxes[0]["width"] * boxes[0]["height"]
        )
        return 4 * wrong_place + 4 * too_small + sum(share > 0 for share in inside) - len(filling)

    best, fewest = scene(0, size, split="test"), None
    for seed in range(SCENES_TO_TRY):
        candidate = scene(seed, size, split="test")
        count = faults(candidate)
        if fewest is None or count < fewest:
            best, fewest = candidate, count
        if count <= 0:
            break
    return best


def share_inside(thing: tuple[int, int, int, int], box: dict[str, int]) -> float:
    """The share of a thing's box (x, y, width, height) that lies in `box`."""
    x, y, width, height = thing
    across = min(x + width, box["x"] + box["width"]) - max(x, box["x"])
    down = min(y + height, box["y"] + box["height"]) - max(y, box["y"])
    return max(0, across) * max(0, down) / (width * height)


def png(pixels: Any) -> bytes:
    """PNG of uint8 pixels, (H, W, 3) or (H, W, 4)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def text_to_image(text: str, seed: int = 0, steps: int = 25, size: int = 64, batch: int = 1) -> Prompt:
    """A prompt of stock nodes that draws `text` with the miniature and saves the pictures."""
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
