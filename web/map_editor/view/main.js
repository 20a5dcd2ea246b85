// @ts-check
// Opens the editor for a session and returns the drawings.

import { Palette } from "../model/palette.js"
import { drawingOf } from "../model/patch.js"
import { element } from "../../lib/dom.js"
import { asksToReapply } from "./dialogs.js"
import { Editor } from "./editor.js"
import { drawnOn, rasterOf } from "./load.js"
import { Workspace } from "./workspace.js"

/**
 * @typedef {import("./editor.js").Session} Session
 * @typedef {{base: string, width: number, height: number, x: number, y: number, png: string}} Drawing
 */

const THEME = [
  "--comfy-menu-bg",
  "--comfy-input-bg",
  "--fg-color",
  "--descrip-text",
  "--border-color",
  "--bg-color",
]

/**
 * Opens the editor in the whole window and waits until it is closed.
 * @param {Session} session
 * @returns {Promise<{maps: Record<string, Drawing | null>} | null>} the drawing on each map of the batch, null for a map
 *   that equals its base; null instead of the whole if the editor was closed without keeping. Rejected with a readable
 *   message if the first map cannot be loaded.
 */
export async function openMap(session) {
  takeTheme()
  const root = element("div", { id: "editor" })
  document.body.replaceChildren(root)
  root.append(element("p", { class: "loading" }, "Loading the map…"))
  const editor = new Editor({ ...session, maps: await settleStale(root, session) })
  editor.sizeTools(await editor.load(session.index))
  const kept = await new Promise((close) => {
    const workspace = new Workspace(root, editor, close)
    workspace.showMap(session.index)
    workspace.loadOverlay(session.overlay)
  })
  const result = kept ? { maps: await drawings(editor) } : null
  root.replaceChildren()
  return result
}

/** Asks for each drawing whose map has changed whether to re-apply it. @param {HTMLElement} root @param {Session} session */
async function settleStale(root, { maps, palette }) {
  const settled = []
  for (const [index, entry] of maps.entries()) {
    if (!entry.stale || !entry.patch) {
      settled.push(entry)
      continue
    }
    const base = await rasterOf(entry.url)
    const drawn = await drawnOn(base, entry.patch, palette && new Palette(palette))
    const which = maps.length > 1 ? ` on map ${index + 1}` : ""
    const reapply = await asksToReapply(root, base, drawn, which)
    settled.push({ ...entry, stale: false, patch: reapply ? entry.patch : null })
  }
  return settled
}

/** @param {Editor} editor @returns {Promise<Record<string, Drawing | null>>} */
async function drawings(editor) {
  /** @type {Record<string, Drawing | null>} */
  const kept = {}
  for (const [index, entry] of editor.session.maps.entries()) {
    if (!editor.maps[index] && !entry.patch) kept[index] = null
    else {
      const { document } = await editor.load(index)
      kept[index] = await drawingOf(document.base, document.raster)
    }
  }
  return kept
}

/** Copies ComfyUI's colours from the page that hosts this one. */
function takeTheme() {
  if (window.parent === window) return
  const outer = getComputedStyle(window.parent.document.documentElement)
  for (const name of THEME) {
    const value = outer.getPropertyValue(name)
    if (value) document.documentElement.style.setProperty(name, value)
  }
}
