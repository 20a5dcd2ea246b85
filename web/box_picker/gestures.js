// @ts-check
// The effect of pointer and keys on boxes. No DOM.

/**
 * @typedef {import("./boxes.js").Box} Box
 * @typedef {import("./boxes.js").Size} Size
 * @typedef {{x: number, y: number}} Point in the picture's pixels, not rounded
 * @typedef {"move" | "n" | "ne" | "e" | "se" | "s" | "sw" | "w" | "nw"} Handle
 */

/**
 * The handles with their position on a box: 0 is left or top, 1 right or bottom.
 * @type {[Handle, number, number][]}
 */
export const HANDLES = [
  ["nw", 0, 0],
  ["n", 0.5, 0],
  ["ne", 1, 0],
  ["e", 1, 0.5],
  ["se", 1, 1],
  ["s", 0.5, 1],
  ["sw", 0, 1],
  ["w", 0, 0.5],
]

/**
 * The box under a point, and the handle to drag: first a handle of the selected box, then the smallest box around
 * the point, of equals the later one.
 * @param {Box[]} boxes
 * @param {number} selected index, or -1
 * @param {Point} point
 * @param {number} reach of a handle, in the picture's pixels
 * @returns {{index: number, handle: Handle} | null}
 */
export function hit(boxes, selected, point, reach) {
  const handle = boxes[selected] && handleAt(boxes[selected], point, reach)
  if (handle) return { index: selected, handle }
  let found = -1
  boxes.forEach((box, index) => {
    const smaller = found < 0 || box.width * box.height <= boxes[found].width * boxes[found].height
    if (contains(box, point) && smaller) found = index
  })
  return found < 0 ? null : { index: found, handle: "move" }
}

/**
 * The handle at a point. Edges count along their whole length. Inside, a handle reaches at most a quarter of the box,
 * so that a small box can still be moved.
 * @param {Box} box
 * @param {Point} point
 * @param {number} reach
 * @returns {Handle | null}
 */
function handleAt(box, point, reach) {
  const side = (/** @type {number} */ at, /** @type {number} */ start, /** @type {number} */ length) => {
    if (at < start - reach || at > start + length + reach) return null
    const inner = Math.min(reach, length / 4)
    return at <= start + inner ? 0 : at >= start + length - inner ? 1 : 0.5
  }
  const [across, down] = [side(point.x, box.x, box.width), side(point.y, box.y, box.height)]
  return HANDLES.find(([, x, y]) => x === across && y === down)?.[0] ?? null
}

/** @param {Box} box @param {Point} point */
function contains(box, point) {
  const [right, bottom] = [box.x + box.width, box.y + box.height]
  return point.x >= box.x && point.x < right && point.y >= box.y && point.y < bottom
}

/**
 * The box between two points, inside the picture and at least one pixel large.
 * @param {Point} from
 * @param {Point} to
 * @param {Size} picture
 * @returns {Box}
 */
export function drawn(from, to, picture) {
  const [x, width] = span(from.x, to.x, picture.width)
  const [y, height] = span(from.y, to.y, picture.height)
  return { x, y, width, height }
}

/** @returns {[number, number]} start and length in whole pixels */
function span(/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ limit) {
  const [low, high] = [a, b].map((end) => clamp(Math.round(end), 0, limit)).sort((one, other) => one - other)
  return high > low ? [low, high - low] : [Math.min(low, limit - 1), 1]
}

/**
 * The box after a handle was dragged. Past the opposite edge the box turns over.
 * @param {Box} box as it was when the drag began
 * @param {Handle} handle
 * @param {Point} from
 * @param {Point} to
 * @param {Size} picture
 * @returns {Box}
 */
export function dragged(box, handle, from, to, picture) {
  const [dx, dy] = [Math.round(to.x - from.x), Math.round(to.y - from.y)]
  if (handle === "move") return moved(box, dx, dy, picture)
  const start = { x: box.x, y: box.y }
  const end = { x: box.x + box.width, y: box.y + box.height }
  if (handle.includes("w")) start.x += dx
  if (handle.includes("e")) end.x += dx
  if (handle.includes("n")) start.y += dy
  if (handle.includes("s")) end.y += dy
  return { ...box, ...drawn(start, end, picture) }
}

/**
 * @param {Box} box
 * @param {number} dx
 * @param {number} dy
 * @param {Size} picture the box stays inside
 * @returns {Box}
 */
export function moved(box, dx, dy, picture) {
  const x = clamp(box.x + dx, 0, picture.width - box.width)
  const y = clamp(box.y + dy, 0, picture.height - box.height)
  return { ...box, x, y }
}

/** @param {number} value @param {number} low @param {number} high low wins if high is below it */
function clamp(value, low, high) {
  return Math.max(low, Math.min(value, high))
}

/** @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }

/**
 * The effect of a key. Arrows move by a pixel, with Shift by a cell; with Alt they move the right and bottom edges.
 * Tab selects the next box, and after the last one moves on in the page.
 * @param {{key: string, shiftKey?: boolean, altKey?: boolean, ctrlKey?: boolean, metaKey?: boolean}} pressed
 * @param {Box[]} boxes
 * @param {number} selected index, or -1
 * @param {{picture: Size, token: number}} canvas
 * @returns {{boxes: Box[], selected: number} | null} null if the picker does not use the key
 */
export function onKey(pressed, boxes, selected, { picture, token }) {
  const { key, shiftKey, altKey } = pressed
  const command = !!(pressed.ctrlKey || pressed.metaKey)
  if (key === "Tab") return next(boxes, selected + (shiftKey ? -1 : 1))
  const isDelete = (key === "Delete" || key === "Backspace") && !command
  const box = boxes[selected]
  if (!box) return isDelete ? { boxes, selected } : null // the page would delete the node
  if (isDelete) return removed(boxes, selected)
  const replaced = (/** @type {Box} */ by) => ({ boxes: boxes.with(selected, by), selected })
  if (key in ARROWS && !command) {
    const [dx, dy] = ARROWS[key].map((way) => way * (shiftKey ? token : 1))
    if (!altKey) return replaced(moved(box, dx, dy, picture))
    const width = clamp(box.width + dx, 1, Math.max(1, picture.width - box.x))
    const height = clamp(box.height + dy, 1, Math.max(1, picture.height - box.y))
    return replaced({ ...box, width, height })
  }
  if (key.toLowerCase() === "d" && command) {
    return { boxes: [...boxes, moved(box, token, token, picture)], selected: boxes.length }
  }
  if (key === "Escape") return { boxes, selected: -1 }
  return null
}

/** @param {Box[]} boxes @param {number} index */
function next(boxes, index) {
  return boxes[index] ? { boxes, selected: index } : null
}

/**
 * The boxes without one of them, and the one to select next.
 * @param {Box[]} boxes
 * @param {number} index
 */
export function removed(boxes, index) {
  return { boxes: boxes.toSpliced(index, 1), selected: Math.min(index, boxes.length - 2) }
}
