// @ts-check
// The window around the boxes and the size at which it is sampled, with the arithmetic of
// core/small_objects/window.py and region.py. No DOM.

import { edited } from "./boxes.js"

/**
 * @typedef {import("./boxes.js").Box} Box
 * @typedef {import("./boxes.js").Size} Size
 * @typedef {{token: number, levels: number}} Grid token: pixels that the model edits whole. levels: of its UNet
 * @typedef {{kind: "none" | "auto" | "side" | "megapixels", amount: number, modelSide: number}} Scale
 * @typedef {{picture: Size, snap: boolean, grow: number, context: number, scale: Scale} & Grid} Settings
 * @typedef {object} Plan
 * @property {Box} window in the picture
 * @property {Size} size of the window when it is sampled
 * @property {number} factor by which it is enlarged
 * @property {(Box | null)[]} edited what changes in the picture for each box, null outside it
 * @property {(Size | null)[]} sampled the size of that in the sampled window
 */

const WANTED_CELLS = 2
const WANTED_TOKENS = 8
const LARGEST_SHARE = 1 / 3
const MEGAPIXEL = 1024 * 1024

/**
 * What is sampled and what changes for boxes without a mask, null if all lie outside the picture.
 * @param {Box[]} boxes
 * @param {Settings} settings
 * @returns {Plan | null}
 */
export function planEdit(boxes, settings) {
  const { picture, snap } = settings
  const grown = boxes.map((box) => edited(box, picture, { ...settings, snap: false }))
  const inside = grown.filter((box) => box !== null)
  if (!inside.length) return null
  const { window, size } = planWindow(inside, settings)
  const isScaled = window.width !== size.width || window.height !== size.height
  const final = snap && !isScaled ? boxes.map((box) => edited(box, picture, settings)) : grown
  const sampled = final.map((box) => box && { width: spanX(box), height: spanY(box) })
  return { window, size, factor: size.width / window.width, edited: final, sampled }

  /** @param {Box} box */
  function spanX({ x, width }) {
    return reach(x - window.x, width, window.width, size.width)
  }

  /** @param {Box} box */
  function spanY({ y, height }) {
    return reach(y - window.y, height, window.height, size.height)
  }
}

/**
 * How large a plan's window is sampled, in words.
 * @param {Plan} plan
 */
export function scaleOf({ window, size, factor }) {
  const sampled = `${size.width} × ${size.height} px`
  const times = Number(factor.toPrecision(3))
  return size.width === window.width && size.height === window.height ? sampled : `${sampled}, ${times}×`
}

/** The sampled pixels that a span of the window touches. */
function reach(
  /** @type {number} */ start,
  /** @type {number} */ length,
  /** @type {number} */ whole,
  /** @type {number} */ sampled,
) {
  return Math.ceil(((start + length) * sampled) / whole) - Math.floor((start * sampled) / whole)
}

/**
 * @param {Box[]} boxes at least one
 * @param {Settings} settings
 * @returns {{window: Box, size: Size}}
 */
export function planWindow(boxes, { picture, context, scale, token, levels }) {
  const around = union(boxes)
  let factor = 1
  if (scale.kind === "auto") {
    factor = autoFactor(boxes, around, scale, token, levels)
    const fitting = Math.floor(scale.modelSide / factor)
    context = Math.min(context || fitting, fitting)
  }
  const near = enlarged(around, Math.ceil(token / factor) - 1) // windowAround adds a pixel
  const box = windowAround(near, picture, context, 1)
  if (scale.kind === "side") factor = scale.amount / Math.max(box.width, box.height)
  if (scale.kind === "megapixels") factor = Math.sqrt((scale.amount * MEGAPIXEL) / (box.width * box.height))
  const across = wholeTokens(box.x, box.width, picture.width, factor, token)
  const down = wholeTokens(box.y, box.height, picture.height, factor, token)
  if (factor === 1 || (across.scaled === across.length && down.scaled === down.length)) {
    const window = windowAround(around, picture, context, token) // it lies on the grid
    return { window, size: { width: window.width, height: window.height } }
  }
  return {
    window: { x: across.begin, y: down.begin, width: across.length, height: down.length },
    size: { width: across.scaled, height: down.scaled },
  }
}

/** @param {Box[]} boxes @param {Box} around @param {Scale} scale @param {number} token @param {number} levels */
function autoFactor(boxes, around, scale, token, levels) {
  const smallest = Math.min(...boxes.map((box) => Math.min(box.width, box.height)))
  const wanted = (token * Math.max(WANTED_CELLS * 2 ** (levels - 1), WANTED_TOKENS)) / smallest
  const fitting = (scale.modelSide - 2 * token) / Math.max(around.width, around.height)
  const largest = Math.max(...boxes.map((box) => Math.max(box.width, box.height)))
  return Math.max(1, Math.min(wanted, scale.amount, fitting, (LARGEST_SHARE * scale.modelSide) / largest))
}

/** A span widened to whole tokens when scaled, by at most half a pixel of rounding outside `limit`. */
function wholeTokens(
  /** @type {number} */ start,
  /** @type {number} */ length,
  /** @type {number} */ limit,
  /** @type {number} */ factor,
  /** @type {number} */ token,
) {
  const scaled = Math.max(1, Math.ceil((length * factor) / token - 1e-6)) * token
  const wider = Math.max(1, Math.floor(scaled / factor + 0.5))
  const begin = Math.min(start - Math.floor((wider - length) / 2), limit - wider)
  return { begin: Math.max(begin, 0), length: wider, scaled }
}

/** @param {Box} box @param {Size} picture @param {number} side @param {number} cell @returns {Box} */
function windowAround(box, picture, side, cell) {
  const [x, width] = windowSpan(box.x, box.x + box.width, picture.width, side, cell)
  const [y, height] = windowSpan(box.y, box.y + box.height, picture.height, side, cell)
  return { x, y, width, height }
}

/** Box.window of core/small_objects/boxes.py, along one side. */
function windowSpan(
  /** @type {number} */ start,
  /** @type {number} */ end,
  /** @type {number} */ whole,
  /** @type {number} */ side,
  /** @type {number} */ cell,
) {
  const limit = Math.ceil(whole / cell) * cell
  if (side === 0) return [0, limit]
  const low = Math.max(0, Math.floor((start - cell) / cell) * cell)
  const high = Math.min(limit, Math.ceil((end + cell) / cell) * cell)
  const size = Math.min(limit, Math.max(high - low, Math.ceil(side / cell) * cell))
  const begin = Math.floor((low - Math.floor((size - (high - low)) / 2)) / cell) * cell
  return [Math.min(Math.max(begin, 0), limit - size), size]
}

/** @param {Box[]} boxes @returns {Box} */
function union(boxes) {
  const [x, y] = [Math.min(...boxes.map((box) => box.x)), Math.min(...boxes.map((box) => box.y))]
  const right = Math.max(...boxes.map((box) => box.x + box.width))
  const bottom = Math.max(...boxes.map((box) => box.y + box.height))
  return { x, y, width: right - x, height: bottom - y }
}

/** @param {Box} box @param {number} pixels @returns {Box} */
function enlarged({ x, y, width, height }, pixels) {
  return { x: x - pixels, y: y - pixels, width: width + 2 * pixels, height: height + 2 * pixels }
}
