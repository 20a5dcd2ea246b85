// @ts-check
// Loads maps and pictures from the server or a file, as rasters with exactly the file's values.

import { MapDocument } from "../model/document.js"
import { applied, decodePng } from "../model/patch.js"
import { Raster } from "../model/raster.js"
import { guessMode } from "./guess.js"

/**
 * @typedef {import("../model/palette.js").Palette} Palette
 * @typedef {{x: number, y: number, png: string}} Patch
 * @typedef {{url: string, sha256: string, patch: Patch | null, stale: boolean}} SessionMap
 * @typedef {object} LoadedMap
 * @property {number} index in the batch
 * @property {MapDocument} document
 * @property {Raster} opened the pixels at the time the editor opened
 * @property {import("./guess.js").Mode} mode
 */

/**
 * @param {string} url
 * @returns {Promise<Raster>} opaque; rejected with a readable message if there is no picture
 */
export async function rasterOf(url) {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`The picture ${url} could not be loaded (${answer.status}).`)
  return rasterOfBytes(new Uint8Array(await answer.arrayBuffer()))
}

/**
 * @param {Uint8Array} bytes of a PNG, read exactly, or of any picture that the browser can read
 * @returns {Promise<Raster>} opaque
 */
export async function rasterOfBytes(bytes) {
  if (bytes[0] !== 0x89 || bytes[1] !== 0x50) return decodedByBrowser(bytes)
  const raster = await decodePng(bytes)
  for (let i = 0; i < raster.data.length; i++) raster.data[i] |= 0xff000000
  return raster
}

async function decodedByBrowser(bytes) {
  const options = /** @type {const} */ ({ colorSpaceConversion: "none", premultiplyAlpha: "none" })
  const bitmap = await createImageBitmap(new Blob([bytes]), options)
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height)
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext("2d"))
  context.drawImage(bitmap, 0, 0)
  return Raster.fromImageData(context.getImageData(0, 0, bitmap.width, bitmap.height))
}

/**
 * @param {SessionMap} entry
 * @param {number} index
 * @param {Palette | null} palette
 * @returns {Promise<LoadedMap>}
 */
export async function loadMap(entry, index, palette) {
  const base = await rasterOf(entry.url)
  const current = entry.patch ? await drawnOn(base, entry.patch, palette) : base
  const document = new MapDocument(base, palette, current)
  const mode = palette ? "segmentation" : guessMode(current.data)
  return { index, document, opened: document.raster.clone(), mode }
}

/**
 * @param {Raster} base
 * @param {Patch} patch
 * @param {Palette | null} palette whose colours the result has
 * @returns {Promise<Raster>} the base with a stored drawing on it
 */
export async function drawnOn(base, patch, palette) {
  const drawn = await applied(base, patch)
  return palette ? palette.snap(drawn) : drawn
}
