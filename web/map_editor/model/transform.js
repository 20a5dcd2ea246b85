// @ts-check
/** Moves, scales, rotates and mirrors pieces of a map, by the formulas of Piece in core/maps/objects.py. */

import { Raster, clip, cropped, maskBox, overlap } from "./raster.js"

/** @typedef {import("./raster.js").Mask} Mask */
/** @typedef {import("./raster.js").Rect} Rect */

/**
 * Pixels that were cut out of a map or will be laid on it; they may reach past its edge.
 * @typedef {{x: number, y: number, width: number, height: number, mask: Mask, data: Uint32Array}} Piece
 */

/**
 * A transform of a piece about its centre: it is mirrored, scaled, rotated clockwise, and then moved by whole pixels.
 * @typedef {object} Transform
 * @property {number} [dx] @property {number} [dy] @property {number} [scaleX] @property {number} [scaleY]
 * @property {number} [degrees] @property {boolean} [flipX] left and right change places @property {boolean} [flipY]
 */

/**
 * The pixels of a mask as one piece; null if none is set.
 * @param {Raster} raster @param {Mask} mask @returns {Piece|null}
 */
export function lift(raster, mask) {
  const box = maskBox(mask, raster.width)
  return (
    box && { ...box, mask: cropped(mask, raster.width, box), data: cropped(raster.data, raster.width, box) }
  )
}

/**
 * A transformed copy. Every pixel is one of the piece's, so no new colour appears.
 * @param {Piece} piece @param {Transform} transform @param {Rect} [bounds] only the part inside is made
 * @returns {Piece}
 */
export function transformed(piece, transform, bounds) {
  const { dx = 0, dy = 0, degrees = 0 } = transform
  const scaled = scaling(piece, transform)
  const angle = ((degrees % 360) + 360) % 360
  const place = angle % 90 ? turnedBox(scaled.box, angle) : quarterBox(scaled.box, angle)
  const whole = { ...place, x: place.x + Math.round(dx), y: place.y + Math.round(dy) }
  const part = bounds ? (overlap(whole, bounds) ?? { ...whole, width: 0, height: 0 }) : whole
  const size = part.width * part.height
  const result = { ...part, mask: new Uint8Array(size), data: new Uint32Array(size) }
  const at = { x: part.x - whole.x, y: part.y - whole.y }
  if (angle % 90) sampleTurned(piece, scaled, angle, place, at, result)
  else sampleQuarters(piece, scaled, angle, at, result)
  return result
}

/**
 * The size of a piece that is scaled about its centre, at least one pixel, and the sources of its columns and rows: pixel
 * x, y comes from `piece.data[columns[x] + rows[y]]`.
 * @param {Piece} piece @param {Transform} transform
 */
function scaling(piece, { scaleX = 1, scaleY = 1, flipX = false, flipY = false }) {
  const width = Math.max(1, roundHalfEven(piece.width * scaleX))
  const height = Math.max(1, roundHalfEven(piece.height * scaleY))
  const columns = samples(piece.width, width, flipX)
  const rows = samples(piece.height, height, flipY).map((row) => row * piece.width)
  return { box: centred(width, height, piece), columns, rows }
}

/** @typedef {ReturnType<typeof scaling>} Scaling */

/** @param {number} length @param {number} size @param {boolean} flip */
function samples(length, size, flip) {
  return Int32Array.from({ length: size }, (_, i) => {
    const from = Math.floor(((2 * i + 1) * length) / (2 * size))
    return flip ? length - 1 - from : from
  })
}

/** @param {Rect} box @param {number} angle 0, 90, 180 or 270 */
function quarterBox(box, angle) {
  return angle % 180 ? centred(box.height, box.width, box) : box
}

/**
 * @param {Piece} piece @param {Scaling} scaled @param {number} angle
 * @param {{x: number, y: number}} at of the whole @param {Piece} result
 */
function sampleQuarters(piece, { columns, rows }, angle, at, result) {
  const backwards = [columns.toReversed(), rows.toReversed()]
  const across = [columns, backwards[1], backwards[0], rows][angle / 90].subarray(at.x)
  const down = [rows, columns, backwards[1], backwards[0]][angle / 90].subarray(at.y)
  for (let y = 0, to = 0; y < result.height; y++) {
    for (let x = 0; x < result.width; x++, to++) {
      const from = across[x] + down[y]
      result.mask[to] = piece.mask[from]
      result.data[to] = piece.data[from]
    }
  }
}

/** @param {Rect} box @param {number} angle in degrees @returns {Rect} */
function turnedBox(box, angle) {
  const [cos, sin] = direction(angle).map(Math.abs)
  const middleX = box.x + box.width / 2
  const middleY = box.y + box.height / 2
  const reachX = (cos * box.width + sin * box.height) / 2
  const reachY = (sin * box.width + cos * box.height) / 2
  const [x, y] = [Math.floor(middleX - reachX), Math.floor(middleY - reachY)]
  return { x, y, width: Math.ceil(middleX + reachX) - x, height: Math.ceil(middleY + reachY) - y }
}

/**
 * @param {Piece} piece @param {Scaling} scaled @param {number} angle @param {Rect} place of the whole
 * @param {{x: number, y: number}} at of the whole @param {Piece} result
 */
function sampleTurned(piece, { box, columns, rows }, angle, place, at, result) {
  const [cos, sin] = direction(angle)
  const middleX = box.x + box.width / 2
  const middleY = box.y + box.height / 2
  const [halfWidth, halfHeight] = [box.width / 2, box.height / 2]
  for (let y = 0, to = 0; y < result.height; y++) {
    const dy = place.y + at.y + y + 0.5 - middleY
    const [sinDy, cosDy] = [sin * dy, cos * dy]
    for (let x = 0; x < result.width; x++, to++) {
      const dx = place.x + at.x + x + 0.5 - middleX
      const column = cos * dx + sinDy + halfWidth
      const row = cosDy - sin * dx + halfHeight
      if (column < 0 || column >= box.width || row < 0 || row >= box.height) continue
      const from = columns[column | 0] + rows[row | 0]
      result.mask[to] = piece.mask[from]
      result.data[to] = piece.data[from]
    }
  }
}

/** @param {number} angle in degrees @returns {[number, number]} cosine and sine */
function direction(angle) {
  const radians = angle * (Math.PI / 180)
  return [Math.cos(radians), Math.sin(radians)]
}

/**
 * A rectangle of a size with the centre of `on`, rounded so that the way back gives the same pixels.
 * @param {number} width @param {number} height @param {Rect} on @returns {Rect}
 */
function centred(width, height, on) {
  const x = on.x + Math.trunc((on.width - width) / 2)
  const y = on.y + Math.trunc((on.height - height) / 2)
  return { x, y, width, height }
}

/** Python's `round`. @param {number} x */
export function roundHalfEven(x) {
  const down = Math.floor(x)
  if (x - down !== 0.5) return Math.round(x)
  return down % 2 ? down + 1 : down
}

/**
 * Lays a piece over a map, except over values in `behind`.
 * @param {Raster} raster changed in place @param {Piece} piece
 * @param {Set<number>} [behind] values that stay in front of the piece
 * @returns {Rect|null} what may have changed
 */
export function lay(raster, piece, behind) {
  const seen = clip(piece, raster.width, raster.height)
  for (let y = 0; seen && y < seen.height; y++) {
    let from = (seen.y + y - piece.y) * piece.width + seen.x - piece.x
    let to = (seen.y + y) * raster.width + seen.x
    for (const end = to + seen.width; to < end; to++, from++) {
      if (piece.mask[from] && !behind?.has(raster.data[to])) raster.data[to] = piece.data[from]
    }
  }
  return seen
}
