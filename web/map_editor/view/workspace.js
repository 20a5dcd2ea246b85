// @ts-check
// The workspace puts the parts of the editor's window together, and passes pointers, keys and changes to them.

import { element } from "../../lib/dom.js"
import { statusLine, toolColumn, topBar } from "./bars.js"
import { press } from "./commands.js"
import { ask, showHelp } from "./dialogs.js"
import { Editor } from "./editor.js"
import { RasterLayer, SelectionLayer } from "./layers.js"
import { rasterOf } from "./load.js"
import { outlined } from "./marks.js"
import { optionsPanel } from "./options_panel.js"
import { pasteFrom } from "./paste_dialog.js"
import { inside } from "./select_tools.js"
import { Signals } from "./signal.js"
import { makeTools } from "./tools.js"
import { Viewport } from "./viewport.js"

/** @typedef {import("./editor.js").Session} Session */

/** Signals: `view` (zoom or pan), `before`, `overlay`. */
export class Workspace extends Signals {
  isBefore = false
  isOverlay = false
  hasOverlay = false
  isDoing = false

  /**
   * @param {HTMLElement} root
   * @param {Editor} editor with its first map loaded
   * @param {(kept: boolean) => void} close
   */
  constructor(root, editor, close) {
    super()
    this.root = root
    this.editor = editor
    this.closing = new AbortController()
    this.close = (kept) => {
      this.closing.abort()
      close(kept)
    }
    this.viewport = new Viewport(this.#pointers(), () => this.#viewChanged())
    this.tools = makeTools(editor, this.viewport)
    this.layers = {
      map: new RasterLayer("map"),
      base: new RasterLayer("base"),
      overlay: new RasterLayer("overlay"),
      selection: new SelectionLayer(),
    }
    const { map, base, overlay, selection } = this.layers
    this.viewport.stage.append(map.canvas, base.canvas, overlay.canvas, selection.canvas)
    map.canvas.after(this.tools.grab.carrier.canvas)
    this.toast = element("div", { class: "toast", role: "status" })
    this.viewport.element.append(this.toast)
    root.replaceChildren(
      topBar(this),
      toolColumn(this),
      this.viewport.element,
      optionsPanel(this),
      statusLine(this),
    )
    this.#listen()
    this.setOverlayOpacity(0.5)
    this.showBefore(false)
    this.showOverlay(false)
  }

  /** The tool in hand. @returns {any} */
  get tool() {
    return this.tools[this.editor.tool]
  }

  /** @param {number} index */
  async showMap(index) {
    if (this.editor.maps[this.editor.index]) {
      this.tools.text.keep()
      this.tool.cancel()
    }
    this.showBefore(false)
    try {
      await this.editor.showMap(index)
    } catch (error) {
      this.editor.emit("message", error instanceof Error ? error.message : String(error))
    }
  }

  /** @param {1 | -1} way */
  turnTo(way) {
    const count = this.editor.session.maps.length
    if (count > 1) this.showMap((this.editor.index + way + count) % count)
  }

  /** @param {boolean} isBefore */
  showBefore(isBefore) {
    this.isBefore = isBefore
    if (isBefore) this.layers.base.show(this.editor.document.base)
    this.layers.base.canvas.hidden = !isBefore
    this.viewport.element.classList.toggle("before", isBefore)
    this.emit("before")
  }

  /** @param {boolean} isOverlay */
  showOverlay(isOverlay) {
    this.isOverlay = isOverlay && this.hasOverlay
    this.layers.overlay.canvas.hidden = !this.isOverlay
    this.emit("overlay")
  }

  /** @param {number} opacity 0 to 1 */
  setOverlayOpacity(opacity) {
    this.layers.overlay.canvas.style.opacity = String(opacity)
  }

  help() {
    showHelp(this.root, this.editor.mode)
  }

  async pasteFrom() {
    const piece = await pasteFrom(this.root, this.editor)
    if (piece) this.editor.paste(piece)
  }

  keep() {
    this.tools.text.keep()
    this.close(true)
  }

  /** Closes without keeping, after asking if that would lose changes. */
  async cancel() {
    const answers = [
      { text: "Discard", value: "discard", kind: /** @type {const} */ ("danger") },
      { text: "Continue editing", value: "stay", kind: /** @type {const} */ ("primary") },
    ]
    const text = "Changes since you opened the editor will be lost."
    if (this.editor.isEdited && (await ask(this.root, "Discard your changes?", text, answers)) !== "discard")
      return
    this.close(false)
  }

  #listen() {
    const { editor, layers } = this
    editor.on("map", () => {
      layers.map.show(editor.raster)
      this.viewport.show(editor.raster)
      this.#fitOverlay()
    })
    editor.on("pixels", (rect) => layers.map.refresh(editor.raster, rect))
    editor.on("selection", () => this.#selectionChanged())
    editor.on("tool", () => this.#toolChanged())
    editor.on("doing", (told) => {
      this.isDoing = told !== null
      this.draw()
    })
    editor.on("pose brush mode", () => this.draw())
    editor.on("guide", () => this.#takeOverlay(editor.guide?.raster ?? null))
    editor.on("message", (text) => this.#say(text))
    const { signal } = this.closing
    window.addEventListener("keydown", (event) => this.#key(event), { signal })
    window.addEventListener("keyup", (event) => event.key === " " && this.#pan(false), { signal })
    window.addEventListener("blur", () => this.#pan(false), { signal })
    this.root.addEventListener("pointerup", () => {
      const focused = document.activeElement
      if (focused?.matches("button, select, input[type=range], input[type=checkbox]")) focused["blur"]()
    })
  }

  /** Loads the last generated picture. @param {string | null} url */
  async loadOverlay(url) {
    this.picture = url && (await rasterOf(url).catch(() => null))
    this.#takeOverlay(null)
  }

  /** Lays the guide over the map, or the generated picture if there is no guide. */
  #takeOverlay(guide) {
    const raster = guide ?? this.picture
    this.hasOverlay = !!raster
    if (raster) this.layers.overlay.show(raster)
    this.#fitOverlay()
    this.showOverlay(!!guide || this.isOverlay)
  }

  #fitOverlay() {
    const { width, height } = this.viewport.map
    Object.assign(this.layers.overlay.canvas.style, { width: `${width}px`, height: `${height}px` })
  }

  #pointers() {
    const told = (at) => at && inside(this.editor, at) && { x: Math.floor(at.x), y: Math.floor(at.y) }
    return {
      down: (at) => (this.isBefore ? this.showBefore(false) : this.tool.down(at)),
      move: (path) => {
        this.tool.move(path)
        this.editor.emit("hover", told(path[path.length - 1]))
      },
      up: (at) => {
        this.tool.up(at)
        this.draw()
      },
      cancel: () => this.tool.cancel(),
      hover: (at) => {
        this.tool.hover(at)
        this.editor.emit("hover", told(at))
      },
      twice: (at) => this.tool.twice(at),
    }
  }

  /** Redraws in the next frame what lies over the map: the outline, the handles, the marks of tools. */
  draw() {
    this.nextFrame ??= requestAnimationFrame(() => {
      this.nextFrame = undefined
      if (this.editor.maps[this.editor.index]) this.#drawNow()
    })
  }

  #drawNow() {
    const pen = this.viewport.pen()
    const { outline } = this.layers.selection
    if (outline && this.editor.document.selection) {
      pen.context.save()
      this.tools.grab.carry(pen.context)
      const grown = this.tools.grab.dragging ? Math.max(0.05, this.tools.grab.placement.scaleX) : 1
      outlined(pen.context, outline, pen.px / grown)
      pen.context.restore()
    }
    this.tool.draw?.(pen)
  }

  #viewChanged() {
    this.emit("view")
    this.draw()
  }

  #selectionChanged() {
    const { document, raster } = this.editor
    this.layers.selection.canvas.classList.toggle("dragged", document.busy)
    if (!document.busy) this.layers.selection.show(document.selection, document.selectionBox, raster.width)
    this.draw()
  }

  #toolChanged() {
    this.viewport.showRing(null, 0)
    this.viewport.element.style.cursor = this.tool.cursor ?? "default"
    this.draw()
  }

  #pan(isPanning) {
    this.viewport.panning = isPanning
    this.viewport.element.classList.toggle("panning", isPanning)
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const at = /** @type {HTMLElement} */ (event.target)
    const typing = at.matches?.("input:not([type=range], [type=checkbox]), [contenteditable]")
    if (typing || this.root.querySelector("dialog[open]")) return
    if (at.matches?.("button, select") && [" ", "Enter"].includes(event.key)) return
    if (at.matches?.("select, input[type=range]") && event.key.startsWith("Arrow")) return
    if (event.key === " ") this.#pan(true)
    else if (!press(event, this)) return
    event.preventDefault()
  }

  #say(text) {
    this.toast.textContent = text
    this.toast.classList.add("shown")
    clearTimeout(this.quiet)
    this.quiet = window.setTimeout(() => this.toast.classList.remove("shown"), 2200)
  }
}
