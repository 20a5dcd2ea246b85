// @ts-check
/** Functions that paint in a raster, in place and without antialiasing; each returns the rectangle that it changed. */

import { Raster, clip, maskBox, pack, union, unpack } from "./raster.js"
import { regionAt } from "./select.js"
import { roundHalfEven } from "./transform.js"

/** @typedef {import("./raster.js").Mask} Mask */
/** @typedef {import("./raster.js").Rect} Rect */
/** @typedef {import("./raster.js").Point} Point */

/**
 * Draws a line of `width` pixels with round ends through points, as `stroke_mask` in core/maps/canvas.py does. Whole
 * numbers are the centres of pixels; a line of even width is shifted by half a pixel to the top left.
 * @param {Raster} raster @param {Point[]} points at least one @param {number} width whole, at least 1
 * @param {number|Raster} paint a value, or a raster of the same size whose pixels are painted
 * @returns {Rect|null}
 */
export function stroke(raster, points, width, paint) {
  const shift = width % 2 === 0 ? 0.5 : 0
  const moved = points.map(([x, y]) => /** @type {Point} */ ([x - shift, y - shift]))
  let changed = null
  for (let i = 0; i < Math.max(1, moved.length - 1); i++) {
    const [from, to] = [moved[i], moved[i + 1] ?? moved[i]]
    changed = union(changed, segment(raster, from, to, width / 2, paint))
  }
  return changed
}

/**
 * Draws a straight line.
 * @param {Raster} raster @param {Point} from @param {Point} to @param {number} width @param {number|Raster} paint
 */
export function line(raster, from, to, width, paint) {
  return stroke(raster, [from, to], width, paint)
}

/** @param {Raster} raster @param {Point} from @param {Point} to @param {number} radius @param {number|Raster} paint */
function segment(raster, [x0, y0], [x1, y1], radius, paint) {
  const left = Math.floor(Math.min(x0, x1) - radius)
  const top = Math.floor(Math.min(y0, y1) - radius)
  const right = Math.ceil(Math.max(x0, x1) + radius) + 1
  const bottom = Math.ceil(Math.max(y0, y1) + radius) + 1
  const rect = clip(
    { x: left, y: top, width: right - left, height: bottom - top },
    raster.width,
    raster.height,
  )
  if (!rect) return null
  const [dx, dy] = [x1 - x0, y1 - y0]
  const squared = dx * dx + dy * dy || 1
  const reach = radius * radius + 1e-9
  // the largest distance, along a row, from the line's axis to a pixel of the line
  const slack = dy ? (radius * Math.sqrt(squared)) / Math.abs(dy) + 1 : Infinity
  const { data } = raster
  for (let row = rect.y; row < rect.y + rect.height; row++) {
    const y = row - y0
    const axis = dy ? x0 + (y * dx) / dy : x0
    const from = Math.max(rect.x, Math.floor(axis - slack))
    const to = Math.min(rect.x + rect.width, Math.ceil(axis + slack) + 1)
    for (let column = from, at = row * raster.width + from; column < to; column++, at++) {
      const x = column - x0
      const along = Math.min(Math.max((x * dx + y * dy) / squared, 0), 1)
      const [awayX, awayY] = [x - along * dx, y - along * dy]
      if (awayX * awayX + awayY * awayY <= reach)
        data[at] = typeof paint === "number" ? paint : paint.data[at]
    }
  }
  return rect
}

/**
 * Gives the object under a pixel another colour.
 * @param {Raster} raster @param {number} x @param {number} y @param {number} value @param {number} [tolerance]
 */
export function floodFill(raster, x, y, value, tolerance = 0) {
  return fillMask(raster, regionAt(raster, x, y, tolerance), value)
}

/**
 * Gives the pixels of a mask a value.
 * @param {Raster} raster @param {Mask} mask @param {number} value @returns {Rect|null}
 */
export function fillMask(raster, mask, value) {
  return eachPixel(raster, mask, () => value)
}

/**
 * The mask of a text that was drawn on a transparent canvas.
 * @param {{width: number, height: number, data: Uint8ClampedArray}} image
 * @param {number} [threshold] the least alpha of a pixel that belongs to the text
 */
export function textMask({ width, height, data }, threshold = 128) {
  const mask = new Uint8Array(width * height)
  for (let i = 0; i < mask.length; i++) mask[i] = data[4 * i + 3] >= threshold ? 1 : 0
  return { width, height, mask }
}

/**
 * Makes pixels of a depth map nearer (brighter) or farther, as the JSON edit `depth` with `add` does.
 * @param {Raster} raster @param {Mask|null} mask null for all @param {number} amount -1 to 1
 */
export function depthShift(raster, mask, amount) {
  const levels = Uint8Array.from({ length: 256 }, (_, level) =>
    roundHalfEven(Math.min(Math.max(level + amount * 255, 0), 255)),
  )
  return eachPixel(raster, mask, (value) => {
    const [r, g, b] = unpack(value)
    return pack(levels[r], levels[g], levels[b])
  })
}

/**
 * Paints a gradient from one value to another along a line; beyond its ends the values stay the same.
 * @param {Raster} raster @param {Mask|null} mask null for all @param {Point} from @param {Point} to
 * @param {number} value0 packed, at `from` @param {number} value1 packed, at `to`
 */
export function gradient(raster, mask, [x0, y0], [x1, y1], value0, value1) {
  const [dx, dy] = [x1 - x0, y1 - y0]
  const squared = dx * dx + dy * dy || 1
  const start = unpack(value0)
  const way = unpack(value1).map((channel, i) => channel - start[i])
  return eachPixel(raster, mask, (_, x, y) => {
    const along = Math.min(Math.max(((x - x0) * dx + (y - y0) * dy) / squared, 0), 1)
    return pack(
      Math.round(start[0] + along * way[0]),
      Math.round(start[1] + along * way[1]),
      Math.round(start[2] + along * way[2]),
    )
  })
}

/**
 * @param {Raster} raster @param {Mask|null} mask
 * @param {(value: number, x: number, y: number) => number} change
 * @returns {Rect|null}
 */
function eachPixel({ width, height, data }, mask, change) {
  const rect = mask ? maskBox(mask, width) : { x: 0, y: 0, width, height }
  for (let y = rect?.y ?? 0; rect && y < rect.y + rect.height; y++) {
    for (let x = rect.x, at = y * width + x; x < rect.x + rect.width; x++, at++) {
      if (!mask || mask[at]) data[at] = change(data[at], x, y)
    }
  }
  return rect
}
