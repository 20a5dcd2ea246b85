// @ts-check
// The geometry of the box with handles around a floating piece, in the map's pixels.

/**
 * @typedef {{dx: number, dy: number, scaleX: number, scaleY: number, degrees: number, flipX: boolean,
 *   flipY: boolean}} Placement how a piece was scaled, rotated clockwise and moved from where it was cut
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 * @typedef {{x: number, y: number}} Point
 */

/** @returns {Placement} */
export const unmoved = () => ({ dx: 0, dy: 0, scaleX: 1, scaleY: 1, degrees: 0, flipX: false, flipY: false })

/** The handles that scale, by their position on the box: -1, 0 or 1 across and down. */
const HANDLES = [-1, 0, 1].flatMap((v) => [-1, 0, 1].map((u) => ({ u, v }))).filter(({ u, v }) => u || v)

const radians = (degrees) => (degrees * Math.PI) / 180

/** @returns {Point} */
function turned(x, y, degrees) {
  const [sin, cos] = [Math.sin(radians(degrees)), Math.cos(radians(degrees))]
  return { x: x * cos - y * sin, y: x * sin + y * cos }
}

/** @param {Box} box @param {Placement} placement @returns {Point} */
export function centreOf(box, placement) {
  return { x: box.x + box.width / 2 + placement.dx, y: box.y + box.height / 2 + placement.dy }
}

/**
 * @param {Box} box of the piece as it was cut
 * @param {Placement} placement
 * @param {number} u -1 is the left edge, 1 the right one
 * @param {number} v -1 is the top, 1 the bottom
 * @returns {Point} the present place of that point of the box
 */
export function pointOf(box, placement, u, v) {
  const centre = centreOf(box, placement)
  const arm = turned(
    (u * box.width * placement.scaleX) / 2,
    (v * box.height * placement.scaleY) / 2,
    placement.degrees,
  )
  return { x: centre.x + arm.x, y: centre.y + arm.y }
}

/** @param {Box} box @param {Placement} placement @param {number} reach @returns {Point} the handle that rotates */
export function turnHandle(box, placement, reach) {
  const top = pointOf(box, placement, 0, -1)
  const out = turned(0, -reach, placement.degrees)
  return { x: top.x + out.x, y: top.y + out.y }
}

/**
 * The handles that a box has room for: on a narrow one, only the corners.
 * @param {Box} box
 * @param {Placement} placement
 * @param {number} near how far from a handle still counts as it, in the map's pixels
 */
export function handlesOf(box, placement, near) {
  const [width, height] = [box.width * placement.scaleX, box.height * placement.scaleY]
  return HANDLES.filter(({ u, v }) => (u && v) || (u ? height : width) > 4 * near)
}

/**
 * The part of the box under a point.
 * @param {Box} box
 * @param {Placement} placement
 * @param {Point} point
 * @param {number} near as in `handlesOf`
 * @param {number} reach of the handle that rotates
 * @returns {{kind: "turn"} | {kind: "scale", u: number, v: number} | {kind: "inside"} | null}
 */
export function hit(box, placement, point, near, reach) {
  const close = (at) => Math.hypot(at.x - point.x, at.y - point.y) <= near
  if (close(turnHandle(box, placement, reach))) return { kind: "turn" }
  const handle = handlesOf(box, placement, near).find(({ u, v }) => close(pointOf(box, placement, u, v)))
  if (handle) return { kind: "scale", ...handle }
  const centre = centreOf(box, placement)
  const local = turned(point.x - centre.x, point.y - centre.y, -placement.degrees)
  const inside =
    Math.abs(local.x) * 2 <= box.width * placement.scaleX &&
    Math.abs(local.y) * 2 <= box.height * placement.scaleY
  return inside ? { kind: "inside" } : null
}

/**
 * The placement after a handle was dragged to a point; the opposite side stays in place.
 * @param {Box} box
 * @param {Placement} start
 * @param {{u: number, v: number}} handle
 * @param {Point} point
 * @param {boolean} keepRatio
 * @returns {Placement}
 */
export function scaled(box, start, { u, v }, point, keepRatio) {
  const anchor = pointOf(box, start, -u, -v)
  const arm = turned(point.x - anchor.x, point.y - anchor.y, -start.degrees)
  let scaleX = u ? (arm.x * u) / box.width : start.scaleX
  let scaleY = v ? (arm.y * v) / box.height : start.scaleY
  if (keepRatio) {
    const [growX, growY] = [scaleX / start.scaleX, scaleY / start.scaleY]
    const grow = Math.max(0, u && v ? Math.max(growX, growY) : u ? growX : growY)
    ;[scaleX, scaleY] = [start.scaleX * grow, start.scaleY * grow]
  }
  scaleX = wholeSize(box.width * scaleX) / box.width
  scaleY = wholeSize(box.height * scaleY) / box.height
  const middle = turned((u * box.width * scaleX) / 2, (v * box.height * scaleY) / 2, start.degrees)
  return {
    ...start,
    scaleX,
    scaleY,
    dx: anchor.x + middle.x - box.x - box.width / 2,
    dy: anchor.y + middle.y - box.y - box.height / 2,
  }
}

const wholeSize = (size) => Math.max(1, Math.round(size))

/**
 * A placement for the model. The model rounds the place of a scaled piece itself, which this compensates.
 * @param {Box} box
 * @param {Placement} placement
 * @returns {Placement} moved by whole pixels
 */
export function inWholePixels(box, placement) {
  if (placement.degrees) return { ...placement, dx: Math.round(placement.dx), dy: Math.round(placement.dy) }
  const centre = centreOf(box, placement)
  const moved = (at, old, size, middle) => Math.round(middle - size / 2) - at - Math.trunc((old - size) / 2)
  const width = wholeSize(box.width * placement.scaleX)
  const height = wholeSize(box.height * placement.scaleY)
  const dx = moved(box.x, box.width, width, centre.x)
  return { ...placement, dx, dy: moved(box.y, box.height, height, centre.y) }
}

/**
 * The placement after the piece was rotated about its centre, from one point to another.
 * @param {Box} box
 * @param {Placement} start
 * @param {Point} from
 * @param {Point} to
 * @param {boolean} inSteps of 15 degrees
 * @returns {Placement}
 */
export function rotated(box, start, from, to, inSteps) {
  const centre = centreOf(box, start)
  const angle = (point) => (Math.atan2(point.y - centre.y, point.x - centre.x) * 180) / Math.PI
  const degrees = start.degrees + angle(to) - angle(from)
  return { ...start, degrees: inSteps ? Math.round(degrees / 15) * 15 : Math.round(degrees * 10) / 10 }
}
