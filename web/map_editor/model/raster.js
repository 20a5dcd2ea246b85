// @ts-check
/** Rasters are pictures of packed pixels; masks and rectangles select parts of them. */

/** @typedef {{x: number, y: number, width: number, height: number}} Rect whole pixels, origin top left */
/** @typedef {Uint8Array} Mask 0 or 1 for every pixel of a map, row by row */
/** @typedef {number} Value a packed pixel, 0xAABBGGRR */
/** @typedef {[number, number]} Point x, y */

export const BLACK = grey(0)
export const WHITE = grey(255)

/**
 * An opaque pixel of three channels in 0..255.
 * @param {number} r @param {number} g @param {number} b @returns {Value}
 */
export function pack(r, g, b) {
  return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0
}

/** An opaque grey. @param {number} level 0..255 @returns {Value} */
export function grey(level) {
  return pack(level, level, level)
}

/** @param {Value} value @returns {[number, number, number]} red, green, blue in 0..255 */
export function unpack(value) {
  return [value & 255, (value >>> 8) & 255, (value >>> 16) & 255]
}

/** A picture; `data` holds one Value for each pixel, row by row. */
export class Raster {
  /** @param {number} width @param {number} height @param {Uint32Array} [data] black if omitted */
  constructor(width, height, data) {
    if (data && data.length !== width * height) {
      throw new RangeError(
        `data has ${data.length} pixels; a raster of ${width}×${height} needs ${width * height}`,
      )
    }
    this.width = width
    this.height = height
    this.data = data ?? new Uint32Array(width * height).fill(BLACK)
  }

  /**
   * A copy of canvas pixels, made opaque.
   * @param {{width: number, height: number, data: Uint8ClampedArray}} image
   */
  static fromImageData({ width, height, data }) {
    const packed = new Uint32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength))
    for (let i = 0; i < packed.length; i++) packed[i] |= 0xff000000
    return new Raster(width, height, packed)
  }

  /** The pixels' memory as RGBA bytes, shared with `data`. */
  get bytes() {
    return new Uint8ClampedArray(this.data.buffer, this.data.byteOffset, this.data.byteLength)
  }

  clone() {
    return new Raster(this.width, this.height, this.data.slice())
  }

  /** @param {number} x @param {number} y inside the raster @returns {Value} */
  at(x, y) {
    return this.data[y * this.width + x]
  }

  /** @param {Rect} rect inside the raster */
  crop(rect) {
    return new Raster(rect.width, rect.height, cropped(this.data, this.width, rect))
  }

  /**
   * Copies another raster into this one, with its top left at x, y; all of it must fit.
   * @param {Raster} raster @param {number} x @param {number} y
   */
  put(raster, x, y) {
    for (let row = 0; row < raster.height; row++) {
      const line = raster.data.subarray(row * raster.width, (row + 1) * raster.width)
      this.data.set(line, (y + row) * this.width + x)
    }
  }

  /** @param {Raster} other */
  equals(other) {
    if (this.width !== other.width || this.height !== other.height) return false
    for (let i = 0; i < this.data.length; i++) if (this.data[i] !== other.data[i]) return false
    return true
  }
}

/**
 * A copy of a rectangle in rows of `width`.
 * @template {Uint8Array | Uint32Array} T @param {T} array @param {number} width @param {Rect} rect @returns {T}
 */
export function cropped(array, width, rect) {
  const part = /** @type {T} */ (new /** @type {any} */ (array.constructor)(rect.width * rect.height))
  for (let row = 0; row < rect.height; row++) {
    const start = (rect.y + row) * width + rect.x
    part.set(array.subarray(start, start + rect.width), row * rect.width)
  }
  return part
}

/**
 * The smallest rectangle around the set pixels of a mask in rows of `width`, null if none is set.
 * @param {Mask} mask @param {number} width @returns {Rect|null}
 */
export function maskBox(mask, width) {
  const first = mask.indexOf(1)
  if (first < 0) return null
  const top = Math.floor(first / width)
  const bottom = Math.floor(mask.lastIndexOf(1) / width)
  let left = width
  let right = -1
  for (let y = top; y <= bottom; y++) {
    const row = mask.subarray(y * width, (y + 1) * width)
    const start = row.subarray(0, left).indexOf(1)
    if (start >= 0) left = start
    const end = row.subarray(right + 1).lastIndexOf(1)
    if (end >= 0) right += end + 1
  }
  return { x: left, y: top, width: right - left + 1, height: bottom - top + 1 }
}

/** The rectangle around two rectangles. @param {Rect|null} a @param {Rect|null} b @returns {Rect|null} */
export function union(a, b) {
  if (!a || !b) return a ?? b
  const x = Math.min(a.x, b.x)
  const y = Math.min(a.y, b.y)
  const right = Math.max(a.x + a.width, b.x + b.width)
  const bottom = Math.max(a.y + a.height, b.y + b.height)
  return { x, y, width: right - x, height: bottom - y }
}

/** The part that two rectangles share, null if there is none. @param {Rect} a @param {Rect} b @returns {Rect|null} */
export function overlap(a, b) {
  const x = Math.max(a.x, b.x)
  const y = Math.max(a.y, b.y)
  const width = Math.min(a.x + a.width, b.x + b.width) - x
  const height = Math.min(a.y + a.height, b.y + b.height) - y
  return width > 0 && height > 0 ? { x, y, width, height } : null
}

/** The part of a rectangle inside a map. @param {Rect} rect @param {number} width @param {number} height */
export function clip(rect, width, height) {
  return overlap(rect, { x: 0, y: 0, width, height })
}

/**
 * Copies a rectangle of a map from one raster to another. Each holds a part of the map, with its top left at `fromAt`
 * and `toAt`.
 * @param {Rect} rect inside both @param {Raster} from @param {Raster} to
 * @param {{x: number, y: number}} [fromAt] @param {{x: number, y: number}} [toAt]
 */
export function copyRect(rect, from, to, fromAt = { x: 0, y: 0 }, toAt = { x: 0, y: 0 }) {
  for (let y = rect.y; y < rect.y + rect.height; y++) {
    const start = (y - fromAt.y) * from.width + rect.x - fromAt.x
    to.data.set(from.data.subarray(start, start + rect.width), (y - toAt.y) * to.width + rect.x - toAt.x)
  }
}

/** Gives a rectangle of a raster one value. @param {Raster} raster @param {Rect} rect inside it @param {Value} value */
export function fillRect({ width, data }, rect, value) {
  for (let y = rect.y; y < rect.y + rect.height; y++) {
    const start = y * width + rect.x
    data.fill(value, start, start + rect.width)
  }
}
