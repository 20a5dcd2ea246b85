"""What ComfyUI's page tells of a model file that is not there."""

from __future__ import annotations

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
