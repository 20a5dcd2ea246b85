// @ts-check
/**
 * A pen draws thick lines and discs four times larger and then reduces them, as pose maps are drawn in Python
 * (training/data/skeletons.py), so that an edited pose shows no seams.
 */

import { BLACK, fillRect, overlap, pack, union } from "./raster.js"

/** @typedef {import("./raster.js").Rect} Rect */
/** @typedef {import("./raster.js").Raster} Raster */
/** @typedef {[number, number, number]} Colour in 0..255 */

export const FINER = 4

/** Collects drawings as stretches of pixels in rows, on a picture `FINER` times as large as the map. */
export class Pen {
  /** @param {number} width @param {number} height of the map @param {Rect} [window] the part to draw */
  constructor(width, height, window = { x: 0, y: 0, width, height }) {
    this.width = width * FINER
    this.height = height * FINER
    this.window = window
    this.left = window.x * FINER
    this.right = (window.x + window.width) * FINER - 1
    this.top = window.y * FINER
    this.bottom = (window.y + window.height) * FINER - 1
    /** For each row, its stretches: first pixel, last pixel, packed colour. @type {[number, number, number][][]} */
    this.rows = []
  }

  /** @param {number} y @param {number} from @param {number} to inclusive @param {Colour} colour */
  stretch(y, from, to, colour) {
    if (y < this.top || y > this.bottom) return
    const [left, right] = [Math.max(Math.min(from, to), this.left), Math.min(Math.max(from, to), this.right)]
    if (left <= right) (this.rows[y] ??= []).push([left, right, pack(...colour)])
  }

  /** Draws a disc. @param {number[]} middle @param {number} radius @param {Colour} colour */
  disc([x, y], radius, colour) {
    for (let row = Math.ceil(y - radius); row <= y + radius; row++) {
      const half = Math.sqrt(radius ** 2 - (row - y) ** 2)
      this.stretch(row, Math.ceil(x - half), Math.floor(x + half), colour)
    }
  }

  /** Draws a line with straight ends. @param {number[]} from @param {number[]} to @param {number} width @param {Colour} colour */
  line([x0, y0], [x1, y1], width, colour) {
    const length = Math.hypot(x1 - x0, y1 - y0)
    if (!length) return
    const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length]
    const reach = (Math.abs(dx) * width) / 2
    for (let row = Math.ceil(Math.min(y0, y1) - reach); row <= Math.max(y0, y1) + reach; row++) {
      const along = between(dx, (row - y0) * dy, 0, length)
      const across = between(-dy, (row - y0) * dx, -width / 2, width / 2)
      const [left, right] = [Math.max(along[0], across[0]), Math.min(along[1], across[1])]
      if (left <= right) this.stretch(row, Math.ceil(x0 + left), Math.floor(x0 + right), colour)
    }
  }

  /**
   * Lays the drawing over a map: a pixel that it touches becomes the mean of its finer pixels, which are black where
   * nothing was drawn.
   * @param {Raster} raster of the map's size @returns {Rect|null} what may have changed
   */
  reduceTo(raster) {
    const strip = new Uint32Array(FINER * this.width)
    const drawn = new Uint8Array(raster.width)
    let changed = null
    for (let y = this.window.y; y < this.window.y + this.window.height; y++) {
      drawn.fill(0)
      for (let line = 0; line < FINER; line++) {
        for (const [from, to, colour] of this.rows[y * FINER + line] ?? []) {
          strip.fill(colour, line * this.width + from, line * this.width + to + 1)
          drawn.fill(1, Math.floor(from / FINER), Math.floor(to / FINER) + 1)
        }
      }
      const [first, last] = [drawn.indexOf(1), drawn.lastIndexOf(1)]
      for (let x = first; x >= 0 && x <= last; x++) {
        if (drawn[x]) raster.data[y * raster.width + x] = this.taken(strip, x * FINER)
      }
      if (first >= 0) changed = union(changed, { x: first, y, width: last - first + 1, height: 1 })
    }
    return changed
  }

  /**
   * Makes a map black where something was drawn, and one pixel around it.
   * @param {Raster} raster of the map's size @returns {Rect|null} what may have changed
   */
  erase(raster) {
    let changed = null
    for (const [row, stretches] of Object.entries(this.rows)) {
      const y = Math.floor(Number(row) / FINER)
      for (const [from, to] of stretches) {
        const [x, right] = [Math.floor(from / FINER) - 1, Math.floor(to / FINER) + 2]
        const rect = overlap({ x, y: y - 1, width: right - x, height: 3 }, this.window)
        changed = union(changed, rect)
        if (rect) fillRect(raster, rect, BLACK)
      }
    }
    return changed
  }

  /** The mean of one cell in a strip of `FINER` rows. Clears the cell. @param {Uint32Array} strip @param {number} left */
  taken(strip, left) {
    let [red, green, blue] = [8, 8, 8]
    for (let line = 0; line < FINER; line++) {
      const start = line * this.width + left
      for (let at = start; at < start + FINER; at++) {
        const value = strip[at]
        red += value & 255
        green += (value >>> 8) & 255
        blue += (value >>> 16) & 255
        strip[at] = 0
      }
    }
    return pack(red >> 4, green >> 4, blue >> 4)
  }
}

/**
 * The first and last x for which `slope · x + offset` lies between two numbers.
 * @param {number} slope @param {number} offset @param {number} low @param {number} high @returns {[number, number]}
 */
function between(slope, offset, low, high) {
  if (!slope) return offset >= low && offset <= high ? [-Infinity, Infinity] : [Infinity, -Infinity]
  const [a, b] = [(low - offset) / slope, (high - offset) / slope]
  return [Math.min(a, b), Math.max(a, b)]
}
