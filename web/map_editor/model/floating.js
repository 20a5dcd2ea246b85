// @ts-check
/** A piece that floats over a map while it is dragged. Only the rectangles that it leaves and enters are redrawn. */

import { Raster, clip, copyRect, overlap, union } from "./raster.js"
import { lay, transformed } from "./transform.js"

/** @typedef {import("./raster.js").Mask} Mask */
/** @typedef {import("./raster.js").Rect} Rect */
/** @typedef {import("./transform.js").Piece} Piece */
/** @typedef {import("./transform.js").Transform} Transform */
/** @typedef {{x: number, y: number, raster: Raster}} Patch a rectangle of a map */

export class Floating {
  /**
   * @param {Piece} piece as it was lifted or pasted @param {Raster} settled the map before, not changed here
   * @param {Patch|null} hole the filled hole that the piece leaves
   */
  constructor(piece, settled, hole) {
    this.piece = piece
    this.settled = settled
    this.hole = hole
    /** The piece at its present place. */
    this.now = piece
    /** The rectangle to clear before the piece is laid again. @type {Rect|null} */
    this.stale = hole && rectOf(hole)
  }

  /** The piece's rectangle on the map, null if it is outside. */
  get seen() {
    return clip(this.now, this.settled.width, this.settled.height)
  }

  /**
   * Lays the piece on the map again, with a transform of its original.
   * @param {Raster} raster the map @param {Transform} transform
   * @param {Set<number>} [behind] values that stay in front of the piece
   * @returns {Rect|null} what may have changed
   */
  show(raster, transform, behind) {
    const { width, height } = raster
    const left = this.stale
    if (left) this.clear(raster, left)
    // up to half the map's size past the edge is kept, so that it can be dragged back in
    const bounds = { x: -(width >> 1), y: -(height >> 1), width: 2 * width, height: 2 * height }
    this.now = transformed(this.piece, transform, bounds)
    lay(raster, this.now, behind)
    this.stale = this.seen
    return union(left, this.seen)
  }

  /**
   * Shows the map without the piece.
   * @param {Raster} raster with its top left at `at` in the map @param {Rect} rect @param {{x: number, y: number}} [at]
   */
  clear(raster, rect, at) {
    copyRect(rect, this.settled, raster, undefined, at)
    const part = this.hole && overlap(rect, rectOf(this.hole))
    if (this.hole && part) copyRect(part, this.hole.raster, raster, this.hole, at)
  }

  /** The pixels that the piece covers now, null if it is outside the map. @returns {Patch|null} */
  covered() {
    const { seen } = this
    if (!seen) return null
    const raster = new Raster(seen.width, seen.height)
    this.clear(raster, seen, seen)
    return { x: seen.x, y: seen.y, raster }
  }

  /**
   * Selects the visible pixels of the piece.
   * @param {Mask} selection an empty mask that receives them @param {Raster} raster the map
   */
  select(selection, { width, data }) {
    const { seen } = this
    for (let y = 0; seen && y < seen.height; y++) {
      let from = (seen.y + y - this.now.y) * this.now.width + seen.x - this.now.x
      let to = (seen.y + y) * width + seen.x
      for (const end = to + seen.width; to < end; to++, from++) {
        selection[to] = this.now.mask[from] && data[to] === this.now.data[from] ? 1 : 0
      }
    }
  }
}

/** @param {Patch} patch @returns {Rect} */
export function rectOf({ x, y, raster }) {
  return { x, y, width: raster.width, height: raster.height }
}
