// @ts-check
// The state of the editor (map, tool, paint, selection) and the actions that change it.

import { Palette } from "../model/palette.js"
import { recall } from "../model/recall.js"
import { WHITE, grey, unpack } from "../model/raster.js"
import { allOf, combine } from "../model/select.js"
import { lift } from "../model/transform.js"
import { sketchColours } from "./guess.js"
import { loadMap } from "./load.js"
import { Signals, settled } from "./signal.js"

/**
 * @typedef {import("../model/document.js").MapDocument} MapDocument
 * @typedef {import("../model/raster.js").Raster} Raster
 * @typedef {import("../model/transform.js").Piece} Piece
 * @typedef {import("./load.js").LoadedMap} LoadedMap
 * @typedef {import("./guess.js").Mode} Mode
 * @typedef {object} Session the input from the host
 * @property {import("./load.js").SessionMap[]} maps
 * @property {number} index of the map to show first
 * @property {{name: string, labels: string[], colours: [number, number, number][]} | null} palette
 * @property {{name: string, labels: number[]}[]} wanted the objects of the prompt, with the labels that count as them
 * @property {number} minimalArea
 * @property {string | null} overlay
 * @property {{name: string, url: string}[]} sources
 * @property {string} title
 */

const GREYS = { 0: "black", 255: "white" }
const RECALL_WHILE_BUSY = 8 // ms; if computing the recall takes longer, it is not updated during a stroke or a drag

/**
 * Signals: `map` (another map is shown), `pixels` (rect), `selection`, `history`, `tool`, `mode`, `paint`,
 * `brush`, `facts` (recall and shares of labels), `guide`, `message` (a short text).
 */
export class Editor extends Signals {
  index = 0
  tool = "select"
  brush = { width: 12, onlySelected: false }
  tolerance = 0
  gradient = { from: 40, to: 220 }
  text = { font: "Sans", height: 48, bold: true }
  /** @type {number} packed */
  paint = WHITE
  /** The labels that stay in front of the selection when it is moved. @type {Set<number>} */
  behind = new Set()
  /** @type {Piece | null} */
  clipboard = null
  /** A segmentation map that guides selecting in a map without labels. @type {{name: string, raster: Raster} | null} */
  guide = null
  /** @type {{recall: number, found: string[], missing: string[]} | null} */
  recall = null
  /** @type {{index: number, area: number}[]} */
  shares = []

  /** @param {Session} session */
  constructor(session) {
    super()
    this.session = session
    this.palette = session.palette && new Palette(session.palette)
    /** @type {(LoadedMap | undefined)[]} */
    this.maps = session.maps.map(() => undefined)
    this.tolerance = this.palette ? 0 : 12
    this.takeFacts = settled(() => this.#takeFacts(), 60)
    this.on("pixels map history", () => {
      if (!this.document.busy || (this.factsTook ?? 0) < RECALL_WHILE_BUSY) this.takeFacts()
    })
  }

  get map() {
    return /** @type {LoadedMap} */ (this.maps[this.index])
  }

  get document() {
    return this.map.document
  }

  get raster() {
    return this.document.raster
  }

  get mode() {
    return this.map.mode
  }

  /** Loads a map of the batch, if it is not loaded yet. @param {number} index @returns {Promise<LoadedMap>} */
  async load(index) {
    const loaded = this.maps[index] ?? (await loadMap(this.session.maps[index], index, this.palette))
    if (!this.maps[index]) {
      this.maps[index] = loaded
      loaded.document.onChange((rect) => this.#changed(loaded, rect))
    }
    return loaded
  }

  /** Sets the first sizes of brush and letters, in proportion to the map. @param {LoadedMap} map */
  sizeTools({ document: { raster } }) {
    const side = Math.min(raster.width, raster.height)
    this.setBrushWidth(side / 40)
    this.text.height = Math.max(8, Math.round(side / 10))
  }

  /** @param {number} index */
  async showMap(index) {
    await this.load(index)
    this.index = index
    this.behind.clear()
    this.choosePaintFor(this.mode)
    this.emit("map")
    this.emit("mode")
    this.emit("selection")
    this.emit("history")
  }

  /** @param {Mode} mode for a map without palette */
  setMode(mode) {
    this.map.mode = mode
    this.choosePaintFor(mode)
    this.emit("mode")
  }

  /** @param {Mode} mode */
  choosePaintFor(mode) {
    if (this.palette) {
      const [most] = this.palette.labelsIn(this.raster)
      if (this.palette.indexOf(this.paint) < 0) this.setPaint(this.palette.values[most?.index ?? 0])
    } else if (mode === "sketch") this.setPaint(sketchColours(this.raster.data).line)
    else if (mode === "depth") this.setPaint(grey(200))
    else this.setPaint(this.raster.at(this.raster.width >> 1, this.raster.height >> 1))
  }

  /** @param {string} tool */
  setTool(tool) {
    this.tool = tool
    this.emit("tool")
  }

  /** @param {number} value packed */
  setPaint(value) {
    this.paint = value >>> 0
    this.emit("paint")
  }

  /** @param {number} width map pixels */
  setBrushWidth(width) {
    this.brush.width = Math.max(1, Math.min(512, Math.round(width)))
    this.emit("brush")
  }

  /** The paint of the eraser: the ground of a sketch, in other maps the original map. @returns {number | Raster} */
  get eraserPaint() {
    return this.mode === "sketch" ? sketchColours(this.document.base.data).ground : this.document.base
  }

  /**
   * The name of a pixel's value: its label, or its brightness or colour.
   * @param {number} value packed
   */
  nameOf(value) {
    if (this.palette) return this.palette.labels[this.palette.indexOf(value)] ?? "no label"
    const [r, g, b] = unpack(value)
    if (this.mode === "depth") return `depth ${Math.round(r / 2.55)} %`
    if (this.mode === "sketch" && r === g && g === b) return GREYS[r] ?? `grey ${Math.round(r / 2.55)} %`
    return `rgb ${r}, ${g}, ${b}`
  }

  /** @param {Uint8Array} mask @param {"replace" | "add" | "subtract"} how */
  select(mask, how = "replace") {
    this.behind.clear()
    this.document.setSelection(how === "replace" ? mask : combine(this.document.selection, mask, how))
  }

  /** @param {number} value packed; all pixels of it are selected */
  selectAllOf(value) {
    this.select(allOf(this.raster, value, this.palette ? 0 : this.tolerance))
    if (!this.document.selection) this.emit("message", `There is no ${this.nameOf(value)} on this map.`)
  }

  /** Sets whether the selection stays behind a label. @param {number} value packed @param {boolean} isBehind */
  setBehind(value, isBehind) {
    if (isBehind) this.behind.add(value)
    else this.behind.delete(value)
    if (!this.document.sendBehind(this.behind)) this.emit("selection")
  }

  copy() {
    if (!this.document.selection) return this.emit("message", "Select something to copy first.")
    this.clipboard = lift(this.raster, this.document.selection)
    this.emit("message", "Copied.")
  }

  /** Puts a piece on the map where it was cut, or in the centre if that is outside. @param {Piece | null} piece */
  paste(piece = this.clipboard) {
    if (!piece) return this.emit("message", "Nothing is copied yet. Use Paste from… for other maps.")
    const { width, height } = this.raster
    const inside =
      piece.x >= 0 && piece.y >= 0 && piece.x + piece.width <= width && piece.y + piece.height <= height
    const at = inside
      ? {}
      : { x: Math.round((width - piece.width) / 2), y: Math.round((height - piece.height) / 2) }
    this.behind.clear()
    this.document.paste({ ...piece, ...at })
    this.setTool("select")
  }

  /** @returns {boolean} whether any map has changed since the editor opened */
  get isEdited() {
    return this.maps.some((map) => map && !map.document.raster.equals(map.opened))
  }

  #changed(map, rect) {
    if (map !== this.map) return
    if (rect) this.emit("pixels", rect)
    this.emit("selection")
    if (!map.document.busy) this.emit("history")
  }

  #takeFacts() {
    if (!this.palette) return
    const start = performance.now()
    this.shares = this.palette.labelsIn(this.raster)
    const { wanted, minimalArea } = this.session
    this.recall = wanted.length ? recall(this.raster, this.palette, wanted, minimalArea) : null
    this.factsTook = performance.now() - start
    this.emit("facts")
  }
}
