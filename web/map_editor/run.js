// @ts-check
// Gets what *Edit Map* reports about its map: from its last run, or from a new run of it alone if that is out of date.

import { api, app, locatorOf, outputsOf } from "../lib/comfy.js"
import { executionIdOf } from "../lib/upstream.js"

export const NODE = "FinesseEditMap"
export const INPUT = "drawing"
const UI_KEY = "finesse_map"
const EVENT = "finesse.map" // sent before a stale drawing stops a run

/** The prompt of the last run of each Edit Map, by the node's key in `app.nodeOutputs`. @type {Map<string, string>} */
const prompts = new Map()

/** Start to listen to the server. Call it once. */
export function listen() {
  let running = ""
  api.addEventListener("execution_start", ({ detail }) => {
    running = detail.prompt_id
  })
  api.addEventListener("executed", ({ detail }) => {
    const node = detail.output?.[UI_KEY] && nodeOf(detail.display_node ?? detail.node)
    if (node) prompts.set(/** @type {string} */ (locatorOf(node)), detail.prompt_id)
  })
  api.addEventListener(EVENT, ({ detail }) => {
    const node = nodeOf(detail.node)
    if (!node) return
    const locator = /** @type {string} */ (locatorOf(node))
    app.nodeOutputs[locator] = { ...app.nodeOutputs[locator], [UI_KEY]: [detail] }
    prompts.set(locator, running)
  })
}

/**
 * @param {any} node
 * @returns {import("./drawing.js").Told | null} null before the first run
 */
export function toldBy(node) {
  return outputsOf(node)[UI_KEY]?.at(-1) ?? null
}

/**
 * What the node reports about its present map, from its last run or from a new one.
 * @param {any} node
 * @param {AbortSignal} signal stops the waiting
 * @returns {Promise<import("./drawing.js").Told>} rejected if the run fails
 */
export async function prepared(node, signal) {
  const prompt = await app.graphToPrompt()
  const id = executionIdOf(node)
  const own = prompt.output[id]
  if (!own) throw new Error("The node is bypassed or muted. Switch it on to edit its map.")
  const told = toldBy(node)
  if (told && (await isUpToDate(node, prompt.output, id)) && (await isThere(told))) return told
  own.inputs[INPUT] = {} // the editor needs the map without the drawing, and no error that it has changed
  await runAlone(prompt, id, signal)
  const found = toldBy(node)
  if (!found?.maps.length) throw new Error("The run gave no map. Look at the nodes before this one.")
  return found
}

/** @param {any} prompt of the page @param {string} id @param {AbortSignal} signal */
async function runAlone(prompt, id, signal) {
  /** @type {Map<string, string>} prompt -> its error, "" for none */
  const outcomes = new Map()
  const changed = new EventTarget()
  const record =
    (/** @type {string} */ outcome) =>
    (/** @type {any} */ { detail }) => {
      outcomes.set(detail.prompt_id, outcome || detail.exception_message || "")
      changed.dispatchEvent(new Event("change"))
    }
  const listeners = Object.entries({
    execution_success: record(""),
    execution_error: record(""),
    execution_interrupted: record("The run was interrupted."),
  })
  for (const [event, listener] of listeners) api.addEventListener(event, listener)
  try {
    const { prompt_id } = await api.queuePrompt(-1, prompt, { partialExecutionTargets: [id] })
    const cancel = () => {
      record("cancelled")({ detail: { prompt_id } })
      api.deleteItem("queue", prompt_id)
    }
    signal.addEventListener("abort", cancel, { once: true })
    while (!outcomes.has(prompt_id)) {
      await new Promise((resolve) => changed.addEventListener("change", resolve, { once: true }))
    }
    signal.throwIfAborted()
    if (outcomes.get(prompt_id)) throw new Error(outcomes.get(prompt_id))
  } finally {
    for (const [event, listener] of listeners) api.removeEventListener(event, listener)
  }
}

/**
 * Whether the node's last run was of the same nodes with the same values, apart from the drawing.
 * @param {any} node
 * @param {any} current the prompt that the page would queue
 * @param {string} id
 */
async function isUpToDate(node, current, id) {
  const promptId = prompts.get(/** @type {string} */ (locatorOf(node)))
  if (!promptId) return false
  const answer = await api.fetchApi(`/history/${promptId}`)
  const entry = answer.ok && (await answer.json())[promptId]
  if (!entry) return true // it is still running, so the node has reported for this prompt
  return ancestry(entry.prompt[2], id) === ancestry(current, id)
}

/** A node of a prompt with everything it depends on, as text. @param {any} prompt @param {string} id */
function ancestry(prompt, id) {
  /** @type {Record<string, any>} */
  const found = {}
  const pending = [id]
  for (let each = pending.pop(); each !== undefined; each = pending.pop()) {
    if (each in found || !prompt[each]) continue
    const { class_type, inputs } = prompt[each]
    const read = Object.entries(inputs).filter(([name]) => each !== id || name !== INPUT)
    found[each] = [class_type, read.sort(([a], [b]) => (a < b ? -1 : 1))]
    for (const [, value] of read)
      if (Array.isArray(value) && value.length === 2) pending.push(String(value[0]))
  }
  return JSON.stringify(Object.entries(found).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Whether the server still has the maps; a restart empties its temporary folder. */
async function isThere(/** @type {import("./drawing.js").Told} */ { maps }) {
  const { filename, subfolder, type } = maps[0]
  const place = new URLSearchParams({ filename, subfolder, type })
  return (await api.fetchApi(`/view?${place}`, { method: "HEAD" })).ok
}

/** The Edit Map with a key in a prompt, if it is in the graph. @param {string} executionId */
function nodeOf(executionId) {
  const ids = String(executionId).split(":")
  const last = ids.pop()
  let graph = app.rootGraph ?? app.graph
  for (const id of ids) graph = graph?.getNodeById(id)?.subgraph
  const node = graph?.getNodeById(last)
  return node?.type === NODE ? node : null
}
