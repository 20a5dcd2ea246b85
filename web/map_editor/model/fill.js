// @ts-check
/** Fills a hole with the nearest values, as `fill_holes_by_nearest` in core/maps/objects.py does. */

import { crumbsAround } from "./crumbs.js"
import { Raster, clip, cropped, maskBox } from "./raster.js"

/** @typedef {import("./raster.js").Mask} Mask */

/**
 * A copy in which every pixel of the hole has the value of the nearest pixel outside it. Distances are Euclidean,
 * between the centres of pixels; of equally near pixels the first in scan order is taken.
 * @param {Raster} raster @param {Mask} hole
 * @returns {Raster}
 * @throws {RangeError} when nothing is outside the hole
 */
export function fillNearest(raster, hole) {
  const filled = raster.clone()
  const patch = filledHole(raster, hole)
  if (patch) filled.put(patch.raster, patch.x, patch.y)
  return filled
}

/**
 * The filled hole as in `fillNearest`, but only the part of the map around it.
 * @param {Raster} raster @param {Mask} hole
 * @returns {{x: number, y: number, raster: Raster}|null} null when there is no hole
 * @throws {RangeError} when nothing is outside the hole
 */
export function filledHole(raster, hole) {
  const { width, height } = raster
  const box = maskBox(hole, width)
  if (!box) return null
  // the nearest pixel outside is never farther than the first row or column around the hole
  const window = /** @type {import("./raster.js").Rect} */ (
    clip({ x: box.x - 1, y: box.y - 1, width: box.width + 2, height: box.height + 2 }, width, height)
  )
  const inner = cropped(hole, width, window)
  if (!inner.includes(0)) {
    throw new RangeError(
      `the hole covers the whole map of ${width}×${height} px; leave pixels to fill it from`,
    )
  }
  const part = raster.crop(window)
  fillFromNearest(part, inner)
  return { x: window.x, y: window.y, raster: part }
}

/**
 * The filled hole of a segmentation map: as `filledHole`, but crumbs are skipped unless nothing else is outside.
 * @param {Raster} raster @param {Mask} hole
 * @returns {{x: number, y: number, raster: Raster}|null} null when there is no hole
 * @throws {RangeError} when nothing is outside the hole
 */
export function filledGround(raster, hole) {
  const { width } = raster
  const box = maskBox(hole, width)
  if (!box) return null
  const skipped = crumbsAround(raster, hole)
  for (let i = 0; i < hole.length; i++) skipped[i] |= hole[i]
  const filled = fillNearest(raster, skipped.includes(0) ? skipped : hole).crop(box)
  const inner = cropped(hole, width, box)
  const old = raster.crop(box)
  for (let i = 0; i < inner.length; i++) if (!inner[i]) filled.data[i] = old.data[i]
  return { x: box.x, y: box.y, raster: filled }
}

/**
 * Fills in place, row by row. In every column c the nearest pixel outside is known. Among the columns, the one with the
 * smallest distance² · pixels + position is chosen; this minimum also decides between equally near pixels. As
 * functions of x these are parabolas of one shape, so their lower envelope is found in linear time
 * (Felzenszwalb & Huttenlocher, Distance Transforms of Sampled Functions). All numbers are exact below 2^53.
 * @param {Raster} raster @param {Mask} hole
 */
function fillFromNearest(raster, hole) {
  const { width, height, data } = raster
  const pixels = width * height
  const nearest = nearestInColumns(hole, width, height)
  const source = data.slice()
  const columns = new Int32Array(width)
  const heights = new Float64Array(width)
  const begins = new Float64Array(width)
  for (let y = 0; y < height; y++) {
    const row = y * width
    const first = hole.subarray(row, row + width).indexOf(1)
    if (first < 0) continue
    let last = -1
    for (let x = 0; x < width; x++) {
      const from = nearest[row + x]
      if (from < 0) continue
      const lift = (from - y) * (from - y) * pixels + from * width + x
      let begin = -Infinity // this parabola is the lowest from this x on
      while (last >= 0) {
        const c = columns[last]
        begin = Math.floor((lift - heights[last] + pixels * (x * x - c * c)) / (2 * pixels * (x - c))) + 1
        if (begin > begins[last]) break
        last--
        begin = -Infinity
      }
      last++
      columns[last] = x
      heights[last] = lift
      begins[last] = begin
    }
    for (let x = first, i = 0; x < width; x++) {
      if (!hole[row + x]) continue
      while (i < last && begins[i + 1] <= x) i++
      const c = columns[i]
      data[row + x] = source[nearest[row + c] * width + c]
    }
  }
}

/**
 * For every pixel, the row of the nearest pixel in its column outside the hole, the upper of two; -1 if there is none.
 * @param {Mask} hole @param {number} width @param {number} height
 */
function nearestInColumns(hole, width, height) {
  const nearest = new Int32Array(width * height)
  const above = new Int32Array(width).fill(-1)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (!hole[y * width + x]) above[x] = y
      nearest[y * width + x] = above[x]
    }
  }
  const below = new Int32Array(width).fill(-1)
  for (let y = height - 1; y >= 0; y--) {
    for (let x = 0; x < width; x++) {
      const at = y * width + x
      if (!hole[at]) below[x] = y
      const closer = below[x] >= 0 && (nearest[at] < 0 || below[x] - y < y - nearest[at])
      if (closer) nearest[at] = below[x]
    }
  }
  return nearest
}
