// @ts-check
// Drags the selection: a drag inside moves it, a drag of a handle scales or rotates it.

import { PieceLayer } from "./layers.js"
import { dot, square } from "./marks.js"
import {
  centreOf,
  handlesOf,
  hit,
  inWholePixels,
  pointOf,
  rotated,
  scaled,
  turnHandle,
  unmoved,
} from "./transform_box.js"

/**
 * @typedef {import("./editor.js").Editor} Editor
 * @typedef {import("./viewport.js").Viewport} Viewport
 * @typedef {import("./viewport.js").Pointer} Pointer
 */

const NEAR = 8 // CSS pixels around a handle that count as it
const REACH = 26 // from the box to the handle that rotates
const SLACK = 3 // how far a press may move before it is a drag
const AWAY = 1 << 20 // pixels, outside any map
const NAMES = { inside: "Move", scale: "Scale", turn: "Rotate" }

export class Grab {
  placement = unmoved()
  /** @type {any} the part that is held, see `hit` */
  held = null
  dragging = false
  /** Whether the browser moves the dragged piece, which costs nothing even if it is large. */
  isCarried = false

  /** @param {Editor} editor @param {Viewport} viewport */
  constructor(editor, viewport) {
    this.editor = editor
    this.viewport = viewport
    this.carrier = new PieceLayer()
  }

  /** @param {Pointer} at @returns {ReturnType<typeof hit>} the part of the selection at a place */
  under(at) {
    const { selection, selectionBox, width } = this.editor.document
    if (!selection || !selectionBox) return null
    const px = 1 / this.viewport.camera.zoom
    const found = hit(selectionBox, unmoved(), at, NEAR * px, REACH * px)
    if (found?.kind === "inside" && !selection[Math.floor(at.y) * width + Math.floor(at.x)]) return null
    return found
  }

  /** @param {Pointer} at @returns {boolean} whether the selection can be held there */
  start(at) {
    this.held = this.under(at)
    this.from = at
    this.box = this.editor.document.selectionBox
    return !!this.held
  }

  /** @param {Pointer} at */
  move(at) {
    const { from, box, held } = this
    if (!from || !box || !held) return
    if (!this.dragging) {
      if (Math.hypot(at.x - from.x, at.y - from.y) * this.viewport.camera.zoom < SLACK) return
      if (!this.#lift()) return
    }
    if (held.kind === "scale") this.placement = scaled(box, unmoved(), held, at, at.shift)
    else if (held.kind === "turn") this.placement = rotated(box, unmoved(), from, at, at.shift)
    else this.placement = { ...unmoved(), ...moved(from, at) }
    if (this.isCarried) this.carrier.place(this.placement)
    else this.editor.document.transform(inWholePixels(box, this.placement), this.editor.behind)
    this.editor.emit("doing", this.#told())
  }

  /** @returns {boolean} whether it was a drag */
  end() {
    const { dragging, isCarried, placement } = this
    const { document } = this.editor
    this.#letGo()
    if (!dragging) return false
    if (isCarried && this.box) document.transform(inWholePixels(this.box, placement))
    document.commit()
    this.editor.emit("selection")
    return true
  }

  cancel() {
    const dragged = this.dragging
    this.#letGo()
    if (dragged) this.editor.document.cancel()
  }

  #lift() {
    const { document } = this.editor
    const piece = document.selection?.includes(0) ? document.float(NAMES[this.held.kind]) : null
    this.dragging = !!piece
    // only the map itself can show labels in front of the piece
    this.isCarried = !!piece && !this.editor.behind.size
    if (piece && this.isCarried) {
      document.transform({ dx: AWAY })
      this.carrier.show(piece)
    }
    if (piece) return true
    this.held = null
    this.editor.emit("message", "The selection is the whole map, so nothing is left to fill the hole from.")
    return false
  }

  #letGo() {
    this.dragging = this.isCarried = false
    this.carrier.hide()
    this.held = null
    this.placement = unmoved()
    this.editor.emit("doing", null)
  }

  /** @param {Pointer} at */
  cursorAt(at) {
    const found = this.under(at)
    if (found?.kind === "turn") return "grab"
    if (found?.kind === "inside") return "move"
    if (found?.kind !== "scale") return ""
    if (!found.u) return "ns-resize"
    if (!found.v) return "ew-resize"
    return found.u === found.v ? "nwse-resize" : "nesw-resize"
  }

  /** @param {{context: CanvasRenderingContext2D, px: number}} pen */
  draw({ context, px }) {
    const box = this.dragging ? this.box : this.editor.document.selectionBox
    if (!box) return
    const corner = (u, v) => pointOf(box, this.placement, u, v)
    context.lineWidth = px
    context.strokeStyle = "rgba(255, 255, 255, .75)"
    context.beginPath()
    for (const [u, v] of [
      [-1, -1],
      [1, -1],
      [1, 1],
      [-1, 1],
    ])
      context.lineTo(corner(u, v).x, corner(u, v).y)
    context.closePath()
    const top = corner(0, -1)
    const turn = turnHandle(box, this.placement, REACH * px)
    context.moveTo(top.x, top.y)
    context.lineTo(turn.x, turn.y)
    context.stroke()
    for (const { u, v } of handlesOf(box, this.placement, NEAR * px))
      square(context, corner(u, v), this.placement.degrees, 4 * px, px)
    dot(context, turn, 4.5 * px, px)
  }

  #told() {
    const { dx, dy, scaleX, scaleY, degrees } = this.placement
    if (this.held.kind === "turn") return `${degrees} °`
    if (this.held.kind === "scale") return `${Math.round(scaleX * 100)} × ${Math.round(scaleY * 100)} %`
    return `moved ${dx}, ${dy} px`
  }

  /**
   * Moves what the pen draws around the selection to the place of the dragged piece.
   * @param {CanvasRenderingContext2D} context
   */
  carry(context) {
    if (!this.dragging || !this.box) return
    const { degrees, scaleX, scaleY } = this.placement
    const now = centreOf(this.box, this.placement)
    const was = centreOf(this.box, unmoved())
    context.translate(now.x, now.y)
    context.rotate((degrees * Math.PI) / 180)
    context.scale(scaleX, scaleY)
    context.translate(-was.x, -was.y)
  }
}

/** @param {Pointer} from @param {Pointer} at whole pixels; with Shift only horizontal or vertical */
function moved(from, at) {
  const [dx, dy] = [Math.round(at.x - from.x), Math.round(at.y - from.y)]
  if (!at.shift) return { dx, dy }
  return Math.abs(dx) > Math.abs(dy) ? { dx, dy: 0 } : { dx: 0, dy }
}
