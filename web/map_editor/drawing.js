// @ts-check
// The value of Edit Map's input `drawing`, which core/maps/drawing.py reads. No DOM, and no value is changed in place.

const VERSION = 1
/** The most base64 that a workflow stores itself. A larger drawing goes to files on the server. */
export const MOST_CHARACTERS = 256 * 1024

/**
 * @typedef {object} Patch
 * @property {string} base the SHA-256 of the map that was drawn on, "" for any map
 * @property {number} width of the map, in pixels
 * @property {number} height
 * @property {number} x the left of the crop
 * @property {number} y the top of the crop
 * @property {string} [png] the crop, in base64
 * @property {string} [file] instead of `png`: a file in ComfyUI's input folder
 */
/** @typedef {{version?: number, maps?: Record<string, Patch>}} Drawing {} for none */
/** @typedef {{filename: string, subfolder: string, type: string, sha256: string, width: number, height: number}} Base */
/**
 * @typedef {object} Told what Edit Map reports of its last run
 * @property {Base[]} maps
 * @property {{name: string, labels: string[], colours: [number, number, number][]} | null} palette
 * @property {{name: string, labels: number[]}[]} wanted
 * @property {number} minimal_area
 */

/**
 * A workflow's value if it can be a drawing, else {}. A drawing of a newer version is kept unchanged.
 * @param {any} value
 * @returns {Drawing}
 */
export function drawingOf(value) {
  return value && typeof value === "object" && !Array.isArray(value) ? value : {}
}

/**
 * The patches, each with the index of its map, in the order of the batch.
 * @param {Drawing} drawing
 * @returns {[number, Patch][]}
 */
export function patchesOf(drawing) {
  if (drawing.version !== VERSION) return []
  const patches = Object.entries(drawing.maps ?? {}).map(([key, patch]) => [Number(key), patch])
  return /** @type {[number, Patch][]} */ (patches)
    .filter(([, patch]) => typeof patch?.base === "string")
    .sort(([a], [b]) => a - b)
}

/**
 * Whether the map has changed since it was drawn on.
 * @param {Patch} patch
 * @param {Base | undefined} base
 */
export function isStale(patch, base) {
  if (!base || patch.width !== base.width || patch.height !== base.height) return true
  return patch.base !== "" && patch.base !== base.sha256
}

/**
 * Describe the drawing in a few words.
 * @param {Drawing} drawing
 * @param {Told | null} told null before the first run
 * @returns {{text: string, stale: boolean}}
 */
export function summaryOf(drawing, told) {
  const patches = patchesOf(drawing)
  if (!patches.length && (drawing.version ?? 0) > VERSION) {
    return { text: "drawn with a newer version of Finesse", stale: false }
  }
  if (!patches.length) return { text: "no drawing", stale: false }
  if (told && patches.some(([place, patch]) => isStale(patch, told.maps[place]))) {
    return { text: "the map has changed: open to re-apply or drop", stale: true }
  }
  return { text: patches.length === 1 ? "1 map drawn" : `${patches.length} maps drawn`, stale: false }
}

/**
 * The drawing after the editor has returned a result.
 * @param {Drawing} drawing as it was before
 * @param {{maps: Record<string, Patch | null>}} result the editor's patch for each map; null for no change
 * @param {number} count of maps in the batch
 * @returns {{drawing: Drawing, dropped: number[]}} `dropped`: the indices of patches that have no map in the batch
 */
export function keptDrawing(drawing, result, count) {
  /** @type {Record<string, Patch>} */
  const maps = {}
  const dropped = []
  for (const [place, patch] of patchesOf(drawing)) {
    if (place < count) maps[place] = patch
    else dropped.push(place)
  }
  for (const [key, patch] of Object.entries(result.maps)) {
    if (patch) maps[key] = patch
    else delete maps[key]
  }
  return { drawing: Object.keys(maps).length ? { version: VERSION, maps } : {}, dropped }
}

/**
 * The drawing, with its pictures moved to files if they are too large for a workflow.
 * @param {Drawing} drawing
 * @param {(png: string) => Promise<string>} upload takes base64, returns the file's name in the input folder
 * @returns {Promise<{drawing: Drawing, uploaded: number}>} `uploaded`: how many files
 */
export async function withinLimit(drawing, upload) {
  const patches = patchesOf(drawing)
  const inline = patches.filter(([, patch]) => patch.png)
  const characters = inline.reduce((sum, [, patch]) => sum + (patch.png?.length ?? 0), 0)
  if (characters <= MOST_CHARACTERS) return { drawing, uploaded: 0 }
  const maps = { ...drawing.maps }
  for (const [place, { png, ...patch }] of inline) {
    maps[place] = { ...patch, file: await upload(/** @type {string} */ (png)) }
  }
  return { drawing: { version: VERSION, maps }, uploaded: inline.length }
}
