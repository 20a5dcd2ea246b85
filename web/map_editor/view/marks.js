// @ts-check
// Marks that tools draw over the map: visible on any colour, and of the same width on the screen at any zoom.

/** @typedef {import("./transform_box.js").Point} Point */

/**
 * Strokes a path in white with a dark edge.
 * @param {CanvasRenderingContext2D} context
 * @param {Path2D} path
 * @param {number} px one CSS pixel
 */
export function outlined(context, path, px) {
  for (const [width, colour] of /** @type {const} */ ([
    [3, "rgba(0, 0, 0, .55)"],
    [1.25, "#fff"],
  ])) {
    context.lineWidth = width * px
    context.strokeStyle = colour
    context.stroke(path)
  }
}

/** Strokes a path in black and white dashes. @param {CanvasRenderingContext2D} context @param {Path2D} path @param {number} px */
export function dashed(context, path, px) {
  context.lineWidth = px
  context.setLineDash([4 * px, 4 * px])
  for (const [turn, colour] of ["#000", "#fff"].entries()) {
    context.strokeStyle = colour
    context.lineDashOffset = 4 * turn * px
    context.stroke(path)
  }
  context.setLineDash([])
}

/** A round handle. @param {CanvasRenderingContext2D} context @param {Point} at @param {number} radius @param {number} px @param {string} [colour] */
export function dot(context, { x, y }, radius, px, colour) {
  const path = new Path2D()
  path.arc(x, y, radius, 0, 2 * Math.PI)
  inked(context, path, px, colour)
}

/** A square handle. @param {CanvasRenderingContext2D} context @param {Point} at @param {number} degrees @param {number} half @param {number} px */
export function square(context, { x, y }, degrees, half, px) {
  context.save()
  context.translate(x, y)
  context.rotate((degrees * Math.PI) / 180)
  const path = new Path2D()
  path.rect(-half, -half, 2 * half, 2 * half)
  inked(context, path, px)
  context.restore()
}

/** @param {CanvasRenderingContext2D} context @param {Path2D} path @param {number} px */
function inked(context, path, px, colour = "#fff") {
  context.fillStyle = colour
  context.strokeStyle = "#0b6fc2"
  context.lineWidth = 1.5 * px
  context.fill(path)
  context.stroke(path)
}
