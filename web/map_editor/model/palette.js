// @ts-check
/** The palette of a segmentation map gives its labels their names and colours. */

import { Raster, pack, unpack } from "./raster.js"

export class Palette {
  /** @param {{name: string, labels: string[], colours: number[][]}} palette colours are [r, g, b] in 0..255 */
  constructor({ name, labels, colours }) {
    this.name = name
    this.labels = labels
    this.colours = colours
    /** The packed colour of every label. */
    this.values = Uint32Array.from(colours, ([r, g, b]) => pack(r, g, b))
    /** @type {Map<number, number>} */
    this.indices = new Map()
    this.values.forEach((value, index) => this.indices.has(value) || this.indices.set(value, index))
    /** @type {Map<number, number>} the nearest label of colours met so far */
    this.known = new Map(this.indices)
  }

  /** The label of a colour, the first of several; -1 for a colour that is not in the palette. @param {number} value */
  indexOf(value) {
    return this.indices.get(value) ?? -1
  }

  /** The label of the nearest colour, the first of several. @param {number} value */
  nearest(value) {
    let found = this.known.get(value)
    if (found !== undefined) return found
    const [r, g, b] = unpack(value)
    let least = Infinity
    found = 0
    for (let i = 0; i < this.colours.length; i++) {
      const [red, green, blue] = this.colours[i]
      const far = (red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2
      if (far < least) {
        least = far
        found = i
      }
    }
    this.known.set(value, found)
    return found
  }

  /** A copy in which every pixel has the nearest of the palette's colours. @param {Raster} raster */
  snap({ width, height, data }) {
    const snapped = new Uint32Array(data.length)
    const cache = new Map()
    let last = -1
    let painted = 0
    for (let i = 0; i < data.length; i++) {
      if (data[i] !== last) {
        last = data[i]
        painted = cache.get(last) ?? this.values[this.nearest(last)]
        cache.set(last, painted)
      }
      snapped[i] = painted
    }
    return new Raster(width, height, snapped)
  }

  /**
   * The labels whose names begin with a text, then those that contain it; case does not matter.
   * An empty text finds all.
   * @param {string} text @returns {number[]} indices
   */
  search(text) {
    const wanted = text.trim().toLowerCase()
    const rank = (/** @type {string} */ label) => {
      const at = label.toLowerCase().indexOf(wanted)
      return at > 0 ? 1 : at
    }
    return this.labels
      .map((label, index) => ({ index, rank: rank(label) }))
      .filter(({ rank }) => rank >= 0)
      .sort((a, b) => a.rank - b.rank)
      .map(({ index }) => index)
  }

  /**
   * The labels that a map shows, the largest first.
   * @param {Raster} raster @returns {{index: number, area: number}[]} areas in pixels
   */
  labelsIn({ data }) {
    const areas = new Float64Array(this.labels.length)
    let start = 0
    for (let i = 1; i <= data.length; i++) {
      if (i < data.length && data[i] === data[start]) continue
      areas[this.nearest(data[start])] += i - start
      start = i
    }
    return [...areas]
      .map((area, index) => ({ index, area }))
      .filter(({ area }) => area > 0)
      .sort((a, b) => b.area - a.area)
  }
}
