"""*Composite Box* bypassed in ComfyUI's page, and workflows saved with its inputs in the older order."""

from __future__ import annotations

import copy

import pytest
from finesse.core.files import read_json
from finesse.demo.page_workflows import FOLDER, PANEL
from finesse.demo.prompts import of_type
from finesse.demo.workflows import BYPASSED, to_api
from finesse.tests.web.test_examples import OPEN


@pytest.fixture
def workflow(opened):
    """An edit in a small box, on the miniature."""
    return read_json(opened.server.folder / PANEL / FOLDER / "draw_small_object.json")


def composite_box(workflow):
    (node,) = (node for node in workflow["nodes"] if node["type"] == "FinesseCompositeBox")
    return node


def test_bypassed_it_hands_on_the_edit(page, client, pixels, workflow, object_info):
    composite_box(workflow)["mode"] = BYPASSED
    prompt = page.evaluate(OPEN, workflow)
    assert prompt == to_api(workflow, object_info)
    (save,) = of_type(prompt, "SaveImage")
    assert prompt[save["inputs"]["images"][0]]["class_type"] == "VAEDecode"

    for sampler in of_type(prompt, "KSampler"):
        sampler["inputs"]["steps"] = 2
    outputs = client.run(prompt)
    (shown,) = (pixels(png) for pngs in client.images(outputs).values() for png in pngs)
    (load,) = of_type(prompt, "LoadImage")
    original = pixels(client.get(f"/view?filename={load['inputs']['image']}&type=input"))[..., :3]
    assert (shown != original).any()


def test_a_workflow_of_the_older_order_means_the_same(page, workflow):
    older = copy.deepcopy(workflow)
    inputs = composite_box(older)["inputs"]
    assert [each["name"] for each in inputs[:2]] == ["edited", "original"]
    inputs[:2] = inputs[1::-1]
    for link in older["links"]:
        if link[0] in [each["link"] for each in inputs[:2]]:
            link[4] = 1 - link[4]
    assert page.evaluate(OPEN, older) == page.evaluate(OPEN, workflow)
