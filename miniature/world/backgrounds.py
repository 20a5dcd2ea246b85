"""Backgrounds are soft, smooth pictures that a small VAE can encode, each with its labels.

Everything is a function of the position (x, y in 0..1), so a background has the same composition at any size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ...core.maps.palettes import COCO_STUFF

Colour = Sequence[float]


@dataclass
class SceneCanvas:
    """A square picture that is being painted: RGB (H, W, 3) float32 in 0..255 and labels (H, W) uint8."""

    size: int
    horizon: float
    image: np.ndarray = field(init=False)
    labels: np.ndarray = field(init=False)
    x: np.ndarray = field(init=False)
    y: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.x = self.y = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        self.image = np.empty((self.size, self.size, 3), np.float32)
        self.labels = np.empty((self.size, self.size), np.uint8)

    @property
    def pixels(self) -> np.ndarray:
        """The picture as uint8 (H, W, 3)."""
        return np.clip(self.image + 0.5, 0, 255).astype(np.uint8)

    def gradient(self, *colours: Colour, top: float = 0.0, bottom: float = 1.0) -> np.ndarray:
        """A gradient (H, 1, 3) through colours from top to bottom."""
        stops = np.linspace(top, bottom, len(colours))
        return np.stack([np.interp(self.y, stops, channel) for channel in zip(*colours, strict=True)], 1)[
            :, None
        ]

    def fill(self, colours: np.ndarray, label: str) -> None:
        """Cover the whole canvas with colours and a label."""
        self.image[:] = colours
        self.labels[:] = COCO_STUFF.index(label)

    def cover(self, mask: np.ndarray, colours: np.ndarray | Colour, label: str | None = None) -> None:
        """Lay colours over the canvas, weighted by a mask (H, W) in 0..1."""
        rows, columns = (_span(mask.max(axis)) for axis in (1, 0))
        mask, part = mask[rows, columns], self.image[rows, columns]
        colours = np.asarray(colours, np.float32)
        part += mask[..., None] * ((colours[rows] if colours.ndim > 1 else colours) - part)
        if label is not None:
            self.labels[rows, columns][mask >= 0.5] = COCO_STUFF.index(label)

    def below(self, curve: np.ndarray | float) -> np.ndarray:
        """A mask of everything below a curve y(x), with a soft edge of one pixel."""
        return np.clip((self.y[:, None] - np.broadcast_to(curve, self.size)) * self.size + 0.5, 0, 1)

    def beside(self, left: float, right: float) -> np.ndarray:
        """A mask (1, W) of everything between two x, with soft edges."""
        return np.clip(np.minimum(self.x - left, right - self.x) * self.size + 0.5, 0, 1)[None]

    def wave(self, rng: np.random.Generator, height: float) -> np.ndarray:
        """A gently rolling line (W,) with mean 0."""
        phase, pace = rng.random(2)
        return height * np.sin((2 + 4 * pace) * self.x + 6.3 * phase)

    def blobs(
        self,
        rng: np.random.Generator,
        count: int,
        colours: Sequence[Colour],
        rows: tuple[float, float],
        radius: tuple[float, float],
        flat: float = 0.5,
        mask: np.ndarray | None = None,
    ) -> None:
        """Add soft spots. `colours` are added to the picture, `radius` is a range, `flat` height / width."""
        draws = rng.random((4, count), np.float32)
        width = radius[0] + (radius[1] - radius[0]) * draws[2]
        centre = rows[0] + (rows[1] - rows[0]) * draws[1]
        across = np.exp(-(((self.x - draws[0][:, None]) / width[:, None]) ** 2))  # count, W
        down = np.exp(-(((self.y - centre[:, None]) / (flat * width[:, None])) ** 2))  # count, H
        shades = np.asarray(colours, np.float32)[(draws[3] * len(colours)).astype(int)]  # count, 3
        added = down.T @ (across[:, :, None] * shades[:, None]).reshape(count, -1)
        added = added.reshape(self.image.shape)
        self.image += added if mask is None else added * mask[..., None]


def draw_grass(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw a rolling meadow under a summer sky."""
    _day_sky(canvas, rng)
    hill = canvas.below(canvas.horizon - 0.03 + canvas.wave(rng, 0.04))
    canvas.cover(hill, canvas.gradient((150, 196, 112), (128, 184, 96)), "grass")
    meadow = canvas.below(canvas.horizon + 0.02 + canvas.wave(rng, 0.03))
    canvas.cover(meadow, canvas.gradient((156, 212, 96), (84, 160, 62), top=canvas.horizon), "grass")
    canvas.blobs(rng, 9, [(22, 20, 4), (-20, -22, -8)], (canvas.horizon + 0.1, 1), (0.06, 0.2), 0.4, meadow)


def draw_beach(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw sand, a strip of sea and a bright sky."""
    _day_sky(canvas, rng)
    line = canvas.horizon
    canvas.cover(
        canvas.below(line - 0.14),
        canvas.gradient((40, 134, 190), (84, 200, 210), top=line - 0.14, bottom=line),
        "sea",
    )
    wave = line + canvas.wave(rng, 0.025)
    canvas.cover(0.8 * canvas.below(wave - 0.025), (232, 246, 244))
    sand = canvas.below(wave)
    canvas.cover(sand, canvas.gradient((226, 200, 150), (250, 222, 164), (236, 200, 136), top=line), "sand")
    canvas.blobs(rng, 8, [(10, 12, 14), (-18, -20, -20)], (line + 0.1, 1), (0.08, 0.22), 0.3, sand)


def draw_snow(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw snowdrifts under a pale winter sky, with a far ridge."""
    canvas.fill(canvas.gradient((150, 184, 222), (222, 232, 242), bottom=canvas.horizon), "sky-other")
    peak, slope = rng.random(2)
    ridge = (
        canvas.horizon
        - 0.16
        + (0.4 + 0.3 * slope) * np.abs(canvas.x - peak) * (1 + 0.2 * np.sin(9 * canvas.x))
    )
    canvas.cover(
        canvas.below(ridge),
        canvas.gradient((146, 164, 198), (196, 210, 230), bottom=canvas.horizon),
        "mountain",
    )
    snow = canvas.below(canvas.horizon + canvas.wave(rng, 0.03))
    canvas.cover(snow, canvas.gradient((234, 241, 250), (204, 219, 241), top=canvas.horizon), "snow")
    canvas.blobs(rng, 8, [(-24, -17, -7), (14, 11, 6)], (canvas.horizon + 0.1, 1), (0.08, 0.24), 0.3, snow)


def draw_night(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw the moon and soft stars over a dark hill."""
    canvas.fill(
        canvas.gradient((18, 22, 66), (62, 62, 128), (112, 92, 150), bottom=canvas.horizon), "sky-other"
    )
    canvas.blobs(rng, 10, [(120, 120, 100), (80, 80, 90)], (0, canvas.horizon), (0.014, 0.022), 1.0)
    left, high = rng.random(2)
    away = np.hypot(canvas.x[None] - 0.1 - 0.8 * left, canvas.y[:, None] - 0.1 - 0.1 * high)
    canvas.image += (60 * np.exp(-((away / 0.14) ** 2)))[..., None] * np.array((1, 0.95, 0.7), np.float32)
    canvas.cover(np.clip((0.06 - away) * canvas.size + 0.5, 0, 1), (250, 240, 200))
    hill = canvas.below(canvas.horizon + canvas.wave(rng, 0.04))
    canvas.cover(hill, canvas.gradient((58, 88, 104), (34, 60, 76), top=canvas.horizon), "hill")
    canvas.blobs(rng, 6, [(14, 20, 18), (-10, -14, -12)], (canvas.horizon + 0.1, 1), (0.1, 0.22), 0.4, hill)


def draw_forest(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw soft treetops and trunks behind a mossy clearing."""
    canvas.fill(canvas.gradient((74, 130, 74), (150, 184, 108), (70, 116, 66), bottom=canvas.horizon), "tree")
    for place in np.arange(5) / 5 + 0.2 * rng.random(5):
        width = 0.012 + 0.02 * (place * 7 % 1)
        canvas.cover(np.repeat(canvas.beside(place - width, place + width), canvas.size, 0), (96, 72, 54))
    crowns = [(-26, -10, -30), (14, 32, -6), (-36, -30, -30)]
    canvas.blobs(rng, 12, crowns, (-0.05, canvas.horizon * 0.55), (0.08, 0.18), 0.8)
    ground = canvas.below(canvas.horizon + canvas.wave(rng, 0.02))
    canvas.cover(ground, canvas.gradient((122, 120, 66), (96, 82, 48), top=canvas.horizon), "dirt")
    canvas.blobs(
        rng, 9, [(-16, 22, -10), (26, 22, 10)], (canvas.horizon + 0.08, 1), (0.08, 0.2), 0.35, ground
    )


def draw_room(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw a painted wall, a wooden floor and a rug."""
    wall = WALLS[rng.integers(len(WALLS))]
    canvas.fill(canvas.gradient(wall, np.multiply(wall, 0.88), bottom=canvas.horizon), "wall-other")
    canvas.blobs(rng, 2, [(20, 18, 12)], (0.1, 0.3), (0.2, 0.35), 1.0)
    canvas.cover(canvas.below(canvas.horizon - 0.035), (240, 234, 224))
    floor = canvas.below(canvas.horizon)
    canvas.cover(floor, canvas.gradient((172, 122, 78), (204, 152, 100), top=canvas.horizon), "floor-wood")
    depth = np.maximum(canvas.y - canvas.horizon, 0)[:, None] + 0.35
    planks = np.sin((canvas.x[None] - 0.5) / depth * 14)
    canvas.image += (floor * planks * 7)[..., None]
    middle, colour = rng.random(), RUGS[rng.integers(len(RUGS))]
    away = np.hypot(
        (canvas.x[None] - 0.3 - 0.4 * middle) / 0.34, (canvas.y[:, None] - canvas.horizon - 0.25) / 0.13
    )
    canvas.cover(np.clip((1 - away) * canvas.size * 0.13 + 0.5, 0, 1), colour, "rug")
    canvas.cover(np.clip((0.8 - away) * canvas.size * 0.13 + 0.5, 0, 1) * 0.35, (255, 246, 230))


def draw_street(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw house fronts, a pavement and a road."""
    _day_sky(canvas, rng)
    edges = np.concatenate([[-0.02], np.arange(1, 4) / 4 + 0.12 * (rng.random(3) - 0.5), [1.02]])
    roofs, paints = canvas.horizon * (0.15 + 0.4 * rng.random(4)), rng.permutation(len(FRONTS))
    for left, right, roof, paint in zip(edges[:-1], edges[1:], roofs, paints, strict=False):
        front = canvas.below(roof) * canvas.beside(left, right)
        canvas.cover(front, FRONTS[paint], "building-other")
        step = (right - left) / 3
        for column in (left + step * 0.65, left + step * 1.75):
            window = canvas.beside(column, column + step * 0.6) * canvas.below(roof + 0.06)
            canvas.cover(window * (1 - canvas.below(roof + 0.15)) * 0.6, (90, 110, 140))
    canvas.cover(canvas.below(canvas.horizon), (198, 192, 186), "pavement")
    kerb = canvas.horizon + 0.09
    canvas.cover(canvas.below(kerb), canvas.gradient((118, 120, 128), (92, 94, 104), top=kerb), "road")
    dashes = np.clip((np.sin(18 * canvas.x + 6.3 * rng.random()) * 0.05) * canvas.size + 0.5, 0, 1)
    middle = kerb + 0.45 * (1 - kerb)
    canvas.cover(dashes[None] * (canvas.below(middle) - canvas.below(middle + 0.035)) * 0.8, (236, 226, 190))


def draw_table(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    """Draw a laid table in front of a wall."""
    wall = WALLS[rng.integers(len(WALLS))]
    canvas.fill(
        canvas.gradient(np.multiply(wall, 0.8), np.multiply(wall, 0.92), bottom=canvas.horizon), "wall-other"
    )
    canvas.blobs(rng, 3, [(26, 24, 16)], (0, canvas.horizon), (0.12, 0.3), 1.0)
    cloth = CLOTHS[rng.integers(len(CLOTHS))]
    table = canvas.below(canvas.horizon)
    canvas.cover(table, canvas.gradient(np.multiply(cloth, 0.9), cloth, top=canvas.horizon), "table")
    depth = np.maximum(canvas.y - canvas.horizon, 0)[:, None] + 0.4
    columns, rows = np.sin((canvas.x[None] - 0.5) / depth * 13), np.sin(16 * np.log(depth))
    checks = table * (np.clip(3 * columns, -1, 1) + np.clip(3 * rows, -1, 1))
    canvas.image += checks[..., None] * (0.07 * (255 - np.array(cloth, np.float32)) + 3)
    canvas.cover(table * (1 - canvas.below(canvas.horizon + 0.025)) * 0.4, (90, 60, 40))


WALLS = ((236, 214, 178), (190, 214, 206), (204, 200, 226), (232, 196, 184), (196, 212, 232))
RUGS = ((178, 74, 70), (70, 104, 150), (92, 132, 96), (146, 98, 150))
FRONTS = ((206, 140, 116), (222, 190, 140), (150, 168, 180), (188, 158, 170), (160, 176, 140))
CLOTHS = ((228, 140, 128), (240, 214, 140), (150, 196, 150), (150, 184, 222))


@dataclass(frozen=True)
class Background:
    """A kind of background: its words in captions, the range of its horizon, and the function to draw it."""

    phrase: str
    horizon: tuple[float, float]
    draw: Callable[[SceneCanvas, np.random.Generator], None]


PLACES: dict[str, Background] = {
    "grass": Background("on grass", (0.28, 0.5), draw_grass),
    "beach": Background("on the beach", (0.36, 0.52), draw_beach),
    "snow": Background("in the snow", (0.3, 0.5), draw_snow),
    "night": Background("at night", (0.4, 0.62), draw_night),
    "forest": Background("in a forest", (0.36, 0.52), draw_forest),
    "room": Background("in a room", (0.34, 0.52), draw_room),
    "street": Background("on a street", (0.36, 0.5), draw_street),
    "table": Background("on a table", (0.28, 0.46), draw_table),
}
BACKGROUNDS = tuple(PLACES)
"""The names of all backgrounds."""


def draw_background(name: str, horizon: float, size: int, rng: np.random.Generator) -> SceneCanvas:
    """Draw one background. The generator decides its details, which are the same at every size."""
    canvas = SceneCanvas(size, horizon)
    PLACES[name].draw(canvas, rng)
    return canvas


def _span(line: np.ndarray) -> slice:
    """The slice from the first to the last place where a line is not 0."""
    where = np.flatnonzero(line)
    return slice(int(where[0]), int(where[-1]) + 1) if len(where) else slice(0, 0)


def _day_sky(canvas: SceneCanvas, rng: np.random.Generator) -> None:
    deep = SKIES[rng.integers(len(SKIES))]
    canvas.fill(canvas.gradient(deep, (226, 240, 248), bottom=canvas.horizon), "sky-other")
    canvas.blobs(rng, 4, [(60, 50, 36), (40, 34, 26)], (0.03, canvas.horizon * 0.7), (0.07, 0.17), 0.35)


SKIES = ((108, 176, 232), (132, 194, 236), (96, 160, 214), (240, 190, 160))
