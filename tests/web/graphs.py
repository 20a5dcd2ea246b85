"""Small graphs that the tests build and run in ComfyUI's page."""

from __future__ import annotations

HISTORY = "app.extensionManager.workflow.activeWorkflow.changeTracker"
# Nodes as [type, position, values of its widgets], each linked to the first input of the next.
BUILD = f"""async nodes => {{
    await app.loadGraphData({{version: 0.4, nodes: [], links: []}})
    const made = nodes.map(([type, position, values]) => {{
        const node = LiteGraph.createNode(type)
        node.pos = position
        app.graph.add(node)
        for (const widget of node.widgets ?? []) if (widget.name in values) widget.value = values[widget.name]
        return node
    }})
    made.slice(1).forEach((node, place) => made[place].connect(0, node, 0))
    {HISTORY}.captureCanvasState()
}}"""
# Gives null, or why it failed.
RUN = """async () => {
    const ended = new Promise(resolve => {
        const listen = (event, said) => app.api.addEventListener(event, said, {once: true})
        listen('execution_success', () => resolve(null))
        listen('execution_error', ({detail}) => resolve(detail.exception_message))
    })
    await app.queuePrompt(0, 1)
    return await ended
}"""
