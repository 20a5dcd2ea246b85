"""Draw the sprite atlas from Noto Color Emoji: `python -m finesse.miniature.world.make_atlas`.

Only this script needs the font (Debian: `fonts-noto-color-emoji`); the world itself reads the atlas.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from ...training.loop.config import option, parse, script
from .things import KINDS

CELL = 96
COLUMNS = 12
STRIKE = 109  # the only size of the font's bitmaps
FONT = Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf")
FOLDER = Path(__file__).with_name("atlas")

JOINER = "\u200d"
SIGNS = {"man": "\N{MALE SIGN}", "woman": "\N{FEMALE SIGN}"}
TONES = {"light": "\U0001f3fb", "medium": "\U0001f3fd", "dark": "\U0001f3ff"}
POSES = {
    "standing": "\N{STANDING PERSON}",
    "walking": "\N{PEDESTRIAN}",
    "running": "\N{RUNNER}",
    "kneeling": "\N{KNEELING PERSON}",
    "sitting": "\N{PERSON IN LOTUS POSITION}",
}
DANCERS = {"man": "\N{MAN DANCING}", "woman": "\N{DANCER}"}


@dataclass
class Arguments:
    """What to draw the sprites from."""

    font: str = option(str(FONT), "the font's file")


def glyphs() -> list[dict[str, str]]:
    """All sprites to draw, each with name and emoji, and for people also action and variant."""
    sprites = [{"name": kind.name, "emoji": kind.emoji} for kind in KINDS.values() if kind.name != "person"]
    for sex, sign in SIGNS.items():
        for tone, modifier in TONES.items():
            people = {action: pose + modifier + JOINER + sign for action, pose in POSES.items()}
            people["dancing"] = DANCERS[sex] + modifier
            for action, emoji in people.items():
                sprites.append(
                    {"name": "person", "emoji": emoji, "action": action, "variant": f"{tone} {sex}"}
                )
    return sprites


def draw_glyph(emoji: str, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Draw one emoji, cropped to its visible pixels and fitted into CELL x CELL.

    Raises ValueError if the font has no single bitmap for it.
    """
    canvas = Image.new("RGBA", (4 * STRIKE, 2 * STRIKE))
    ImageDraw.Draw(canvas).text((STRIKE // 2, STRIKE // 4), emoji, font=font, embedded_color=True)
    box = canvas.getchannel("A").point(lambda a: 255 * (a > 24)).getbbox()
    if box is None or box[2] - box[0] > 1.4 * STRIKE:
        raise ValueError(f"font: no single glyph for {emoji!r}; use a newer Noto Color Emoji with bitmaps")
    glyph = canvas.crop(box).convert("RGBa")
    scale = CELL / max(glyph.size)
    size = tuple(max(1, round(side * scale)) for side in glyph.size)
    return glyph.resize(size, Image.Resampling.LANCZOS).convert("RGBA")


def make_atlas(font_file: Path, folder: Path) -> None:
    """Write atlas.png and atlas.json (a list of sprites, each with its `rect` x, y, width, height)."""
    font = ImageFont.truetype(str(font_file), STRIKE, layout_engine=ImageFont.Layout.RAQM)
    sprites = glyphs()
    rows = -(-len(sprites) // COLUMNS)
    sheet = Image.new("RGBA", (COLUMNS * CELL, rows * CELL))
    entries = []
    for i, sprite in enumerate(sprites):
        glyph = draw_glyph(sprite["emoji"], font)
        x, y = i % COLUMNS * CELL, i // COLUMNS * CELL
        sheet.paste(glyph, (x, y))
        entries.append({**sprite, "rect": [x, y, *glyph.size]})
    folder.mkdir(exist_ok=True)
    sheet.save(folder / "atlas.png", optimize=True)
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (folder / "atlas.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def main() -> None:
    (arguments,) = parse([Arguments], {})
    make_atlas(Path(arguments.font), FOLDER)


if __name__ == "__main__":
    script(main)
