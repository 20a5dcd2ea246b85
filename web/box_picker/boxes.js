// @ts-check
// Boxes as values of workflows and prompts, with the arithmetic of core/small_objects/boxes.py. No DOM.

/**
 * A box in whole pixels from the picture's top left. `text` and `seed` (its digits) are optional.
 * @typedef {{x: number, y: number, width: number, height: number, text?: string, seed?: string}} Box
 * @typedef {{width: number, height: number}} Size
 * @typedef {"green" | "amber" | "red"} Grade
 */

const LARGEST_SEED = 2n ** 64n - 1n

/**
 * The boxes of a saved value, which is one box or a list. Anything that is not a box is left out.
 * @param {any} value
 * @returns {Box[]}
 */
export function readBoxes(value) {
  const items = Array.isArray(value) ? value.flat() : [value]
  return items.filter(isBox).map((item) => {
    const [x, y, width, height] = [item.x, item.y, item.width, item.height].map(Math.round)
    const text = typeof item.text === "string" && item.text ? { text: item.text } : {}
    const digits = item.seed == null ? null : readSeed(String(item.seed))
    const seed = digits ? { seed: digits } : {}
    return { x, y, width: Math.max(1, width), height: Math.max(1, height), ...text, ...seed }
  })
}

/**
 * The value to save: a single box alone, else a list. Seeds above 2^53 stay digits, because JavaScript's numbers
 * would round them.
 * @param {Box[]} boxes
 */
export function valueOf(boxes) {
  const items = boxes.map(({ x, y, width, height, text, seed }) => ({
    x,
    y,
    width,
    height,
    ...(text && { text }),
    ...(seed && { seed: Number.isSafeInteger(Number(seed)) ? Number(seed) : seed }),
  }))
  return items.length === 1 ? items[0] : items
}

/**
 * The digits of a typed seed.
 * @param {string} text
 * @returns {string | null} null unless it is a whole number from 0 to 2^64 - 1
 */
export function readSeed(text) {
  const digits = text.trim()
  if (!/^\d+$/.test(digits)) return null
  const seed = BigInt(digits)
  return seed <= LARGEST_SEED ? String(seed) : null
}

/**
 * A node's saved values without the four numbers that the page's own box widget saved after its box:
 * [box, x, y, width, height, …].
 * @param {any[]} values
 * @param {number} place the index of the box among them
 */
export function withoutCompanions(values, place) {
  const beside = values.slice(place + 1, place + 5)
  const isOld =
    isBox(values[place]) && beside.length === 4 && beside.every((each) => typeof each === "number")
  return isOld ? values.toSpliced(place + 1, 4) : values
}

/** @param {any} item */
function isBox(item) {
  const sides = item && [item.x, item.y, item.width, item.height]
  return !!sides && sides.every(Number.isFinite)
}

/**
 * The part of a box inside the picture, null if there is none.
 * @param {Box} box
 * @param {Size} picture
 * @returns {Box | null}
 */
export function clipped(box, picture) {
  const [x, y] = [Math.max(box.x, 0), Math.max(box.y, 0)]
  const right = Math.min(box.x + box.width, picture.width)
  const bottom = Math.min(box.y + box.height, picture.height)
  return right > x && bottom > y ? { x, y, width: right - x, height: bottom - y } : null
}

/**
 * The part of the picture that is edited for a box: clipped, grown, and snapped to the model's grid, as
 * core/small_objects/region.py plans it without a mask and without scaling the window.
 * @param {Box} box
 * @param {Size} picture
 * @param {{grow: number, snap: boolean, token: number}} settings
 * @returns {Box | null} null outside the picture
 */
export function edited(box, picture, { grow, snap, token }) {
  const inside = clipped(box, picture)
  if (!inside) return null
  const { x, y, width, height } = inside
  const larger = { x: x - grow, y: y - grow, width: width + 2 * grow, height: height + 2 * grow }
  const grown = /** @type {Box} */ (clipped(larger, picture))
  return snap ? snapped(grown, token) : grown
}

/**
 * The smallest box around `box` on a grid of `cell` pixels.
 * @param {Box} box
 * @param {number} cell
 * @returns {Box}
 */
export function snapped(box, cell) {
  const [x, y] = [Math.floor(box.x / cell) * cell, Math.floor(box.y / cell) * cell]
  const width = Math.ceil((box.x + box.width) / cell) * cell - x
  const height = Math.ceil((box.y + box.height) / cell) * cell - y
  return { x, y, width, height }
}

/**
 * The cells of a box at the UNet's lowest level, and their grade: red is under one, amber under two.
 * @param {Size} box
 * @param {{token: number, levels: number}} model
 * @returns {{across: number, down: number, grade: Grade}}
 */
export function effectiveArea(box, { token, levels }) {
  const side = token * 2 ** (levels - 1)
  const [across, down] = [box.width / side, box.height / side]
  const smallest = Math.min(across, down)
  return { across, down, grade: smallest < 1 ? "red" : smallest < 2 ? "amber" : "green" }
}

/**
 * A new box in the centre of the picture, large enough for a green grade if the picture is.
 * @param {Size} picture
 * @param {{token: number, levels: number}} model
 * @returns {Box}
 */
export function newBox(picture, { token, levels }) {
  const side = token * 2 ** levels
  const [width, height] = [Math.min(side, picture.width), Math.min(side, picture.height)]
  return { x: (picture.width - width) >> 1, y: (picture.height - height) >> 1, width, height }
}

/**
 * The size of the area to draw on while no picture is known: large enough for the boxes.
 * @param {Box[]} boxes
 * @returns {Size}
 */
export function guessedSize(boxes) {
  const reach = (/** @type {(box: Box) => number} */ end) => Math.max(512, ...boxes.map(end))
  return { width: reach((box) => box.x + box.width), height: reach((box) => box.y + box.height) }
}
