"""The map editor alone: a small site that serves its page, and an open editor, worked by mouse and keys."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import io
import threading
from pathlib import Path

import numpy as np
import pytest
from finesse.core.maps.palettes import COCO_STUFF
from finesse.demo.prompts import png
from finesse.miniature.world.scenes import scene
from finesse.tests.nodes.maps.drawings import drawn
from PIL import Image

WEB = Path(__file__).resolve().parents[2] / "web"
SIDE = 256
PALETTE = {
    "name": COCO_STUFF.name,
    "labels": list(COCO_STUFF.labels),
    "colours": [list(colour) for colour in COCO_STUFF.colours],
}


@functools.cache
def example(number=2):
    return scene(number, SIDE)


def label(name):
    return COCO_STUFF.index(name)


def segmentation(number=2):
    return COCO_STUFF.encode(example(number).labels)


def rgb(grey):
    return np.repeat(np.asarray(grey, np.uint8)[..., None], 3, -1)


def decoded(data, mode="RGB"):
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def hash_of(pixels):
    return hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()


def applied(base, patch):
    """What *Edit Map* makes of a patch."""
    if patch is None:
        return base
    return drawn(base, decoded(base64.b64decode(patch["png"]), "RGBA"), patch["x"], patch["y"])


@pytest.fixture(scope="module")
def site():
    """The address of a server on web/, and the pictures that it also gives."""
    pictures = {}

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self):
            if self.path not in pictures:
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Type", "image/png")
            self.end_headers()
            self.wfile.write(pictures[self.path])

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=WEB))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", pictures
    server.shutdown()


class Desk:
    """An open editor."""

    def __init__(self, page, pictures, bases, **session):
        self.page, self.bases, self.pictures = page, bases, pictures
        stale = session.pop("patches", {})
        maps = []
        for index, base in enumerate(bases):
            url = self.picture(f"/base{index}-{hash_of(base)[:8]}.png", base)
            entry = {"url": url, "sha256": hash_of(base), "patch": None, "stale": False}
            maps.append(entry | stale.get(index, {}))
        defaults = {
            "index": 0,
            "palette": PALETTE,
            "wanted": [],
            "minimalArea": 0.003,
            "overlay": None,
            "sources": [],
            "title": "Edit Map",
        }
        page.evaluate(
            """session => {
                window.result = null
                openMap(session).then(result => { window.result = { result } })
            }""",
            defaults | {"maps": maps} | session,
        )

    def picture(self, url, pixels):
        self.pictures[url] = png(pixels)
        return url

    def ready(self):
        self.page.locator(".tools button").first.wait_for()
        self.frame()
        return self

    def frame(self):
        self.page.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")

    def at(self, x, y):
        """The middle of a pixel of the map, on the screen."""
        stage = self.page.locator(".stage").bounding_box()
        scale = stage["width"] / self.bases[0].shape[1]
        return stage["x"] + (x + 0.5) * scale, stage["y"] + (y + 0.5) * scale

    def click(self, x, y, **how):
        self.page.mouse.click(*self.at(x, y), **how)

    def drag(self, *points, steps=4):
        self.page.mouse.move(*self.at(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.at(*point), steps=steps)
        self.page.mouse.up()

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    @property
    def shown(self):
        """The map's pixels as the canvas shows them."""
        url = self.page.evaluate("document.querySelector('canvas.map').toDataURL()")
        return decoded(base64.b64decode(url.split(",")[1]))

    @property
    def labels(self):
        return COCO_STUFF.decode(self.shown)

    def recall(self, text):
        """Waits until the chip tells this."""
        self.page.wait_for_function(
            "text => document.querySelector('.recall')?.textContent === text", arg=text
        )

    def close(self, button):
        self.page.get_by_role("button", name=button, exact=True).click()
        self.page.wait_for_function("window.result")
        return self.page.evaluate("window.result.result")

    def keep(self):
        """Closes the editor; the result's patch makes of the base what the canvas showed."""
        shown, index = (
            self.shown,
            self.page.evaluate("Number(document.querySelector('.batch select')?.value ?? 0)"),
        )
        maps = self.close("Keep")["maps"]
        assert np.array_equal(applied(self.bases[index], maps[str(index)]), shown)
        return maps


@pytest.fixture(scope="module")
def editor_page(browser, site):
    """The page and what went wrong in it."""
    page, problems = browser.new_page(viewport={"width": 1280, "height": 800}), []
    page.set_default_timeout(10_000)
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page, problems
    page.close()


@pytest.fixture
def desk(editor_page, site):
    (page, problems), (address, pictures) = editor_page, site

    def opened(*bases, **session):
        made = Desk(page, pictures, [np.ascontiguousarray(base) for base in bases], **session)
        return made if "patches" in session else made.ready()

    if page.evaluate("!window.openMap || window.result === null"):  # new, or left open by a test
        page.goto(f"{address}/editor.html")
        page.wait_for_function("!!window.openMap")
    problems.clear()
    yield opened
    assert not problems


def middle(mask):
    """A pixel (x, y) well inside a mask."""
    rows, columns = np.nonzero(mask)
    near = np.argmin((rows - rows.mean()) ** 2 + (columns - columns.mean()) ** 2)
    return int(columns[near]), int(rows[near])
