"""Draws ranked maps in one picture, the best first, with what each shows and lacks."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import islice

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ...core.maps.recall import Candidate

Rgb = tuple[int, int, int]

MOST_SHOWN = 100  # maps; each takes a megabyte in the picture, and nobody looks at thousands
SMALLEST, LARGEST = 200, 400  # a map's longer side on the sheet, in pixels; the longest seed fits in 200
WIDE = 1.8  # columns for each row, so that the sheet is wider than high
GAP, FRAME, PAD = 16, 4, 6
FONT_SIZE, LINE = 14, 19

BACKGROUND: Rgb = (24, 24, 27)
TEXT: Rgb = (236, 236, 236)
FAINT: Rgb = (160, 160, 166)
MISSING: Rgb = (255, 146, 120)
COMPLETE: Rgb = (130, 214, 140)
CHOSEN: Rgb = (255, 205, 80)

Line = tuple[str, Rgb]


def contact_sheet(
    maps: np.ndarray,
    candidates: Sequence[Candidate],
    legend: dict[str, Rgb],
    chosen: Collection[int],
    seeded: bool = True,
    pinned: int | None = None,
) -> np.ndarray:
    """Draw one picture, uint8 RGB (height, width, 3), of the maps (N, H, W, 3) in the candidates' order.

    If there are more than MOST_SHOWN maps, it shows the best and the pinned one, and says so.

    legend: the wanted objects and the colours they are painted in. chosen: the indices of the maps that are
    framed. seeded: whether maps are known by their seeds, else by indices. pinned: the index of the map that
    the user pinned. Maps are enlarged by whole factors, and large ones thinned out, so that each keeps its
    own colours.
    """
    ranks = _shown(candidates, pinned)
    tiles = [scaled(maps[candidate.index], SMALLEST, LARGEST) for candidate in ranks.values()]
    height, width = tiles[0].shape[:2]
    cell = max(width, SMALLEST)
    columns = _columns(len(tiles), height / cell)
    sheet_width = GAP + columns * (cell + GAP)
    captions = [_caption(rank, c, seeded, c.index == pinned, cell) for rank, c in ranks.items()]
    note = f"{len(ranks)} of {len(candidates)} maps" if len(ranks) < len(candidates) else ""
    legend_lines = _legend_lines(legend, sheet_width - 2 * GAP)
    tops = [GAP + len(legend_lines) * LINE + PAD]
    for row in range(0, len(tiles), columns):
        tops.append(tops[-1] + GAP + height + PAD + LINE * max(map(len, captions[row : row + columns])))

    end = tops[-1] + (GAP + LINE if note else 0)
    sheet = Image.new("RGB", (sheet_width, end + GAP), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for number, line in enumerate(legend_lines):
        _draw_legend(draw, GAP, GAP + number * LINE, line)
    for number, (candidate, tile, caption) in enumerate(zip(ranks.values(), tiles, captions, strict=True)):
        left, top = GAP + number % columns * (cell + GAP), tops[number // columns] + PAD
        x = left + (cell - width) // 2
        if candidate.index in chosen:
            frame = (x - FRAME, top - FRAME, x + width + FRAME - 1, top + height + FRAME - 1)
            draw.rectangle(frame, outline=CHOSEN, width=FRAME)
        sheet.paste(Image.fromarray(tile), (x, top))
        for place, (text, colour) in enumerate(caption):
            draw.text((left, top + height + PAD + place * LINE), text, colour, _font())
    draw.text((GAP, end - LINE), note, FAINT, _font())
    return np.array(sheet)


def scaled(image: np.ndarray, smallest: int, largest: int) -> np.ndarray:
    """Enlarge or thin out a map (H, W, 3) until its longer side is about `smallest` to `largest` pixels.

    Every pixel is one of the map's own.
    """
    side = max(image.shape[:2])
    factor, step = -(-smallest // side), -(-side // largest)
    return np.ascontiguousarray(image.repeat(factor, 0).repeat(factor, 1)[::step, ::step])


def _shown(candidates: Sequence[Candidate], pinned: int | None) -> dict[int, Candidate]:
    """Map ranks, from 1, to the candidates to show: the best, with the pinned one in place of the last."""
    ranks = dict(enumerate(candidates, 1))
    shown = dict(islice(ranks.items(), MOST_SHOWN))
    for rank, candidate in ranks.items():
        if candidate.index == pinned and rank not in shown:
            shown.popitem()
            shown[rank] = candidate
    return shown


def _columns(count: int, shape: float) -> int:
    """Columns for `count` tiles, `shape` times as high as wide, that fill the rows about equally."""
    widest = min(count, math.ceil(math.sqrt(WIDE * count * shape)))
    return math.ceil(count / math.ceil(count / widest))


def _caption(rank: int, candidate: Candidate, seeded: bool, pinned: bool, width: int) -> list[Line]:
    wanted = len(candidate.found) + len(candidate.missing)
    name = f"seed {candidate.seed}" if seeded else f"index {candidate.index}"
    score = f"{rank}.  recall {candidate.recall:.0%}  ({len(candidate.found)} of {wanted})"
    lines: list[Line] = [(score, TEXT), (name, FAINT)]
    if pinned:
        lines.append(("pinned", CHOSEN))
    if not candidate.missing:
        return [*lines, ("all found", COMPLETE)]
    words = [f"{label}," for label in candidate.missing[:-1]] + [candidate.missing[-1]]
    return lines + [(line, MISSING) for line in _wrapped(["missing:", *words], width)]


def _wrapped(words: Sequence[str], width: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _font().getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(_shortened(word, width))
    return lines


def _shortened(text: str, width: int) -> str:
    if _font().getlength(text) <= width:
        return text
    while text and _font().getlength(f"{text}...") > width:
        text = text[:-1]
    return f"{text}..."


def _legend_lines(legend: dict[str, Rgb], width: int) -> list[list[tuple[int, str, Rgb]]]:
    """Break the legend into lines: each holds objects with their distance from the left."""
    lines: list[list[tuple[int, str, Rgb]]] = []
    end = width
    for label, colour in legend.items():
        text = _shortened(label, width - LINE)
        length = LINE + math.ceil(_font().getlength(text))
        if not lines or end + length > width:
            lines.append([])
            end = 0
        lines[-1].append((end, text, colour))
        end += length + GAP
    return lines


def _draw_legend(draw: ImageDraw.ImageDraw, x: int, y: int, line: list[tuple[int, str, Rgb]]) -> None:
    for start, text, colour in line:
        draw.rectangle((x + start, y + 3, x + start + 12, y + 15), fill=colour, outline=FAINT)
        draw.text((x + start + LINE, y), text, TEXT, _font())


@lru_cache(maxsize=1)
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(FONT_SIZE)
