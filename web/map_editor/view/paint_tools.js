// @ts-check
// The tools that paint: brush, eraser, straight line, bucket, eyedropper, and a depth's gradient.

import { grey } from "../model/raster.js"
import { fillMask, floodFill, gradient, line, stroke } from "../model/draw.js"
import { css } from "./controls.js"
import { dot, outlined } from "./marks.js"
import { inside, pick } from "./select_tools.js"

/**
 * @typedef {import("./editor.js").Editor} Editor
 * @typedef {import("./viewport.js").Viewport} Viewport
 * @typedef {import("./viewport.js").Pointer} Pointer
 * @typedef {[number, number]} Point
 */

class PaintingTool {
  cursor = "crosshair"

  /** @param {Editor} editor @param {Viewport} viewport */
  constructor(editor, viewport) {
    this.editor = editor
    this.viewport = viewport
  }

  /** @param {Pointer | null} _at */
  hover(_at) {
    this.viewport.element.style.cursor = this.cursor
  }
  down(_at) {}
  move(_path) {}
  up(_at) {}
  cancel() {}
  twice(_at) {}
  draw(_pen) {}
}

/** A tool whose press, drag and release are one step of the history. */
class StrokingTool extends PaintingTool {
  cursor = "none"

  /** @param {Pointer} at @returns {Point} the centre of the brush as `draw.js` takes it */
  middle(at) {
    const shift = this.editor.brush.width % 2 ? 0.5 : 0
    return [Math.round(at.x - shift), Math.round(at.y - shift)]
  }

  hover(at) {
    super.hover(at)
    this.viewport.showRing(at, this.editor.brush.width)
  }

  /** The paint, limited to the selection if the user chose that. */
  paintWithin(paint) {
    const { brush, document, raster } = this.editor
    if (!brush.onlySelected || !document.selection) return paint
    const source = raster.clone()
    const { selection } = document
    for (let i = 0; i < source.data.length; i++) {
      if (selection[i]) source.data[i] = typeof paint === "number" ? paint : paint.data[i]
    }
    return source
  }

  cancel() {
    if (this.editor.document.busy) this.editor.document.cancel()
  }

  up(_at) {
    if (this.editor.document.busy) this.editor.document.commit()
  }
}

/** Paints along the path of the pointer; with Shift, a straight line from where the last stroke ended. */
export class BrushTool extends StrokingTool {
  name = "Brush"
  picks = true

  /** @returns {number | import("../model/raster.js").Raster} */
  get paint() {
    return this.editor.paint
  }

  down(at) {
    if (at.alt && this.picks) return pick(this.editor, at)
    const { document } = this.editor
    const start = this.middle(at)
    const from = at.shift && this.last && this.lastDocument === document ? this.last : start
    this.source = this.paintWithin(this.paint)
    this.lastDocument = document
    document.begin(this.name)
    this.#paint([from, start])
  }

  move(path) {
    this.viewport.showRing(path[path.length - 1], this.editor.brush.width)
    if (this.editor.document.busy && this.last) this.#paint([this.last, ...path.map((at) => this.middle(at))])
  }

  #paint(points) {
    this.last = points[points.length - 1]
    this.editor.document.preview((raster) => stroke(raster, points, this.editor.brush.width, this.source))
  }
}

/** Restores the original map; in a sketch it paints the ground. */
export class EraserTool extends BrushTool {
  name = "Eraser"
  picks = false

  get paint() {
    return this.editor.eraserPaint
  }
}

/** Draws a straight line from press to release; with Shift, in steps of 45°. */
export class LineTool extends StrokingTool {
  down(at) {
    if (at.alt) return pick(this.editor, at)
    this.from = this.middle(at)
    this.source = this.paintWithin(this.editor.paint)
    this.editor.document.begin("Line")
    this.move([at])
  }

  move(path) {
    const at = path[path.length - 1]
    this.viewport.showRing(at, this.editor.brush.width)
    if (!this.editor.document.busy || !this.from) return
    const from = this.from
    const to = at.shift ? inSteps(from, this.middle(at)) : this.middle(at)
    this.editor.document.restore()
    this.editor.document.preview((raster) => line(raster, from, to, this.editor.brush.width, this.source))
  }
}

/** @param {Point} from @param {Point} to @returns {Point} */
function inSteps([x0, y0], [x, y]) {
  const [dx, dy] = [x - x0, y - y0]
  const angle = Math.round(Math.atan2(dy, dx) / (Math.PI / 4)) * (Math.PI / 4)
  const along = dx * Math.cos(angle) + dy * Math.sin(angle)
  return [Math.round(x0 + along * Math.cos(angle)), Math.round(y0 + along * Math.sin(angle))]
}

/** Fills a connected area of one colour, or, inside the selection, all of the selection. */
export class FillTool extends PaintingTool {
  down(at) {
    const { document, raster, paint, tolerance } = this.editor
    if (at.alt) return pick(this.editor, at)
    if (!inside(this.editor, at)) return
    const [x, y] = [Math.floor(at.x), Math.floor(at.y)]
    const { selection } = document
    if (selection?.[y * raster.width + x]) document.edit("Fill", (map) => fillMask(map, selection, paint))
    else document.edit("Fill", (map) => floodFill(map, x, y, paint, tolerance))
  }
}

export class EyedropperTool extends PaintingTool {
  down(at) {
    pick(this.editor, at)
  }

  move(path) {
    pick(this.editor, path[path.length - 1])
  }
}

/** Draws a gradient of depth between two places, by a drag or two clicks, within the selection. */
export class GradientTool extends PaintingTool {
  down(at) {
    if (!this.from) [this.from, this.to] = [at, at]
    else this.second = true
  }

  move(path) {
    this.to = path[path.length - 1]
    this.dragged = this.dragged || this.#length() * this.viewport.camera.zoom > 4
    this.editor.emit("doing", "")
  }

  hover(at) {
    super.hover(at)
    if (!this.from || !at) return
    this.to = at
    this.editor.emit("doing", "")
  }

  up(at) {
    this.to = at
    if (!this.from || !(this.dragged || this.second)) return
    const { document } = this.editor
    const [from, to] = [this.from, at].map(({ x, y }) => /** @type {Point} */ ([x - 0.5, y - 0.5]))
    const values = this.editor.gradient
    if (this.#length() > 0) {
      document.edit("Gradient", (raster) =>
        gradient(raster, document.selection, from, to, grey(values.from), grey(values.to)),
      )
    }
    this.cancel()
  }

  cancel() {
    this.from = this.to = undefined
    this.dragged = this.second = false
    this.editor.emit("doing", null)
  }

  draw({ context, px }) {
    const { from, to } = this
    if (!from || !to) return
    const values = this.editor.gradient
    const way = new Path2D()
    way.moveTo(from.x, from.y)
    way.lineTo(to.x, to.y)
    outlined(context, way, px)
    dot(context, from, 6 * px, px, css(grey(values.from)))
    dot(context, to, 6 * px, px, css(grey(values.to)))
  }

  #length() {
    return this.from && this.to ? Math.hypot(this.to.x - this.from.x, this.to.y - this.from.y) : 0
  }
}
