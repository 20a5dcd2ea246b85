// @ts-check
// Outlines a selection with straight segments along the edges of its pixels.

/**
 * @param {Uint8Array} mask of 0 and 1, row by row
 * @param {number} width of the mask
 * @param {{x: number, y: number, width: number, height: number}} box that holds its set pixels
 * @param {number} most the most segments to return; a noisy mask has more than anyone can see or draw
 * @returns {Int32Array | null} x0, y0, x1, y1 of every segment; null if there are too many
 */
export function outlineSegments(mask, width, box, most = 12000) {
  const segments = new Int32Array(4 * most)
  const right = box.x + box.width
  const bottom = box.y + box.height
  const rows = mask.length / width
  let used = 0
  for (let y = box.y; y <= bottom; y++) {
    const above = (y - 1) * width
    const below = y * width
    for (let x = box.x, start = -1, was = 0; x <= right; x++) {
      const up = y > 0 && x < right ? mask[above + x] : 0
      const down = y < rows && x < right ? mask[below + x] : 0
      const edge = down - up
      if (edge === was) continue
      if (was) used = put(segments, used, start, y, x, y)
      ;[start, was] = [x, edge]
      if (used === segments.length) return null
    }
  }
  const open = new Int32Array(box.width + 1).fill(-1) // for each x, the first row of the edge that runs down there
  const side = new Int8Array(box.width + 1)
  for (let y = box.y; y <= bottom; y++) {
    const row = y * width
    for (let x = box.x, before = 0; x <= right; x++) {
      const here = y < bottom && x < right ? mask[row + x] : 0
      const edge = here - before
      before = here
      const i = x - box.x
      if (edge === side[i]) continue
      if (side[i]) used = put(segments, used, x, open[i], x, y)
      ;[open[i], side[i]] = [y, edge]
      if (used === segments.length) return null
    }
  }
  return segments.subarray(0, used)
}

function put(segments, at, x0, y0, x1, y1) {
  segments[at] = x0
  segments[at + 1] = y0
  segments[at + 2] = x1
  segments[at + 3] = y1
  return at + 4
}
