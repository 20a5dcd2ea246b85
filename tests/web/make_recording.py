"""Records an edit of a map in ComfyUI's page as the animated picture of the README, by mouse and keys.

    python -m finesse.tests.web.make_recording

Writes docs/edit_map.webp, of the example edit_map_and_regenerate on the miniature.
"""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

from PIL import Image
from playwright.sync_api import Frame, Page

from ...core.files import read_json, replacing
from ...demo.page_workflows import FOLDER, PANEL
from .make_pictures import RUN, comfyui_page
from .map_editing import FRAME, open_editor

EXAMPLE = "edit_map_and_regenerate"
FILE = Path(__file__).resolve().parents[2] / "docs" / "edit_map.webp"
SIZE = (1200, 720)
WIDTH = 800  # of the animation, in pixels
SHOW = """([type, left]) => {
    const node = app.graph.nodes.filter(node => node.type === type).at(-1)
    app.canvas.ds.scale = 0.9
    app.canvas.ds.offset = [left - node.pos[0], 120 - node.pos[1]]
    app.canvas.setDirty(true, true)
}"""


class Recording:
    """Frames of a page, each with the time that it stays."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.milliseconds: list[int] = []

    def take(self, milliseconds: int = 80) -> None:
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        height = picture.height * WIDTH // picture.width
        self.frames.append(picture.resize((WIDTH, height), Image.Resampling.LANCZOS))
        self.milliseconds.append(milliseconds)

    def drag(self, *points: tuple[float, float], steps: int = 6) -> None:
        """Press at the first point and move through the others, a frame for each step."""
        mouse = self.page.mouse
        mouse.move(*points[0])
        mouse.down()
        for (x, y), (to_x, to_y) in pairwise(points):
            for step in range(1, steps + 1):
                mouse.move(x + (to_x - x) * step / steps, y + (to_y - y) * step / steps)
                self.take()
        mouse.up()
        self.take(600)

    def save(self, path: Path) -> None:
        first, *others = self.frames
        options = {"duration": self.milliseconds, "loop": 0, "quality": 60, "method": 6}
        with replacing(path) as temporary:
            first.save(temporary, "webp", save_all=True, append_images=others, **options)


def edit(recording: Recording, frame: Frame) -> None:
    """Move the orange, paint a tree, and keep both."""
    stage = frame.locator("canvas").first.bounding_box()

    def at(x: float, y: float) -> tuple[float, float]:
        return stage["x"] + x * stage["width"], stage["y"] + y * stage["height"]

    recording.take(900)
    recording.drag(at(0.65, 0.8), at(0.3, 0.75))
    frame.get_by_role("searchbox").fill("tree")
    recording.take(500)
    frame.get_by_text("tree", exact=True).first.click()
    for key in "b]]]]]]":
        frame.locator("body").press(key)
    recording.take(500)
    recording.drag(at(0.14, 0.5), at(0.14, 0.34), at(0.22, 0.34), at(0.22, 0.5), steps=4)
    frame.get_by_role("button", name="Keep").click()


def main() -> None:
    with comfyui_page(*SIZE) as (page, folder):
        workflow = read_json(folder / PANEL / FOLDER / f"{EXAMPLE}.json")
        for node in workflow["nodes"]:
            if node["type"] == "FinesseEditMap":
                node["widgets_values"][0] = "[]"  # all by hand
        page.evaluate("workflow => app.loadGraphData(workflow)", workflow)
        page.evaluate(RUN)
        page.evaluate(SHOW, ["FinesseEditMap", 480])
        page.wait_for_timeout(1000)
        recording = Recording(page)
        recording.take(1200)
        edit(recording, open_editor(page))
        page.wait_for_selector(FRAME, state="detached")
        page.wait_for_timeout(500)
        recording.take(900)
        page.evaluate(RUN)
        page.evaluate(SHOW, ["SaveImage", 680])
        page.wait_for_timeout(1000)
        recording.take(2500)
        recording.save(FILE)


if __name__ == "__main__":
    main()
