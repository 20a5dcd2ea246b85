"""The demo, in few steps."""

from __future__ import annotations

import re

import pytest
from finesse.demo.family_graphs import other_examples
from finesse.demo.page import write
from finesse.demo.run import COMPARISON, PHOTO_EXAMPLE, PHOTOS, STORIES, Demo

ASKS_OF_MAPS = {"FinesseEditMap", "FinesseMapToMasks"}  # nodes that look for objects in a map


class ShortDemo(Demo):
    """Takes two steps where the pictures do not matter. Of one, core's Plot Loss Graph divides by zero."""

    def run(self, title, prompt):
        if not ASKS_OF_MAPS & {node["class_type"] for node in prompt.values()}:
            for node in prompt.values():
                if "steps" in node["inputs"]:
                    node["inputs"]["steps"] = 2
        return super().run(title, prompt)


@pytest.fixture(scope="module")
def demo(server, tmp_path_factory):
    connection = server.client()
    made = ShortDemo(connection, tmp_path_factory.mktemp("demo"), tmp_path_factory.mktemp("thumbnails"))
    workflows = other_examples()
    for name, workflow in workflows.items():
        if name in STORIES:
            made.story(name, workflow)
        elif name != COMPARISON:
            made.example(name, workflow)
    made.comparison("a red car", workflows[COMPARISON])
    for photo in PHOTOS:
        made.photo(photo, workflows[PHOTO_EXAMPLE])
    made.drawing("a red car on grass")
    yield made
    connection.close()


def test_nothing_outside_the_boxes_changes(demo):
    assert len(demo.sheet.edits) == len(other_examples()) - len(STORIES) - 1 + len(PHOTOS)
    for edit in demo.sheet.edits:
        assert edit.outside > 0.4 * edit.size[0] * edit.size[1], edit.title
        assert edit.changed == 0, edit.title
        assert edit.report, edit.title


def test_every_box_is_edited(demo):
    for edit in demo.sheet.edits:
        before, after = ((demo.folder / name).read_bytes() for name in (edit.zoom_before, edit.zoom_after))
        assert before != after, edit.title


def test_a_story_shows_what_its_workflow_saved(demo):
    assert len(demo.sheet.stories) == len(STORIES)
    for story in demo.sheet.stories:
        assert len(story.pictures) >= 2, story.title
        assert all((demo.folder / file).is_file() for file, _ in story.pictures), story.title


def test_every_example_gets_a_thumbnail(demo):
    shown = {path.stem for path in demo.thumbnails.iterdir()}
    assert shown == set(other_examples())


def test_the_contact_sheet_stands_alone(demo):
    page = write(demo.sheet, demo.folder).read_text("utf-8")
    files = re.findall(r'src="([^"]+)"', page)

    told = sum(len(story.pictures) for story in demo.sheet.stories)
    assert len(files) == 4 * len(demo.sheet.edits) + 1 + told + 2
    assert all((demo.folder / file).exists() for file in files)
    assert "//" not in re.sub(r"</?\w", "", page)
    assert "identical to the input" in page
