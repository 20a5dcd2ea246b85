"""Runs the example workflows in a real ComfyUI, as a client program would, and writes a contact sheet.

python -m finesse.demo.run --output demo_output
"""

from __future__ import annotations

import io
import os
import platform
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from ..training.loop.config import option, parse
from .client import ComfyClient, ComfyError, Prompt
from .family_graphs import other_examples
from .page import Comparison, Drawing, EditedPicture, Sheet, Story, write
from .prompts import ON_OBJECT, boxes_of, for_miniature, of_type, png, schedule_of, text_to_image, texts_of
from .server import ComfyServer, ServerError, exit_on_kill
from .workflows import to_api

SIZE = 64
CELL = SIZE // 16  # the miniature's latents are 16x16
PHOTO_EXAMPLE = "real_photo_with_crop_window"
COMPARISON = "compare_small_object"
STORIES = (
    "prompt_to_picture_by_recall",
    "edit_map_and_regenerate",
    "three_factor_chain",
    "rank_stock_pictures_by_recall",
    "map_for_sdxl",
    "object_from_map_into_photo",
    "change_action_and_background",
    "recolour_before_own_background",
    "more_pictures_of_a_layered_edit",
)
COMPARED = ("a red car", "a banana", "a blue bus", "a stop sign")
TEXTS = (
    "a red car on grass",
    "an orange on the beach",
    "a dancing person in a room",
    "a cake at night",
    "a laptop on grass",
    "a red shoe on a street",
    "an orange left of a laptop on grass",
    "a sheep, an orange and a cake in a room",
)


@dataclass
class Arguments:
    """Where the pictures go."""

    output: str = option("demo_output", "folder to write; an old one is replaced")
    thumbnails: str = option("", "folder for the examples' thumbnails of before and after; empty writes none")


@dataclass
class Photo:
    """A real photograph that comes with scikit-image, and the edit to make in it."""

    file: str
    title: str
    note: str
    text: str
    box: dict[str, int]


PHOTOS = (
    Photo(
        "rocket.jpg",
        "A real photograph: a kite in the evening sky",
        "Falcon 9 before launch, by SpaceX, public domain. Only a window of 64 pixels is ever encoded.",
        "a kite",
        {"x": 232, "y": 28, "width": 32, "height": 28},
    ),
    Photo(
        "coffee.png",
        "A real photograph: an apple beside the cup",
        "By Rachel Michetti, CC0. Only a window of 64 pixels is ever encoded.",
        "a red apple",
        {"x": 312, "y": 176, "width": 36, "height": 36},
    ),
)


class Demo:
    """A connection, a folder to write into, and the growing sheet."""

    def __init__(self, client: ComfyClient, folder: Path, thumbnails: Path | None = None) -> None:
        self.client, self.folder, self.thumbnails, self.sheet = client, folder, thumbnails, Sheet()
        self.object_info = client.object_info()

    def run(self, title: str, prompt: Prompt) -> tuple[dict[str, Any], float]:
        """Queue a prompt and wait for it; -> its outputs, and the seconds it took."""
        start = time.monotonic()
        print(f"  {title} ", end="", flush=True)
        outputs = self.client.run(prompt, lambda node_id, step, total: print(".", end="", flush=True))
        seconds = time.monotonic() - start
        print(f" {seconds:.1f} s", flush=True)
        return outputs, seconds

    def example(self, name: str, workflow: dict[str, Any]) -> None:
        """Run an example workflow on a scene of the miniature's world."""
        prompt, pictures = for_miniature(
            to_api(workflow, self.object_info), SIZE, on_object=ON_OBJECT.get(name)
        )
        self.edit(name, *about_of(workflow), prompt, pictures)

    def comparison(self, text: str, workflow: dict[str, Any]) -> None:
        """Run the example that draws one object in several ways, with a text of its own."""
        prompt, pictures = for_miniature(to_api(workflow, self.object_info), SIZE)
        of_type(prompt, "CLIPTextEncode")[0]["inputs"]["text"] = text
        (picture,) = pictures.values()
        (load,) = of_type(prompt, "LoadImage")
        load["inputs"]["image"] = self.client.upload(picture, f"{COMPARISON}.png")
        outputs, seconds = self.run(f"{COMPARISON}: {text}", prompt)
        (sheet,) = self.client.images(outputs)[key_of(prompt, "SaveImage")]
        name = f"{COMPARISON}_{text.replace(' ', '_')}.png"
        (self.folder / name).write_bytes(sheet)
        self.sheet.comparisons.append(Comparison(text, name, seconds))
        if self.thumbnails and len(self.sheet.comparisons) == 1:
            shown = Image.open(io.BytesIO(sheet)).resize((768, 384), Image.Resampling.NEAREST)
            shown.save(self.thumbnails / f"{COMPARISON}.jpg", quality=88)

    def photo(self, photo: Photo, workflow: dict[str, Any]) -> None:
        """Run the example for photographs on a real one, with its own box and text."""
        prompt, pictures = for_miniature(to_api(workflow, self.object_info), SIZE)
        with Image.open(Path(data.__file__).parent / photo.file) as opened:
            small = opened.convert("RGB").resize((round(256 * opened.width / opened.height), 256))
        (name,) = pictures
        (inpaint,) = of_type(prompt, "FinesseInpaintSmallBox")
        inpaint["inputs"] |= {"box": photo.box, "context": SIZE}
        prompt[inpaint["inputs"]["positive"][0]]["inputs"]["text"] = photo.text
        self.edit(
            f"photo_{Path(photo.file).stem}", photo.title, photo.note, prompt, {name: png(np.asarray(small))}
        )

    def edit(self, name: str, title: str, note: str, prompt: Prompt, pictures: dict[str, bytes]) -> None:
        """Upload the picture, run the prompt, write input, result and close-ups, and compare them."""
        (before,) = pictures.values()
        for load in of_type(prompt, "LoadImage"):
            load["inputs"]["image"] = self.client.upload(before, f"{name}.png")
        outputs, seconds = self.run(name, prompt)
        after = self.client.images(outputs)[key_of(prompt, "SaveImage")][0]
        old, new = (np.asarray(Image.open(io.BytesIO(file)).convert("RGB")) for file in (before, after))
        boxes = boxes_of(prompt)
        inpaint = key_of(prompt, "FinesseInpaintSmallBox")
        grow = prompt[inpaint]["inputs"]["grow"]
        outside = outside_of(boxes, grow, old.shape[:2])
        y, x = close_up(boxes[0], old.shape[:2])
        files = {"before": old, "after": new, "zoom_before": old[y, x], "zoom_after": new[y, x]}
        for kind, pixels in files.items():
            (self.folder / f"{name}_{kind}.png").write_bytes(png(pixels))
        if self.thumbnails:
            self.thumbnail(name, files)
        self.sheet.edits.append(
            EditedPicture(
                title,
                note,
                texts_of_boxes(prompt),
                **{kind: f"{name}_{kind}.png" for kind in files},
                size=(old.shape[1], old.shape[0]),
                boxes=[(box["x"], box["y"], box["width"], box["height"]) for box in boxes],
                seconds=seconds,
                steps=schedule_of(prompt)["steps"],
                outside=int(outside.sum()),
                changed=int((old != new).any(-1)[outside].sum()),
                report=outputs[inpaint]["text"][0],
            )
        )

    def story(self, name: str, workflow: dict[str, Any]) -> None:
        """Run an example that makes pictures out of prompts, and show all that it saves."""
        prompt, pictures = for_miniature(to_api(workflow, self.object_info), SIZE)
        for file, picture in pictures.items():
            self.client.upload(picture, file)
        outputs, seconds = self.run(name, prompt)
        shown = []
        for node, files in sorted(self.client.images(outputs).items(), key=lambda item: int(item[0])):
            for number, content in enumerate(files if prompt[node]["class_type"] == "SaveImage" else ()):
                file = f"{name}_{node}_{number}.png"
                (self.folder / file).write_bytes(content)
                shown.append((file, prompt[node]["_meta"]["title"]))
        self.sheet.stories.append(Story(*about_of(workflow), texts_of(prompt), shown, seconds))
        if self.thumbnails:
            firsts = [file for file, _ in shown if file.endswith("_0.png")]  # of each node
            tiles = [Image.open(self.folder / file).convert("RGB") for file in firsts[-2:]]
            large = [np.asarray(tile.resize((384, 384), Image.Resampling.NEAREST)) for tile in tiles]
            Image.fromarray(np.hstack(large)).save(self.thumbnails / f"{name}.jpg", quality=88)

    def thumbnail(self, name: str, files: dict[str, np.ndarray]) -> None:
        """Write before and after as the picture that ComfyUI shows beside an example workflow."""
        large = name.startswith("photo")
        pair = [files[kind] for kind in (("zoom_before", "zoom_after") if large else ("before", "after"))]
        picture = Image.fromarray(np.hstack(pair)).resize((768, 384), Image.Resampling.LANCZOS)
        picture.save(self.thumbnails / f"{PHOTO_EXAMPLE if large else name}.jpg", quality=88)

    def drawing(self, text: str) -> None:
        """Draw a prompt with stock nodes, two seeds."""
        outputs, seconds = self.run(text, text_to_image(text, seed=1, steps=25, size=SIZE, batch=2))
        (pictures,) = self.client.images(outputs).values()
        names = [f"{text.replace(' ', '_').replace(',', '')}_{number}.png" for number in range(len(pictures))]
        for name, picture in zip(names, pictures, strict=True):
            (self.folder / name).write_bytes(picture)
        self.sheet.drawings.append(Drawing(text, names, seconds))


def about_of(workflow: dict[str, Any]) -> tuple[str, str]:
    """Get the title and first paragraph of an example's note."""
    (note,) = (node for node in workflow["nodes"] if node["type"] == "MarkdownNote")
    title, about = note["widgets_values"][0].removeprefix("# ").split("\n\n")[:2]
    return title, about.replace("*", "")


def outside_of(boxes: list[dict[str, int]], grow: int, shape: tuple[int, int]) -> np.ndarray:
    """Mark where nothing may change, bool (H, W): outside the boxes, grown and widened to latent cells."""
    outside = np.ones(shape, bool)
    for box in boxes:
        left, top = ((box[name] - grow) // CELL * CELL for name in ("x", "y"))
        right, bottom = (
            -(-(box[start] + box[side] + grow) // CELL) * CELL
            for start, side in (("x", "width"), ("y", "height"))
        )
        outside[max(0, top) : bottom, max(0, left) : right] = False
    return outside


def close_up(box: dict[str, int], shape: tuple[int, int]) -> tuple[slice, slice]:
    """Choose a square around a box, twice its longer side if there is room: rows, columns."""
    side = min(2 * max(box["width"], box["height"]), *shape)
    top = min(max(0, box["y"] + box["height"] // 2 - side // 2), shape[0] - side)
    left = min(max(0, box["x"] + box["width"] // 2 - side // 2), shape[1] - side)
    return slice(top, top + side), slice(left, left + side)


def key_of(prompt: Prompt, class_type: str) -> str:
    """Key of the prompt's only node of a type."""
    (key,) = (key for key, node in prompt.items() if node["class_type"] == class_type)
    return key


def texts_of_boxes(prompt: Prompt) -> list[str]:
    """Text of each box: its own or its line of a list, or else the positive prompt."""
    (inpaint,) = of_type(prompt, "FinesseInpaintSmallBox")
    positive = prompt[inpaint["inputs"]["positive"][0]]["inputs"]["text"]
    own = [box["metadata"]["desc"] if "metadata" in box else box.get("text") for box in boxes_of(prompt)]
    lists = of_type(prompt, "FinesseBoxesFromMask")
    listed = lists[0]["inputs"]["texts"].splitlines() if lists else []
    return [text for text in own if text] or listed or [positive]


def main() -> int:
    """Run everything; 0 when every picture was made and nothing outside the boxes changed."""
    (arguments,) = parse([Arguments], {})
    folder = Path(arguments.output).resolve()
    exit_on_kill()
    start = time.monotonic()
    print("Starting ComfyUI ...", flush=True)
    try:
        with ComfyServer() as server:
            ready = time.monotonic() - start
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            thumbnails = Path(arguments.thumbnails) if arguments.thumbnails else None
            demo = Demo(server.client(), folder, thumbnails)
            workflows = other_examples()
            for name, workflow in workflows.items():
                if name in STORIES:
                    demo.story(name, workflow)
                elif name not in (PHOTO_EXAMPLE, COMPARISON):
                    demo.example(name, workflow)
            for text in COMPARED:
                demo.comparison(text, workflows[COMPARISON])
            for photo in PHOTOS:
                demo.photo(photo, workflows[PHOTO_EXAMPLE])
            for text in TEXTS:
                demo.drawing(text)
            version = demo.client.get_json("/system_stats")["system"]["comfyui_version"]
    except (ComfyError, ServerError, OSError, ValueError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    demo.sheet.facts = [
        ("ComfyUI", f"{version}, on the CPU, driven through its API"),
        ("Machine", f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"),
        ("Time", f"{time.monotonic() - start:.0f} s in all, {ready:.0f} s of them to start ComfyUI"),
    ]
    print(f"Done in {time.monotonic() - start:.0f} s. Open {write(demo.sheet, folder)}")
    return int(any(edit.changed for edit in demo.sheet.edits))


if __name__ == "__main__":
    sys.exit(main())
