"""The pictures beside the example workflows of today's models, whose weights are not here.

Each tells its model and shows the miniature doing the same job, and says so.
"""

from __future__ import annotations

import textwrap

from PIL import Image, ImageDraw, ImageFont

from .family_notes import EDIT, HOW
from .graph_builder import Graph
from .workflows import EXAMPLES

SIZE = 768, 384
SIDE = 256  # of each of the two pictures
PAPER, INK, SOFT = "#1f2430", "#f2f2f2", "#9aa4b8"
MARGIN, LETTERS = 24, 22  # pixels, and letters a line beside the pictures
SHOWN = {True: "recolour_with_so_lora", False: "draw_small_object"}  # by whether it is an edit model's
CAPTION = "Shown: the same job by this pack's small test model."


def picture_of(graph: Graph) -> Image.Image:
    """The picture beside a graph."""
    is_edit = graph.name.startswith(EDIT)
    picture = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(picture)
    job = "changes what is in a small box" if is_edit else "draws in a small box"
    draw.text((MARGIN, 20), graph.label, INK, ImageFont.load_default(34))
    draw.text((MARGIN, 62), job, SOFT, ImageFont.load_default(20))
    with Image.open(EXAMPLES / f"{SHOWN[is_edit]}.jpg") as pair:
        half = pair.width // 2
        for number in range(2):
            part = pair.crop((number * half, 0, (number + 1) * half, pair.height))
            left = MARGIN + number * (SIDE + MARGIN)
            picture.paste(part.resize((SIDE, SIDE), Image.Resampling.LANCZOS), (left, 96))
    words = ImageFont.load_default(16)
    told = textwrap.fill(HOW[graph.name].replace("*", ""), LETTERS)
    draw.multiline_text((2 * (SIDE + MARGIN) + MARGIN, 96), told, INK, words, spacing=8)
    draw.text((MARGIN, SIZE[1] - 26), CAPTION, SOFT, words)
    return picture
