"""A newcomer at ComfyUI's page: opens an example, presses Run, and looks at what it saves."""

from __future__ import annotations

from finesse.demo.page_workflows import FOLDER

ENDED = """() => {
    window.ended = new Promise(resolve => {
        const listen = (event, said) => app.api.addEventListener(event, said, {once: true})
        listen('execution_success', () => resolve(null))
        listen('execution_error', ({detail}) => resolve(detail.exception_message))
        listen('execution_interrupted', () => resolve('interrupted'))
    })
}"""
# In these, NODE is the first node with this title or of this type, AT a point of the graph.
LOOK_AT = """async ([name, scale, left, top]) => {
    const { ds } = app.canvas
    const { pos } = NODE
    ds.scale = scale
    ds.offset = [left / scale - pos[0], top / scale - pos[1]]
    app.canvas.setDirty(true, true)
    await new Promise(done => setTimeout(done, 300))
}"""
SAVED = "name => app.nodeOutputs[NODE.id].images.map(image => '/view?' + new URLSearchParams(image))"
ON_SCREEN = """([name, of, isOutput]) => {
    const { ds, canvas } = app.canvas
    const node = NODE
    const { left, top } = canvas.getBoundingClientRect()
    const [x, y] = AT
    return [left + (x + ds.offset[0]) * ds.scale, top + (y + ds.offset[1]) * ds.scale]
}"""
SLOT = """node.getConnectionPos(!isOutput,
    (isOutput ? node.outputs : node.inputs).findIndex(slot => slot.name === of))"""
ARROW = """[node.pos[0] + node.size[0] - 25,
    node.pos[1] + node.widgets.find(widget => widget.name === of).last_y + 10]"""
FIND = "app.graph.nodes.find(node => node.title === name || node.type === name)"


def open_example(page, name):
    """Open an example from the Workflows panel."""
    panel = page.get_by_role("button", name="Workflows (w)")
    panel.click()
    page.get_by_role("treeitem", name=FOLDER, exact=True).click()
    page.get_by_role("treeitem", name=name, exact=True).click()
    page.wait_for_function("name => app.extensionManager.workflow.activeWorkflow.filename === name", arg=name)
    panel.click()


def look_at(page, name, scale=1, left=300, top=100):
    """Show a node at a scale, its corner at this place of the window."""
    page.evaluate(LOOK_AT.replace("NODE", FIND), [name, scale, left, top])


def run(page):
    """Press Run and wait; why it failed, None if it did not."""
    start(page)
    why = page.evaluate("window.ended")
    page.wait_for_timeout(50)
    return why


def start(page):
    page.evaluate(ENDED)
    page.get_by_role("button", name="Run", exact=True).first.click()


def saved(page, client, pixels, name):
    """What the node with this title has saved, uint8 RGB each."""
    files = page.evaluate(SAVED.replace("NODE", FIND), name)
    return [pixels(client.get(file))[..., :3] for file in files]


def slot(page, name, of, is_output=False):
    """Where a node's input or output is on the screen."""
    return page.evaluate(ON_SCREEN.replace("AT", SLOT).replace("NODE", FIND), [name, of, is_output])


def arrow(page, name, of):
    """Where the arrow is, in the classic renderer, that raises a widget's number."""
    return page.evaluate(ON_SCREEN.replace("AT", ARROW).replace("NODE", FIND), [name, of, False])


def drag(page, start, end):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=5)
    page.mouse.up()
