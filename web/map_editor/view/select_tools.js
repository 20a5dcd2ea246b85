// @ts-check
// The tools that select: an object by a click, a box, a lasso. All of them can drag the selection.

import { box, lasso, regionAt } from "../model/select.js"
import { Grab } from "./grab.js"
import { dashed } from "./marks.js"

/**
 * @typedef {import("./editor.js").Editor} Editor
 * @typedef {import("./viewport.js").Viewport} Viewport
 * @typedef {import("./viewport.js").Pointer} Pointer
 * @typedef {{context: CanvasRenderingContext2D, px: number}} Pen
 */

/** @param {Pointer} at @returns {"replace" | "add" | "subtract"} the way to select, by the keys held */
const manner = (at) => (at.shift ? "add" : at.alt || at.ctrl ? "subtract" : "replace")

/** The base of the selecting tools: a press on the selection or its handles drags it. */
class SelectingTool {
  /** @param {Editor} editor @param {Viewport} viewport @param {Grab} grab */
  constructor(editor, viewport, grab) {
    this.editor = editor
    this.viewport = viewport
    this.grab = grab
  }

  /** @param {Pointer} at */
  down(at) {
    const found = this.grab.under(at)
    const holds = found && (found.kind !== "inside" || manner(at) === "replace")
    if (holds && this.grab.start(at)) return
    this.press(at)
  }

  /** @param {Pointer[]} path */
  move(path) {
    if (this.grab.held) this.grab.move(path[path.length - 1])
    else this.drag(path)
  }

  /** @param {Pointer} at */
  up(at) {
    if (!this.grab.held) this.release(at)
    else if (!this.grab.end()) this.click(at)
  }

  cancel() {
    this.grab.cancel()
    this.drop()
  }

  /** @param {Pointer | null} at */
  hover(at) {
    this.viewport.element.style.cursor = (at && this.grab.cursorAt(at)) || this.cursor
  }

  /** @param {Pointer} at */
  twice(at) {
    if (inside(this.editor, at))
      this.editor.selectAllOf(this.editor.raster.at(Math.floor(at.x), Math.floor(at.y)))
  }

  /** @param {Pen} pen */
  draw(pen) {
    this.grab.draw(pen)
    this.sketch(pen)
  }

  cursor = "crosshair"
  /** @param {Pointer} _at pressed outside the selection */
  press(_at) {}
  /** @param {Pointer[]} _path */
  drag(_path) {}
  /** @param {Pointer} _at */
  release(_at) {}
  /** @param {Pointer} _at pressed and released on the selection */
  click(_at) {}
  drop() {}
  /** @param {Pen} _pen */
  sketch(_pen) {}
}

/** Selects the clicked object; a drag moves it at once. */
export class ObjectTool extends SelectingTool {
  cursor = "default"

  press(at) {
    if (!inside(this.editor, at)) return manner(at) === "replace" && this.editor.document.setSelection(null)
    if (at.alt && !this.editor.document.selection) return pick(this.editor, at) // there is nothing to subtract from
    this.editor.select(objectAt(this.editor, at), manner(at))
    this.fresh = manner(at) === "replace" && this.grab.start(at)
  }

  click(at) {
    if (!this.fresh && inside(this.editor, at)) this.editor.select(objectAt(this.editor, at), manner(at))
    this.fresh = false
  }
}

/** Selects all pixels of a rectangle. */
export class BoxTool extends SelectingTool {
  press(at) {
    this.from = this.to = at
  }

  drag(path) {
    this.to = path[path.length - 1]
    const { width, height } = this.#rect()
    this.editor.emit("doing", `${width} × ${height} px`)
  }

  release(at) {
    if (!this.from) return
    const rect = this.#rect()
    this.drop()
    const { document, raster } = this.editor
    if (rect.width > 1 && rect.height > 1)
      this.editor.select(box(raster.width, raster.height, rect), manner(at))
    else if (manner(at) === "replace") document.setSelection(null)
  }

  drop() {
    this.from = this.to = undefined
    this.editor.emit("doing", null)
  }

  sketch({ context, px }) {
    if (!this.from) return
    const { x, y, width, height } = this.#rect()
    const edge = new Path2D()
    edge.rect(x, y, width, height)
    dashed(context, edge, px)
  }

  #rect() {
    const { from, to } = /** @type {{from: Pointer, to: Pointer}} */ (/** @type {any} */ (this))
    const clamp = (value, most) => Math.max(0, Math.min(most, Math.round(value)))
    const { width, height } = this.editor.raster
    const [left, right] = [clamp(Math.min(from.x, to.x), width), clamp(Math.max(from.x, to.x), width)]
    const [top, bottom] = [clamp(Math.min(from.y, to.y), height), clamp(Math.max(from.y, to.y), height)]
    return { x: left, y: top, width: right - left, height: bottom - top }
  }
}

/** Selects all pixels inside a line drawn around them. */
export class LassoTool extends SelectingTool {
  /** @type {[number, number][]} */
  points = []

  press(at) {
    this.points = [[at.x, at.y]]
  }

  drag(path) {
    this.points.push(...path.map(({ x, y }) => /** @type {[number, number]} */ ([x, y])))
    this.editor.emit("doing", "")
  }

  release(at) {
    const points = this.points
    this.drop()
    const { document, raster } = this.editor
    if (points.length > 2) this.editor.select(lasso(raster.width, raster.height, points), manner(at))
    else if (manner(at) === "replace") document.setSelection(null)
  }

  drop() {
    this.points = []
    this.editor.emit("doing", null)
  }

  sketch({ context, px }) {
    if (this.points.length < 2) return
    const way = new Path2D()
    for (const [x, y] of this.points) way.lineTo(x, y)
    dashed(context, way, px)
  }
}

/** Takes the paint from a pixel of the map. @param {Editor} editor @param {Pointer} at */
export function pick(editor, at) {
  if (inside(editor, at)) editor.setPaint(editor.raster.at(Math.floor(at.x), Math.floor(at.y)))
}

/** @param {Editor} editor @param {Pointer} at */
export function inside({ raster }, at) {
  return at.x >= 0 && at.y >= 0 && at.x < raster.width && at.y < raster.height
}

/** The object at a place in the map, or in the guide if there is one. @returns {Uint8Array} */
function objectAt({ raster, guide, tolerance }, at) {
  if (!guide) return regionAt(raster, Math.floor(at.x), Math.floor(at.y), tolerance)
  const [across, down] = [guide.raster.width / raster.width, guide.raster.height / raster.height]
  const found = regionAt(guide.raster, Math.floor(at.x * across), Math.floor(at.y * down))
  const mask = new Uint8Array(raster.width * raster.height)
  for (let y = 0, i = 0; y < raster.height; y++) {
    const row = Math.floor((y + 0.5) * down) * guide.raster.width
    for (let x = 0; x < raster.width; x++, i++) mask[i] = found[row + Math.floor((x + 0.5) * across)]
  }
  return mask
}
