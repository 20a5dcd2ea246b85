"""Drawings by hand on maps, for the tests of *Edit Map*."""

from __future__ import annotations

import base64

import numpy as np
from finesse.core.maps.drawing import map_hash
from finesse.core.maps.palettes import COCO_STUFF
from finesse.demo.prompts import png

CAT = COCO_STUFF.colours[COCO_STUFF.index("cat")]


def square(colour=CAT, width=6, height=4):
    """A picture of one colour whose corner keeps the map."""
    picture = np.full((height, width, 4), (*colour, 255), np.uint8)
    picture[0, 0] = 0
    return picture


def drawing(maps):
    return {"version": 1, "maps": {str(place): patch for place, patch in maps.items()}}


def patch(base, picture=None, x=10, y=20, side=96, **values):
    """A patch on a base, which "" is for any."""
    hash_ = map_hash(base) if len(base) else ""
    given = {"base": hash_, "width": side, "height": side, "x": x, "y": y} | values
    if "file" in given:
        return given
    return {"png": base64.b64encode(png(square() if picture is None else picture)).decode()} | given


def drawn(base, picture=None, x=10, y=20):
    """What a base is with a picture on it."""
    picture = square() if picture is None else picture
    result = np.array(base)
    place = result[y : y + len(picture), x : x + picture.shape[1]]
    place[picture[..., 3] == 255] = picture[..., :3][picture[..., 3] == 255]
    return result


def put(folder, name, data):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


class Server:
    """Stands where ComfyUI's server is while a prompt runs, and keeps what is sent."""

    client_id = "page"

    def __init__(self):
        self.sent = []

    def send_sync(self, *message):
        self.sent.append(message)
