// @ts-check
/**
 * Thick lines and discs as Pillow's ImageDraw makes them, drawn four times finer and then reduced: pose maps come from
 * Python in just this way (training/data/skeletons.py), so an edited one has no seams.
 */

import { BLACK, fillRect, overlap, pack, union } from "./raster.js"

/** @typedef {import("./raster.js").Rect} Rect */
/** @typedef {import("./raster.js").Raster} Raster */
/** @typedef {[number, number, number]} Colour in 0..255 */
/** @typedef {{x0: number, y0: number, low: number, high: number, slope: number}} Edge x0, y0 is where it starts */

export const FINER = 4

/** Collects what is drawn as stretches of pixels in rows, on a picture `FINER` times as large as the map. */
export class Pen {
  /** @param {number} width @param {number} height of the map @param {Rect} [window] what of it is drawn */
  constructor(width, height, window = { x: 0, y: 0, width, height }) {
    this.width = width * FINER
    this.height = height * FINER
    this.window = window
    this.left = window.x * FINER
    this.right = (window.x + window.width) * FINER - 1
    this.top = window.y * FINER
    this.bottom = (window.y + window.height) * FINER - 1
    /** By row: first pixel, last pixel and packed colour of each stretch. @type {[number, number, number][][]} */
    this.rows = []
  }

  /** @param {number} y @param {number} from @param {number} to inclusive @param {Colour} colour */
  stretch(y, from, to, colour) {
    if (y < this.top || y > this.bottom) return
    const [left, right] = [Math.max(Math.min(from, to), this.left), Math.min(Math.max(from, to), this.right)]
    if (left <= right) (this.rows[y] ??= []).push([left, right, pack(...colour)])
  }

  /** A disc in the box from x0, y0 to x1, y1. @param {number[]} box @param {Colour} colour */
  disc(box, colour) {
    const [x0, y0, x1, y1] = box.map(Math.trunc)
    const [width, height] = [x1 - x0, y1 - y0]
    // in half pixels from the middle, the outline of a quarter from its right to its top
    let [x, y] = [width, height % 2]
    const far = (/** @type {number} */ px, /** @type {number} */ py) =>
      Math.abs((width * py) ** 2 + (height * px) ** 2 - (width * height) ** 2)
    for (let row = -1; y <= height;) {
      if (y > row) {
        for (const side of [y, -y]) {
          this.stretch(y0 + (side + height) / 2, x0 + (width - x) / 2, x0 + (width + x) / 2, colour)
        }
        row = y
      }
      if (x === width % 2 && y === height) break
      const steps =
        x > 1
          ? [
              [x, y + 2],
              [x - 2, y + 2],
              [x - 2, y],
            ]
          : [[x, y + 2]]
      ;[x, y] = steps.reduce((best, step) => (far(step[0], step[1]) < far(best[0], best[1]) ? step : best))
    }
  }

  /** @param {number[]} from @param {number[]} to @param {number} width @param {Colour} colour */
  line(from, to, width, colour) {
    const [x0, y0] = from.map(Math.trunc)
    const [x1, y1] = to.map(Math.trunc)
    const [dx, dy] = [x1 - x0, y1 - y0]
    if (!dx && !dy) return this.stretch(y0, x0, x0, colour)
    const length = Math.hypot(dx, dy)
    const half = (width - 1) / 2
    const [more, less] = [halfUp(half) / length, halfDown(half) / length]
    const [left, right, down, up] = [less * dy, more * dy, more * dx, less * dx].map(halfDown)
    this.polygon(
      [
        [x0 - left, y0 + down],
        [x1 - left, y1 + down],
        [x1 + right, y1 - up],
        [x0 + right, y0 - up],
      ],
      colour,
    )
  }

  /** A filled polygon with whole corners. @param {number[][]} corners @param {Colour} colour */
  polygon(corners, colour) {
    /** @type {Edge[]} */
    const edges = []
    corners.forEach(([x0, y0], i) => {
      const [x1, y1] = corners[(i + 1) % corners.length]
      const slope = Math.fround((x1 - x0) / (y1 - y0))
      if (y0 === y1) this.stretch(y0, x0, x1, colour)
      else edges.push({ x0, y0, low: Math.min(y0, y1), high: Math.max(y0, y1), slope })
    })
    const ys = corners.map(([, y]) => y)
    const last = Math.min(Math.max(...ys, 0), this.height)
    for (let y = Math.max(this.top, Math.min(...ys)); y <= Math.min(last, this.bottom); y++) {
      const crossings = crossingsOf(edges, y, last)
      for (let i = 1; i < crossings.length; i += 2) {
        this.stretch(y, halfUp(crossings[i - 1]), halfDown(crossings[i]), colour)
      }
    }
  }

  /**
   * Lays what was drawn over a map: a pixel with any of it becomes the mean of its finer ones, black where nothing was
   * drawn.
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
   * Blackens a map where something was drawn, and a pixel around it.
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

  /** The mean of a cell of a strip of `FINER` rows, which it clears. @param {Uint32Array} strip @param {number} left */
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
 * Where a row crosses the edges of a polygon, in order; those at its corners moved so that rows of a thin one join.
 * @param {Edge[]} edges @param {number} y @param {number} last the last row
 */
function crossingsOf(edges, y, last) {
  /** @type {number[]} */
  const found = []
  edges.forEach((edge, i) => {
    if (y < edge.low || y > edge.high) return
    const x = xAt(edge, y)
    if (y === edge.high && y < last) return void found.push(x, x)
    const isCorner = (y === edge.low || y === edge.high) && edge.slope !== 0
    found.push(isCorner ? cornerOf(edge, edges.slice(0, i), x, y) : x)
  })
  return found.sort((a, b) => a - b)
}

/** @param {Edge} edge @param {Edge[]} others @param {number} x @param {number} y */
function cornerOf(edge, others, x, y) {
  const next = y === edge.high ? y - 1 : y + 1
  const other = others.find(
    (o) =>
      (y === o.low || y === o.high) &&
      o.slope !== 0 &&
      halfUp(x) === halfUp(xAt(o, y)) &&
      next >= o.low &&
      next <= o.high,
  )
  if (!other) return x
  const [a, b] = [xAt(edge, next), xAt(other, next)]
  if (x > Math.fround(a + 1) && x > Math.fround(b + 1)) return halfUp(Math.max(a, b)) + 1
  if (x < Math.fround(a - 1) && x < Math.fround(b - 1)) return halfUp(Math.min(a, b)) - 1
  return x
}

/** In single precision, as Pillow has it. @param {Edge} edge @param {number} y */
function xAt({ x0, y0, slope }, y) {
  return Math.fround(Math.fround((y - y0) * slope) + x0)
}

/** Rounded, halves away from zero. @param {number} x */
function halfUp(x) {
  return Math.sign(x) * Math.floor(Math.abs(x) + 0.5)
}

/** Rounded, halves towards zero. @param {number} x */
function halfDown(x) {
  return Math.sign(x) * Math.ceil(Math.abs(x) - 0.5)
}
