// @ts-check
/** The share of the wanted objects that a map shows, by the rule of core/maps/recall.py. */

/** @typedef {import("./raster.js").Raster} Raster */
/** @typedef {import("./palette.js").Palette} Palette */

/**
 * The recall of a map. An object is found if its solid pixels, those in a 3x3 square of one label, cover enough of it.
 * @param {Raster} raster painted in the palette's colours @param {Palette} palette
 * @param {{name: string, labels: number[]}[]} wanted each with the labels that count as it
 * @param {number} minimalArea the smallest share of the map an object must cover to count
 * @returns {{recall: number, found: string[], missing: string[]}} recall is 1 if nothing is wanted
 */
export function recall(raster, palette, wanted, minimalArea) {
  const areas = solidAreas(raster, palette)
  const pixels = raster.data.length
  const isFound = wanted.map(({ labels }) => {
    const area = [...new Set(labels)].reduce((sum, label) => sum + (areas[label] ?? 0), 0) / pixels
    return area > 0 && area >= minimalArea
  })
  const found = wanted.filter((_, i) => isFound[i]).map(({ name }) => name)
  const missing = wanted.filter((_, i) => !isFound[i]).map(({ name }) => name)
  return { recall: wanted.length ? found.length / wanted.length : 1, found, missing }
}

/** The number of solid pixels of each label. @param {Raster} raster @param {Palette} palette */
function solidAreas(raster, palette) {
  const { width, data } = raster
  const areas = new Float64Array(palette.labels.length)
  const wide = widened(middles(raster), width)
  let value = -1
  let index = 0
  for (let i = 0; i < data.length; i++) {
    if (!(wide[i] || wide[i - width] || wide[i + width])) continue
    if (data[i] !== value) {
      value = data[i]
      index = palette.nearest(value)
    }
    areas[index]++
  }
  return areas
}

/**
 * The centres of all 3x3 squares of one colour. At the edge of the map, its colours are repeated.
 * @param {Raster} raster @returns {Uint8Array} 1 for a centre
 */
function middles({ width, height, data }) {
  const found = new Uint8Array(data.length)
  const rows = new Uint8Array(width) // for every column, how many rows down to here have one colour 3 pixels wide
  for (let y = 0; y <= height; y++) {
    const row = Math.min(y, height - 1) * width
    const up = y < height ? width : 0
    const last = row + width - 1
    for (let x = 0, at = row; x < width; x++, at++) {
      const value = data[at]
      const even = data[at > row ? at - 1 : at] === value && data[at < last ? at + 1 : at] === value
      if (!even) {
        rows[x] = 0
        continue
      }
      const before = y === 0 ? 1 : data[at - up] === value ? rows[x] : 0
      rows[x] = before < 2 ? before + 1 : 3
      if (before >= 2) found[at - up] = 1
    }
  }
  return found
}

/** A mask extended by one pixel to the left and right. @param {Uint8Array} mask @param {number} width */
function widened(mask, width) {
  const wide = mask.slice()
  for (let row = 0; row < mask.length; row += width) {
    for (let at = row + 1; at < row + width; at++) {
      wide[at] |= mask[at - 1]
      wide[at - 1] |= mask[at]
    }
  }
  return wide
}
