// @ts-check
/** Functions that select pixels; each returns a mask of 0 and 1. */

import { clip, unpack } from "./raster.js"

/** @typedef {import("./raster.js").Mask} Mask */
/** @typedef {import("./raster.js").Rect} Rect */
/** @typedef {import("./raster.js").Raster} Raster */

/**
 * The object under a pixel: the pixels of its colour that are connected to it, also at corners.
 * @param {Raster} raster @param {number} x @param {number} y
 * @param {number} [tolerance] how much each channel may differ from the pixel's, in 0..255
 * @returns {Mask} empty if x, y lies outside
 */
export function regionAt(raster, x, y, tolerance = 0) {
  const { width, height } = raster
  if (!(x >= 0 && x < width && y >= 0 && y < height)) return new Uint8Array(width * height)
  const start = y * width + x
  return connectedTo(allOf(raster, raster.data[start], tolerance), width, start)
}

/**
 * The object of a mask that contains one of its pixels. The stretches of each row are joined to those of the row above
 * that they touch, so a noisy map takes no longer than a smooth one.
 * @param {Mask} mask @param {number} width @param {number} start the index of a set pixel @returns {Mask}
 */
function connectedTo(mask, width, start) {
  const most = Math.ceil(width / 2) * (mask.length / width)
  const [starts, ends, parents] = [new Int32Array(most), new Int32Array(most), new Int32Array(most)]
  let count = 0
  let above = 0 // the first stretch of the row above that may touch
  let own = 0
  for (let row = 0; row < mask.length; row += width) {
    let candidate = above
    above = count
    const lastAbove = count
    for (let at = row, end = row + width; at < end; at++) {
      if (!mask[at]) continue
      starts[count] = at
      while (at < end && mask[at]) at++
      ends[count] = at
      parents[count] = count
      if (start >= starts[count] && start < at) own = count
      const [from, to] = [starts[count] - width, at - width]
      while (candidate < lastAbove && ends[candidate] < from) candidate++
      for (let i = candidate; i < lastAbove && starts[i] <= to; i++) join(parents, i, count)
      count++
    }
  }
  const object = new Uint8Array(mask.length)
  const root = rootOf(parents, own)
  for (let i = 0; i < count; i++) {
    if (rootOf(parents, i) === root) object.fill(1, starts[i], ends[i])
  }
  return object
}

/** @param {Int32Array} parents @param {number} node */
function rootOf(parents, node) {
  while (parents[node] !== node) {
    parents[node] = parents[parents[node]]
    node = parents[node]
  }
  return node
}

/** @param {Int32Array} parents @param {number} a @param {number} b */
function join(parents, a, b) {
  const [rootA, rootB] = [rootOf(parents, a), rootOf(parents, b)]
  if (rootA < rootB) parents[rootB] = rootA
  else parents[rootA] = rootB
}

/**
 * Every pixel of a colour.
 * @param {Raster} raster @param {number} value @param {number} [tolerance] how much each channel may differ from it
 * @returns {Mask}
 */
export function allOf(raster, value, tolerance = 0) {
  const { data } = raster
  const mask = new Uint8Array(data.length)
  if (!tolerance) {
    for (let i = 0; i < data.length; i++) mask[i] = data[i] === value ? 1 : 0
    return mask
  }
  const [r, g, b] = unpack(value)
  for (let i = 0; i < data.length; i++) {
    const v = data[i]
    const far = Math.max(
      Math.abs((v & 255) - r),
      Math.abs(((v >>> 8) & 255) - g),
      Math.abs(((v >>> 16) & 255) - b),
    )
    mask[i] = far <= tolerance ? 1 : 0
  }
  return mask
}

/**
 * The pixels whose centres lie inside a closed outline; where it crosses itself, every other part.
 * @param {number} width @param {number} height @param {[number, number][]} points pixel x covers x to x + 1
 * @returns {Mask}
 */
export function lasso(width, height, points) {
  const mask = new Uint8Array(width * height)
  const ys = points.map(([, y]) => y)
  const top = Math.max(0, Math.floor(Math.min(...ys)))
  const bottom = Math.min(height, Math.ceil(Math.max(...ys)))
  for (let row = top; row < bottom; row++) {
    const crossings = crossingsAt(points, row + 0.5)
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(0, Math.ceil(crossings[i] - 0.5))
      const to = Math.min(width, Math.ceil(crossings[i + 1] - 0.5))
      if (from < to) mask.fill(1, row * width + from, row * width + to)
    }
  }
  return mask
}

/** @param {[number, number][]} points @param {number} y */
function crossingsAt(points, y) {
  const found = []
  for (let i = 0; i < points.length; i++) {
    const [x0, y0] = points[i]
    const [x1, y1] = points[(i + 1) % points.length]
    if (y0 <= y !== y1 <= y) found.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0))
  }
  return found.sort((a, b) => a - b)
}

/**
 * A rectangle's pixels.
 * @param {number} width @param {number} height of the map @param {Rect} rect @returns {Mask}
 */
export function box(width, height, rect) {
  const mask = new Uint8Array(width * height)
  const inside = clip(rect, width, height)
  for (let row = 0; inside && row < inside.height; row++) {
    const start = (inside.y + row) * width + inside.x
    mask.fill(1, start, start + inside.width)
  }
  return mask
}

/** Every pixel. @param {number} width @param {number} height @returns {Mask} */
export function everything(width, height) {
  return new Uint8Array(width * height).fill(1)
}

/** The pixels that are not in a mask. @param {Mask} mask @returns {Mask} */
export function inverted(mask) {
  const result = new Uint8Array(mask.length)
  for (let i = 0; i < mask.length; i++) result[i] = 1 - mask[i]
  return result
}

/**
 * A new mask from the old selection and the new one.
 * @param {Mask|null} old @param {Mask} added @param {"replace"|"add"|"subtract"|"intersect"} how @returns {Mask}
 */
export function combine(old, added, how) {
  const result = added.slice()
  if (how === "replace") return result
  for (let i = 0; i < result.length; i++) {
    const before = old ? old[i] : 0
    if (how === "add") result[i] |= before
    else if (how === "subtract") result[i] = before & ~result[i]
    else result[i] &= before
  }
  return result
}
