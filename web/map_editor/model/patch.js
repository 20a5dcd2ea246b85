// @ts-check
/** A patch holds the changes of an edited map against its base, as the workflow stores them. */

import { decodePng, encodePng } from "./png.js"
import { Raster, clip, maskBox } from "./raster.js"
import { sha256 as hashed } from "./sha256.js"

export { decodePng, encodePng }

/**
 * A patch: pixels of alpha 0 keep what is there.
 * @typedef {{x: number, y: number, raster: Raster}} Patch
 */

/**
 * The smallest patch that turns `base` into `current`; null if they are equal.
 * @param {Raster} base @param {Raster} current of the same size @returns {Patch|null}
 */
export function patchOf(base, current) {
  const changed = new Uint8Array(base.data.length)
  for (let i = 0; i < changed.length; i++) changed[i] = base.data[i] === current.data[i] ? 0 : 1
  const box = maskBox(changed, base.width)
  if (!box) return null
  const [before, raster] = [base.crop(box), current.crop(box)]
  for (let i = 0; i < raster.data.length; i++) if (raster.data[i] === before.data[i]) raster.data[i] = 0
  return { x: box.x, y: box.y, raster }
}

/**
 * A copy of a map with the part of a patch on it that lies inside.
 * @param {Raster} base @param {Patch} patch @returns {Raster}
 */
export function apply(base, { x, y, raster }) {
  const result = base.clone()
  const seen = clip({ x, y, width: raster.width, height: raster.height }, base.width, base.height)
  for (let row = 0; seen && row < seen.height; row++) {
    let from = (seen.y + row - y) * raster.width + seen.x - x
    let to = (seen.y + row) * base.width + seen.x
    for (const end = to + seen.width; to < end; to++, from++) {
      if (raster.data[from] >>> 24) result.data[to] = (raster.data[from] | 0xff000000) >>> 0
    }
  }
  return result
}

/**
 * The hash that identifies a base: the SHA-256 of its RGB bytes, row by row.
 * @param {Raster} raster @returns {Promise<string>}
 */
export function sha256({ data }) {
  const bytes = new Uint8Array(3 * data.length)
  for (let i = 0, at = 0; i < data.length; i++) {
    bytes[at++] = data[i]
    bytes[at++] = data[i] >>> 8
    bytes[at++] = data[i] >>> 16
  }
  return hashed(bytes)
}

/**
 * An edited map as the workflow stores it, with the patch as a PNG in base64; null if nothing was changed.
 * @param {Raster} base @param {Raster} current
 * @returns {Promise<{base: string, width: number, height: number, x: number, y: number, png: string}|null>}
 */
export async function drawingOf(base, current) {
  const patch = patchOf(base, current)
  if (!patch) return null
  const [hash, png] = await Promise.all([sha256(base), encodePng(patch.raster)])
  return { base: hash, width: base.width, height: base.height, x: patch.x, y: patch.y, png: toBase64(png) }
}

/**
 * A base with a stored drawing on it.
 * @param {Raster} base @param {{x: number, y: number, png: string}} drawing @returns {Promise<Raster>}
 */
export async function applied(base, { x, y, png }) {
  return apply(base, { x, y, raster: await decodePng(fromBase64(png)) })
}

/** @param {Uint8Array} bytes */
export function toBase64(bytes) {
  let text = ""
  for (let at = 0; at < bytes.length; at += 0x8000)
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000))
  return btoa(text)
}

/** @param {string} text */
export function fromBase64(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
}
