// @ts-check
/** A delta stores a change of an array as runs of equal differences in the changed rectangle. */

/** @typedef {import("./raster.js").Rect} Rect */

/**
 * The change in a rectangle, as the exclusive or of old and new, so that applying it undoes and redoes. `values[i]` is
 * repeated for `lengths[i]` pixels.
 * @typedef {{rect: Rect, values: Uint32Array, lengths: Uint32Array}} Delta
 */

/**
 * @template {Uint8Array | Uint32Array} T
 * @param {T} before @param {T} after rows of `width` @param {number} width @param {Rect} rect
 * @returns {Delta|null} of the smallest rectangle; null if nothing in `rect` changed
 */
export function deltaOf(before, after, width, rect) {
  const changed = changedIn(before, after, width, rect)
  if (!changed) return null
  const runs = new Runs()
  for (let y = changed.y; y < changed.y + changed.height; y++) {
    for (let at = y * width + changed.x, end = at + changed.width; at < end; at++)
      runs.add(before[at] ^ after[at])
  }
  return { rect: changed, ...runs.packed() }
}

/**
 * Undoes or redoes in place.
 * @param {Uint8Array|Uint32Array} array rows of `width` @param {number} width @param {Delta} delta
 */
export function applyDelta(array, width, { rect, values, lengths }) {
  let column = 0
  let row = rect.y * width + rect.x
  for (let run = 0; run < values.length; run++) {
    const value = values[run]
    for (let left = lengths[run]; left > 0;) {
      const count = Math.min(left, rect.width - column)
      if (value) for (let at = row + column, end = at + count; at < end; at++) array[at] ^= value
      left -= count
      column += count
      if (column === rect.width) {
        column = 0
        row += width
      }
    }
  }
}

/**
 * @param {Uint8Array|Uint32Array} a @param {Uint8Array|Uint32Array} b @param {number} width @param {Rect} rect
 * @returns {Rect|null}
 */
function changedIn(a, b, width, rect) {
  let [left, right, top, bottom] = [Infinity, -1, Infinity, -1]
  for (let y = rect.y; y < rect.y + rect.height; y++) {
    const start = y * width
    let x = rect.x
    let end = rect.x + rect.width
    while (x < end && a[start + x] === b[start + x]) x++
    if (x === end) continue
    while (a[start + end - 1] === b[start + end - 1]) end--
    if (x < left) left = x
    if (end > right) right = end
    if (bottom < 0) top = y
    bottom = y + 1
  }
  return bottom < 0 ? null : { x: left, y: top, width: right - left, height: bottom - top }
}

/** Run lengths that grow as needed. */
class Runs {
  values = new Uint32Array(64)
  lengths = new Uint32Array(64)
  count = 0

  /** @param {number} value */
  add(value) {
    value >>>= 0
    if (this.count && this.values[this.count - 1] === value) {
      this.lengths[this.count - 1]++
      return
    }
    if (this.count === this.values.length) {
      this.values = grown(this.values)
      this.lengths = grown(this.lengths)
    }
    this.values[this.count] = value
    this.lengths[this.count++] = 1
  }

  packed() {
    return { values: this.values.slice(0, this.count), lengths: this.lengths.slice(0, this.count) }
  }
}

/** @param {Uint32Array} array */
function grown(array) {
  const larger = new Uint32Array(2 * array.length)
  larger.set(array)
  return larger
}
