// @ts-check
// The text tool writes on the map, in pixels of one colour without soft edges.

import { element } from "../../lib/dom.js"
import { textMask } from "../model/draw.js"
import { css } from "./controls.js"

/**
 * @typedef {import("./editor.js").Editor} Editor
 * @typedef {import("./viewport.js").Viewport} Viewport
 * @typedef {import("./viewport.js").Pointer} Pointer
 */

export const FONTS = [
  { name: "Sans", family: "Arial, Helvetica, 'DejaVu Sans', sans-serif" },
  { name: "Serif", family: "Georgia, 'Times New Roman', 'DejaVu Serif', serif" },
  { name: "Mono", family: "Consolas, 'Courier New', 'DejaVu Sans Mono', monospace" },
  { name: "Heavy", family: "Impact, 'Arial Black', 'DejaVu Sans Condensed', sans-serif" },
  { name: "Hand", family: "'Comic Sans MS', 'Segoe Print', 'Bradley Hand', cursive" },
]
const LEADING = 1.2

/** Types text on the map: a click starts, Enter keeps, Escape drops. The kept text is selected and can be moved. */
export class TextTool {
  cursor = "text"
  /** @type {HTMLElement | null} */
  entry = null

  /** @param {Editor} editor @param {Viewport} viewport */
  constructor(editor, viewport) {
    this.editor = editor
    this.viewport = viewport
    editor.on("text paint", () => this.#place())
    editor.on("tool", () => this.keep())
  }

  /** @param {Pointer} at */
  down(at) {
    if (this.entry) return this.#done()
    this.place = { x: Math.round(at.x), y: Math.round(at.y - this.editor.text.height / 2) }
  }

  up() {
    if (this.entry || !this.place) return
    this.entry = element("div", {
      class: "text-entry",
      contentEditable: "plaintext-only",
      spellcheck: false,
      onkeydown: (event) => this.#key(event),
    })
    this.viewport.element.append(this.entry)
    this.#place()
    this.entry.focus()
  }

  move() {}
  twice() {}

  hover() {
    this.viewport.element.style.cursor = this.cursor
  }

  cancel() {
    this.entry?.remove()
    this.entry = null
    this.place = undefined
  }

  draw() {
    this.#place()
  }

  /** Puts the typed text on the map. */
  keep() {
    const { entry, place, editor } = this
    this.cancel()
    const content = entry?.innerText.replace(/\n$/, "")
    if (!place || !content?.trim()) return
    const { width, height, mask } = typeset(content, editor.text)
    const data = new Uint32Array(mask.length).fill(editor.paint)
    editor.document.paste({ ...place, width, height, mask, data })
  }

  /** Keeps the text, and takes up the tool that moves it. */
  #done() {
    this.keep()
    this.editor.setTool("select")
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    event.stopPropagation()
    if (event.key === "Escape") this.cancel()
    else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault()
      this.#done()
    }
  }

  #place() {
    if (!this.entry || !this.place) return
    const { zoom } = this.viewport.camera
    const at = this.viewport.camera.toScreen(this.place.x, this.place.y)
    Object.assign(this.entry.style, {
      left: `${at.x}px`,
      top: `${at.y}px`,
      font: fontOf(this.editor.text, zoom),
      color: css(this.editor.paint),
    })
  }
}

function fontOf({ font, height, bold }, zoom = 1) {
  const family = FONTS.find(({ name }) => name === font)?.family ?? font
  return `${bold ? "bold " : ""}${height * zoom}px/${LEADING} ${family}`
}

/**
 * The pixels of a text, without soft edges.
 * @param {string} content
 * @param {{font: string, height: number, bold: boolean}} style
 * @returns {{width: number, height: number, mask: Uint8Array}}
 */
function typeset(content, style) {
  const lines = content.split("\n")
  const measure = new OffscreenCanvas(1, 1).getContext("2d")
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (measure)
  context.font = fontOf(style)
  const widths = lines.map((line) => context.measureText(line).width)
  const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = context.measureText("x")
  const leading = style.height * LEADING
  const width = Math.ceil(Math.max(...widths)) + 2
  const height = Math.ceil(leading * lines.length)
  const paper = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true })
  const pen = /** @type {OffscreenCanvasRenderingContext2D} */ (paper)
  pen.font = fontOf(style)
  lines.forEach((line, i) => pen.fillText(line, 0, i * leading + (leading - up - down) / 2 + up))
  return textMask(pen.getImageData(0, 0, width, height))
}
