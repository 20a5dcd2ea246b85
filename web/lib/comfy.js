// @ts-check
// Access to ComfyUI's page. Only this file imports its scripts. web/ is served at /extensions/<pack folder>/.

// @ts-ignore
import { api } from "../../../scripts/api.js"
// @ts-ignore
import { app } from "../../../scripts/app.js"

export { api, app }

/**
 * The key of a node in `app.nodeOutputs`: its id, with the subgraph's id before it if the node is in one.
 * @param {any} node
 * @returns {string | null} null while the node is in no graph
 */
export function locatorOf(node) {
  if (!node.graph) return null
  return node.graph.isRootGraph === false ? `${node.graph.id}:${node.id}` : String(node.id)
}

/**
 * What a node's last run sent to the page: the `ui` of its output, with a list for each key.
 * @param {any} node
 * @returns {Record<string, any>} empty before the first run
 */
export function outputsOf(node) {
  const locator = locatorOf(node)
  return (locator && app.nodeOutputs?.[locator]) || {}
}

/**
 * The address of a picture on the server.
 * @param {{filename: string, subfolder?: string, type?: string}} file
 * @returns {string}
 */
export function viewUrl({ filename, subfolder = "", type = "output" }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`)
}

/** Add the present state of the graph to the undo history, if it has changed. */
export function recordUndoStep() {
  const tracker = app.extensionManager?.workflow?.activeWorkflow?.changeTracker
  if (tracker?.captureCanvasState) tracker.captureCanvasState()
  else tracker?.checkState?.()
}

/**
 * Call `after` each time after `target[name]` is called, with the same arguments.
 * @param {any} target
 * @param {string} name
 * @param {(...args: any[]) => void} after
 */
export function chain(target, name, after) {
  const before = target[name]
  target[name] = function (/** @type {any[]} */ ...args) {
    const result = before?.apply(this, args)
    after.apply(this, args)
    return result
  }
}
