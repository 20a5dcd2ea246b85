// @ts-check
// Restores what the pack's nodes sent in a workflow's last run: a reload of the page loses it, the server keeps it.

import { api, app, locatorOf, outputsOf } from "./comfy.js"
import { allNodes, executionIdOf } from "./upstream.js"

const RUNS = 10 // how many of the last runs are searched

export const lastRun = {
  name: "Finesse.LastRun",
  afterConfigureGraph: recall,
}

async function recall() {
  const silent = () =>
    allNodes().filter((node) => hasEditor(node) && !Object.keys(told(outputsOf(node))).length)
  if (!silent().length) return
  const workflow = app.rootGraph.id
  const answer = await api.fetchApi(`/history?max_items=${RUNS}`)
  if (!answer.ok || app.rootGraph.id !== workflow) return
  const runs = Object.values(await answer.json()).reverse() // the newest first
  const own = runs.filter(({ prompt }) => prompt[3].extra_pnginfo?.workflow?.id === workflow)
  for (const node of silent()) {
    const id = executionIdOf(node)
    const run = own.find(({ prompt, outputs }) => prompt[2][id]?.class_type === node.type && outputs[id])
    const locator = /** @type {string} */ (locatorOf(node))
    if (run) app.nodeOutputs[locator] = { ...outputsOf(node), ...told(run.outputs[id]) }
  }
}

/** Whether a node has one of the pack's own widgets. @param {any} node */
function hasEditor(node) {
  return node.widgets?.some((/** @type {any} */ widget) => String(widget.type).startsWith("FINESSE_"))
}

/** The part of a node's outputs that is for its widget. @param {Record<string, any>} outputs */
function told(outputs) {
  return Object.fromEntries(Object.entries(outputs).filter(([key]) => key.startsWith("finesse_")))
}
