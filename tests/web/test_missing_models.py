"""What ComfyUI's page tells of a model file that is not there."""

from __future__ import annotations

import pytest
from finesse.demo.family_graphs import graphs
from finesse.demo.workflows import examples
from finesse.tests.web.pages import in_nodes_2
from playwright.sync_api import expect

RUN = """async () => {
    app.graph.clear()
    const [load, shown] = ["FinesseLoadFactor", "PreviewAny"].map(type => {
        const node = LiteGraph.createNode(type)
        app.graph.add(node)
        return node
    })
    load.widgets[0].value = "absent.safetensors"
    load.connect(1, shown, 0)
    await app.queuePrompt(0, 1)
}"""


@in_nodes_2
def test_the_page_tells_which_file_is_missing_and_where_it_goes(page):
    page.evaluate(RUN)
    page.get_by_role("button", name="View details").click()
    page.get_by_role("button", name="Info for Load Factor - factor").click()

    told = page.get_by_text("'absent.safetensors' is not in").last
    expect(told).to_contain_text("/models/finesse_factors (found there: ")
    expect(told).to_contain_text("python -m finesse.training.factor")


DOWNLOADED = [*graphs(), "draw_small_object", "edit_map_and_regenerate"]
FORGET_FILES = "() => app.refreshComboInNodes()"
# Where the page would send the browser.
CATCH = """() => {
    window.sent = []
    window.click = HTMLAnchorElement.prototype.click
    HTMLAnchorElement.prototype.click = function () { window.sent.push(this.href) }
}"""
KINDS = "all => all.map(each => each.dataset.testid)"
RELEASE = "() => { HTMLAnchorElement.prototype.click = window.click; return window.sent }"


def files_of(workflow):
    """The model files that a workflow says where to find: folder/name -> address."""
    models = (model for node in workflow["nodes"] for model in node["properties"].get("models", []))
    return {f"{model['directory']}/{model['name']}": model["url"] for model in models if "url" in model}


@pytest.fixture
def without_files(page, opened):
    """Takes a workflow's files away for the while."""
    moved = []

    def take(workflow):
        for name in files_of(workflow):
            file = opened.server.folder / "models" / name
            moved.append((file.rename(file.with_name(f"{file.name}.away")), file))
        page.evaluate(FORGET_FILES)

    yield take
    for away, file in moved:
        away.rename(file)
    page.evaluate(FORGET_FILES)


@in_nodes_2
@pytest.mark.parametrize("name", DOWNLOADED)
def test_the_page_offers_to_download_what_an_example_needs_and_complains_of_nothing_else(
    name, page, without_files
):
    workflow = examples()[name]
    without_files(workflow)
    page.evaluate("workflow => app.loadGraphData(workflow)", workflow)
    page.get_by_role("button", name="View details").click()
    page.get_by_test_id("missing-model-download").first.wait_for()
    shown = page.locator("[data-testid^=error-group-]").evaluate_all(
        "all => all.map(each => each.dataset.testid)"
    )
    assert {kind for kind in shown if "message" not in kind} == {"error-group-missing-model"}

    page.evaluate(CATCH)
    for button in page.get_by_test_id("missing-model-download").all():
        button.click()
    assert sorted(page.evaluate(RELEASE)) == sorted(files_of(workflow).values())
