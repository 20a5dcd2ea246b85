// Small maps for tests: written as rows of letters, one colour each.
import { Raster, pack } from "../../../web/map_editor/model/raster.js"

/** The colour of a letter. */
export function ink(letter) {
  return pack(letter.charCodeAt(0), 7, 200)
}

/** A map of rows of letters. */
export function drawn(rows) {
  return new Raster(rows[0].length, rows.length, Uint32Array.from(rows.join(""), ink))
}

/** A map's rows of letters. */
export function letters({ width, height, data }) {
  return rowsOf(Array.from(data, (value) => String.fromCharCode(value & 255)).join(""), width, height)
}

/** A whole map as a piece at x, y. */
export function pieceOf(raster, x = 0, y = 0) {
  const { width, height, data } = raster
  return { x, y, width, height, mask: new Uint8Array(data.length).fill(1), data }
}

/** A mask as rows of # and . */
export function marks(mask, width) {
  return rowsOf(Array.from(mask, (bit) => ".#"[bit]).join(""), width, mask.length / width)
}

/** A mask from rows of # and . */
export function maskOf(rows) {
  return Uint8Array.from(rows.join(""), (mark) => (mark === "#" ? 1 : 0))
}

function rowsOf(text, width, height) {
  return Array.from({ length: height }, (_, y) => text.slice(y * width, (y + 1) * width))
}

/** Numbers from 0 to 1, the same at every run (mulberry32). */
export function randomFrom(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
