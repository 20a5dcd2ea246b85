// @ts-check
// Copies an object from another map: of the batch, of another node, or from a file.

import { element } from "../../lib/dom.js"
import { regionAt } from "../model/select.js"
import { lift, transformed } from "../model/transform.js"
import { textButton } from "./controls.js"
import { openDialog } from "./dialogs.js"
import { RasterLayer, SelectionLayer } from "./layers.js"
import { rasterOf, rasterOfBytes } from "./load.js"

/**
 * @typedef {import("./editor.js").Editor} Editor
 * @typedef {import("../model/raster.js").Raster} Raster
 * @typedef {import("../model/transform.js").Piece} Piece
 */

/**
 * @param {HTMLElement} root
 * @param {Editor} editor
 * @returns {Promise<Piece | null>} the clicked object, scaled from the size of its map to this one's
 */
export function pasteFrom(root, editor) {
  return openDialog(
    root,
    "Paste from…",
    (answer) => {
      const view = new SourceView(editor, answer)
      const list = element("nav", { class: "sources" })
      const open = async (entry, load) => {
        list.querySelectorAll(".chosen").forEach((one) => one.classList.remove("chosen"))
        entry.classList.add("chosen")
        await view.open(load)
      }
      const entries = sourcesOf(editor).map(({ name, url, load }) => {
        const entry = element(
          "button",
          { type: "button", onclick: () => open(entry, load) },
          element("img", { src: url, alt: "" }),
          element("span", {}, name),
        )
        return entry
      })
      const file = element("input", { type: "file", accept: "image/*", hidden: true })
      const fromFile = textButton("Open a file…", () => file.click(), { icon: "file" })
      file.addEventListener("change", async () => {
        const [chosen] = file.files ?? []
        if (chosen)
          await open(fromFile, async () => rasterOfBytes(new Uint8Array(await chosen.arrayBuffer())))
      })
      list.append(...entries, fromFile, file)
      entries[0]?.click()
      return [element("div", { class: "paste" }, list, view.element)]
    },
    "wide tall",
  )
}

/** @param {Editor} editor */
function sourcesOf(editor) {
  const { maps, sources } = editor.session
  const others = maps
    .map(({ url }, index) => ({
      name: `Map ${index + 1}`,
      url,
      load: async () => (await editor.load(index)).document.raster,
    }))
    .filter((_, index) => index !== editor.index)
  return [...others, ...sources.map(({ name, url }) => ({ name, url, load: () => rasterOf(url) }))]
}

/** Shows a source map. The object under the pointer is tinted, and a click takes it. */
class SourceView {
  /** @param {Editor} editor @param {(piece: Piece) => void} take */
  constructor(editor, take) {
    this.editor = editor
    this.take = take
    this.map = new RasterLayer("")
    this.tint = new SelectionLayer()
    this.hint = element("p", { class: "empty" }, "Choose a map on the left, then click an object in it.")
    this.stage = element("div", { class: "source-stage", hidden: true }, this.map.canvas, this.tint.canvas)
    this.element = element("div", { class: "source-view" }, this.stage, this.hint)
    this.stage.addEventListener("pointermove", (event) => this.#hover(event))
    this.stage.addEventListener("pointerleave", () => this.#mark(null))
    this.stage.addEventListener("click", (event) => this.#click(event))
    new ResizeObserver(() => this.#fit()).observe(this.element)
  }

  /** @param {() => Promise<Raster>} load */
  async open(load) {
    try {
      const raster = await load()
      this.raster = this.editor.palette?.snap(raster) ?? raster
    } catch (error) {
      this.raster = undefined
      this.hint.textContent = error instanceof Error ? error.message : String(error)
    }
    this.stage.hidden = !this.raster
    if (!this.raster) return
    this.map.show(this.raster)
    this.hint.textContent = "Click an object to take it."
    this.#mark(null)
    this.#fit()
  }

  #fit() {
    if (!this.raster) return
    const { width, height } = this.raster
    const room = this.element.getBoundingClientRect()
    this.zoom = Math.min((room.width - 24) / width, (room.height - 60) / height)
    this.stage.style.width = `${width * this.zoom}px`
    this.stage.style.height = `${height * this.zoom}px`
    for (const { canvas } of [this.map, this.tint]) canvas.style.transform = `scale(${this.zoom})`
  }

  /** @param {MouseEvent} event @returns {[number, number]} */
  #pixel(event) {
    const { width, height } = /** @type {Raster} */ (this.raster)
    const box = this.stage.getBoundingClientRect()
    const along = (at, size) =>
      Math.max(0, Math.min(size - 1, Math.floor(at / /** @type {number} */ (this.zoom))))
    return [along(event.clientX - box.x, width), along(event.clientY - box.y, height)]
  }

  #hover(event) {
    const { width } = /** @type {Raster} */ (this.raster)
    const [x, y] = this.#pixel(event)
    if (this.mask?.[y * width + x]) return
    this.#mark(regionAt(/** @type {Raster} */ (this.raster), x, y, this.editor.tolerance))
    this.hint.textContent = this.editor.nameOf(/** @type {Raster} */ (this.raster).at(x, y))
  }

  /** @param {Uint8Array | null} mask */
  #mark(mask) {
    this.mask = mask
    const piece = mask && lift(/** @type {Raster} */ (this.raster), mask)
    this.tint.show(mask, piece, this.raster?.width ?? 0)
    if (piece && this.zoom) {
      this.tint.canvas.style.left = `${piece.x * this.zoom}px`
      this.tint.canvas.style.top = `${piece.y * this.zoom}px`
    }
  }

  #click(event) {
    const source = /** @type {Raster} */ (this.raster)
    const [x, y] = this.#pixel(event)
    const piece = lift(source, regionAt(source, x, y, this.editor.tolerance))
    if (!piece) return
    this.take(fitted(piece, source, this.editor.raster))
  }
}

/**
 * A piece of one map, scaled and moved to fit a map of another size.
 * @param {Piece} piece
 * @param {Raster} source
 * @param {Raster} target
 * @returns {Piece}
 */
function fitted(piece, source, target) {
  const scale = Math.min(target.width / source.width, target.height / source.height)
  if (scale === 1) return piece
  const scaled = transformed(piece, { scaleX: scale, scaleY: scale })
  return { ...scaled, x: Math.round(piece.x * scale), y: Math.round(piece.y * scale) }
}
