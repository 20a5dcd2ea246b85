// @ts-check
// Opens the editor on a node's maps, and stores the result in the node.

import { api, app, recordUndoStep } from "../lib/comfy.js"
import { element } from "../lib/dom.js"
import { keptDrawing, withinLimit } from "./drawing.js"
import { fromBase64 } from "./model/patch.js"
import { sha256 } from "./model/sha256.js"
import { INPUT, prepared } from "./run.js"
import { sessionOf } from "./session.js"

const PAGE = new URL("../editor.html", import.meta.url)
const FOLDER = "finesse" // in ComfyUI's input folder

/** The nodes whose map is being prepared, each with the controller that stops it. @type {Map<any, AbortController>} */
const waiting = new Map()
let isOpen = false

/** @param {any} node */
export function isBusy(node) {
  return waiting.has(node)
}

/**
 * Open the editor on a node's maps, after a run if necessary. A second call during that run stops the waiting.
 * @param {any} node
 * @param {() => void} onBusy called when the waiting starts and ends
 */
export async function editMap(node, onBusy) {
  if (waiting.has(node)) return waiting.get(node)?.abort()
  if (isOpen) return
  const waits = new AbortController()
  waiting.set(node, waits)
  onBusy()
  try {
    const known = await prepared(node, waits.signal)
    const { session, lost } = await sessionOf(node, known, widgetOf(node).value)
    if (lost.length)
      toast("warn", "A drawing is not on this server", `${lost.join(", ")} is missing in its input folder.`)
    waiting.delete(node)
    onBusy()
    const result = await inWindow(session)
    if (result) await keep(node, result, known.maps.length)
  } catch (error) {
    if (!waits.signal.aborted) toast("error", "Edit map", wordsOf(error))
  } finally {
    waiting.delete(node)
    onBusy()
  }
}

/** An error in words; for a prompt that the server refuses, `toString` has them. @param {any} error */
function wordsOf(error) {
  return error.response ? String(error) : error.message
}

/** Remove the drawing from a node's maps. @param {any} node */
export function clearDrawing(node) {
  setDrawing(node, {})
}

/**
 * Show the editor's page in the full window. It has a frame of its own, so that its keys do not reach the graph.
 * @param {object} session
 * @returns {Promise<any>} what `openMap` gives
 */
async function inWindow(session) {
  const frame = element("iframe", { class: "finesse-map-window", title: "Map editor", src: String(PAGE) })
  isOpen = true
  try {
    const loaded = new Promise((resolve) => frame.addEventListener("load", resolve, { once: true }))
    document.body.append(frame)
    await loaded
    const page = /** @type {any} */ (frame.contentWindow)
    if (typeof page.openMap !== "function")
      throw new Error("The editor's page could not be loaded; reload this page.")
    page.focus()
    return await page.openMap(session)
  } finally {
    frame.remove()
    isOpen = false
    app.canvas.canvas.focus()
  }
}

/** @param {any} node @param {{maps: Record<string, any>}} result @param {number} count of maps */
async function keep(node, result, count) {
  const { drawing, dropped } = keptDrawing(widgetOf(node).value, result, count)
  const { drawing: fitting, uploaded } = await withinLimit(drawing, upload)
  setDrawing(node, fitting)
  if (dropped.length) {
    const maps = dropped.map((place) => place + 1).join(", ")
    toast("warn", "Drawings dropped", `There were drawings on maps ${maps}, but the batch has only ${count}.`)
  }
  if (uploaded) {
    const text =
      "It is too large for the workflow, so it is in ComfyUI's input folder. The workflow alone no longer contains it."
    toast("warn", "The drawing was uploaded", text)
  }
}

/** Set the drawing in one undo step. @param {any} node @param {import("./drawing.js").Drawing} drawing */
function setDrawing(node, drawing) {
  if (!node.graph) throw new Error("The node is no longer in the graph, so its drawing could not be kept.")
  recordUndoStep()
  widgetOf(node).value = drawing
  recordUndoStep()
  node.graph.setDirtyCanvas(true, true)
}

/** @param {any} node */
function widgetOf(node) {
  return node.widgets.find((/** @type {any} */ widget) => widget.name === INPUT)
}

/** @param {string} png in base64 @returns {Promise<string>} its name in the input folder */
async function upload(png) {
  const bytes = fromBase64(png)
  const body = new FormData()
  body.append("image", new File([bytes], `${await sha256(bytes)}.png`, { type: "image/png" }))
  body.append("subfolder", FOLDER)
  body.append("type", "input")
  const answer = await api.fetchApi("/upload/image", { method: "POST", body })
  if (!answer.ok) throw new Error(`The drawing could not be uploaded (${answer.status}), so it was not kept.`)
  const { name, subfolder } = await answer.json()
  return subfolder ? `${subfolder}/${name}` : name
}

/** @param {"warn" | "error"} severity @param {string} summary @param {string} detail */
export function toast(severity, summary, detail) {
  app.extensionManager.toast.add({ severity, summary, detail, life: 10_000 })
}
