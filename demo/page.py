"""Writes one HTML page that shows what the demo made. It needs no network."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template

STORIES = """  <h2>Maps before the picture</h2>
  <p class="soft">A factor of FG-DM draws segmentation maps of a prompt with many objects, ten seeds of
  them; a ControlNet turns the one that shows most of the objects into the picture. Maps can be edited
  and chained on the way. Seeds are picked only by recall.</p>"""
Rectangle = tuple[int, int, int, int]  # x, y, width, height in pixels

TEMPLATE = Path(__file__).with_name("page.html")


@dataclass
class EditedPicture:
    """One edited picture. The file names lie beside the page.

    size: width and height of the picture. boxes: where it was edited. outside: number of pixels outside the
    edited region; changed: how many of those differ from the input (none, or the claim is broken).
    """

    title: str
    note: str
    texts: list[str]
    before: str
    after: str
    zoom_before: str
    zoom_after: str
    size: tuple[int, int]
    boxes: list[Rectangle]
    seconds: float
    steps: int
    outside: int
    changed: int
    report: str = ""


@dataclass
class Comparison:
    """One edit done in several ways, side by side in one picture, with the box enlarged below each."""

    text: str
    picture: str
    seconds: float


@dataclass
class Drawing:
    """Pictures drawn from one prompt alone."""

    text: str
    pictures: list[str]
    seconds: float


@dataclass
class Story:
    """A workflow and the pictures that it saved, (file, caption) in their order."""

    title: str
    note: str
    texts: list[str]
    pictures: list[tuple[str, str]]
    seconds: float


@dataclass
class Sheet:
    """All that the page shows, with a list of facts (name, value) at its end."""

    edits: list[EditedPicture] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    stories: list[Story] = field(default_factory=list)
    drawings: list[Drawing] = field(default_factory=list)
    facts: list[tuple[str, str]] = field(default_factory=list)


def write(sheet: Sheet, folder: Path) -> Path:
    """Write index.html into `folder`, where the pictures are."""
    page = Template(TEMPLATE.read_text("utf-8")).substitute(
        verdict=_verdict(sheet.edits),
        edits="\n".join(map(_edit, sheet.edits)),
        comparisons="\n".join(map(_comparison, sheet.comparisons)),
        stories="\n".join([STORIES, *map(_story, sheet.stories)] if sheet.stories else []),
        drawings="\n".join(map(_drawing, sheet.drawings)),
        facts="\n".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in sheet.facts),
    )
    path = folder / "index.html"
    path.write_text(page, "utf-8")
    return path


def _verdict(edits: list[EditedPicture]) -> str:
    outside, changed = sum(edit.outside for edit in edits), sum(edit.changed for edit in edits)
    if changed:
        return (
            f'<b class="bad">{changed:,} of {outside:,} pixels outside the boxes changed. That is a bug.</b>'
        )
    return f'<b class="good">All {outside:,} pixels outside the boxes are identical to the input.</b>'


def _edit(edit: EditedPicture) -> str:
    mark = "good" if edit.changed == 0 else "bad"
    same = f"{edit.outside - edit.changed:,} of {edit.outside:,} pixels outside identical"
    sizes = ", ".join(sorted({f"{width}×{height}" for _, _, width, height in edit.boxes}))
    return f"""<article>
  <header><h3>{escape(edit.title)}</h3><p>{escape(edit.note)}</p></header>
  <p class="prompt">{"".join(f"<q>{escape(text)}</q>" for text in edit.texts)}</p>
  <div class="strip" style="--wide:{edit.size[0] / edit.size[1]:.3f}fr">
    {_picture(edit.before, "input, box marked", edit.size, edit.boxes)}
    {_picture(edit.after, "result", edit.size)}
    {_picture(edit.zoom_before, "before, around the box")}
    {_picture(edit.zoom_after, "after, around the box")}
  </div>
  <ul class="facts">
    <li class="{mark}">{same}</li>
    <li>box {sizes} px of {edit.size[0]}×{edit.size[1]}</li>
    <li>{edit.steps} steps in {edit.seconds:.1f} s</li>
  </ul>
  <details><summary>What the node says about the box</summary><pre>{escape(edit.report)}</pre></details>
</article>"""


def _picture(
    file: str, caption: str, size: tuple[int, int] = (1, 1), boxes: list[Rectangle] | None = None
) -> str:
    width, height = size
    marks = "".join(
        f'<i style="left:{100 * x / width:.3f}%;top:{100 * y / height:.3f}%;'
        f'width:{100 * w / width:.3f}%;height:{100 * h / height:.3f}%"></i>'
        for x, y, w, h in boxes or []
    )
    image = f'<img src="{escape(file)}" alt="{escape(caption)}">'
    return f"<figure><div>{image}{marks}</div><figcaption>{escape(caption)}</figcaption></figure>"


def _comparison(comparison: Comparison) -> str:
    image = f'<img src="{escape(comparison.picture)}" alt="{escape(comparison.text)}">'
    return (
        f"<figure><div>{image}</div>"
        f"<figcaption><q>{escape(comparison.text)}</q> {comparison.seconds:.1f} s</figcaption></figure>"
    )


def _story(story: Story) -> str:
    pictures = "".join(_picture(file, caption) for file, caption in story.pictures)
    return f"""<article>
  <header><h3>{escape(story.title)}</h3><p>{escape(story.note)}</p></header>
  <p class="prompt">{"".join(f"<q>{escape(text)}</q>" for text in story.texts)}</p>
  <div class="story">{pictures}</div>
  <ul class="facts"><li>{story.seconds:.1f} s</li></ul>
</article>"""


def _drawing(drawing: Drawing) -> str:
    images = "".join(f'<img src="{escape(file)}" alt="{escape(drawing.text)}">' for file in drawing.pictures)
    return (
        f'<figure class="drawing"><div>{images}</div>'
        f"<figcaption><q>{escape(drawing.text)}</q> {drawing.seconds:.1f} s</figcaption></figure>"
    )
