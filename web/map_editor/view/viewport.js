// @ts-check
// The viewport shows the map's layers. It zooms and pans by mouse, keys and touch, and gives pointers in map pixels.

import { element } from "../../lib/dom.js"
import { Camera } from "./camera.js"

/**
 * @typedef {{x: number, y: number, shift: boolean, alt: boolean, ctrl: boolean}} Pointer a place in the map, with
 *   fractions of pixels, and the keys held
 * @typedef {object} PointerTarget receives the pointers that neither pan nor pinch
 * @property {(at: Pointer) => void} down
 * @property {(path: Pointer[]) => void} move while pressed: every place since the last call, the newest last
 * @property {(at: Pointer) => void} up
 * @property {() => void} cancel
 * @property {(at: Pointer | null) => void} hover while not pressed; null after leaving the window
 * @property {(at: Pointer) => void} twice
 */

const TOUCH_SLACK = 6 // CSS pixels; a finger that moves farther is no longer the first of a pinch

export class Viewport {
  camera = new Camera()
  map = { width: 1, height: 1 }
  panning = false // while the space bar is held

  /** @param {PointerTarget} target @param {() => void} onView called after the camera moved or the window changed */
  constructor(target, onView) {
    this.target = target
    this.onView = onView
    this.stage = element("div", { class: "stage" })
    this.handles = element("canvas", { class: "handles" })
    this.ring = element("div", { class: "brush-ring", hidden: true })
    this.element = element("main", { class: "view" }, this.stage, this.handles, this.ring)
    /** @type {Map<number, {x: number, y: number}>} */
    this.pressed = new Map()
    /** @type {"tool" | "pan" | "pinch" | null} */
    this.gesture = null
    /** A finger's press that may become a pinch. @type {{at: Pointer, from: {x: number, y: number}} | null} */
    this.waiting = null
    this.#listen()
  }

  /** The window's size in CSS pixels. It is measured when it changes, because measuring makes the browser lay out. */
  size = { width: 1, height: 1 }

  measure() {
    this.size = { width: this.element.clientWidth, height: this.element.clientHeight }
  }

  /** @param {{width: number, height: number}} map */
  show(map) {
    this.map = { width: map.width, height: map.height }
    Object.assign(this.stage.style, { width: `${map.width}px`, height: `${map.height}px` })
    this.measure()
    this.fit()
  }

  fit() {
    this.camera.fit(this.map, this.size)
    this.#changed()
  }

  actualSize() {
    this.camera.zoomAt(1, this.size.width / 2, this.size.height / 2)
    this.#changed()
  }

  /** @param {number} factor @param {{x: number, y: number}} [at] on the screen; by default the centre */
  zoomBy(factor, at = { x: this.size.width / 2, y: this.size.height / 2 }) {
    this.camera.zoomAt(this.camera.zoom * factor, at.x, at.y)
    this.#changed()
  }

  /** A cleared 2D context over the whole window that draws in map pixels; `px` is the size of one CSS pixel. */
  pen() {
    const ratio = window.devicePixelRatio
    const { width, height } = this.size
    if (
      this.handles.width !== Math.round(width * ratio) ||
      this.handles.height !== Math.round(height * ratio)
    ) {
      this.handles.width = Math.round(width * ratio)
      this.handles.height = Math.round(height * ratio)
    }
    const context = /** @type {CanvasRenderingContext2D} */ (this.handles.getContext("2d"))
    context.setTransform(1, 0, 0, 1, 0, 0)
    context.clearRect(0, 0, this.handles.width, this.handles.height)
    const { zoom, x, y } = this.camera
    context.setTransform(zoom * ratio, 0, 0, zoom * ratio, x * ratio, y * ratio)
    return { context, px: 1 / zoom }
  }

  /** Shows the width of the brush as a ring. @param {Pointer | null} at @param {number} width map pixels */
  showRing(at, width) {
    this.ring.hidden = !at
    if (!at) return
    const side = Math.max(3, width * this.camera.zoom)
    const { x, y } = this.camera.toScreen(at.x, at.y)
    this.ring.style.width = this.ring.style.height = `${side}px`
    this.ring.style.transform = `translate(${x - side / 2}px, ${y - side / 2}px)`
  }

  #changed() {
    this.camera.keepInSight(this.map, this.size)
    const { zoom, x, y } = this.camera
    this.stage.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`
    this.stage.style.setProperty("--px", `${1 / zoom}px`)
    this.stage.classList.toggle("crisp", zoom * window.devicePixelRatio >= 1)
    this.onView()
  }

  #listen() {
    const view = this.element
    view.addEventListener("wheel", (event) => this.#wheel(event), { passive: false })
    view.addEventListener("pointerdown", (event) => this.#down(event))
    view.addEventListener("pointermove", (event) => this.#move(event))
    view.addEventListener("pointerup", (event) => this.#up(event))
    view.addEventListener("pointercancel", (event) => this.#up(event))
    view.addEventListener("pointerleave", () => this.gesture || this.target.hover(null))
    view.addEventListener("dblclick", (event) => this.panning || this.target.twice(this.#pointer(event)))
    view.addEventListener("contextmenu", (event) => event.preventDefault())
    new ResizeObserver(() => {
      this.measure()
      this.#changed()
    }).observe(view)
  }

  /** @param {MouseEvent} event */
  #screen(event) {
    const box = this.element.getBoundingClientRect()
    return { x: event.clientX - box.x, y: event.clientY - box.y }
  }

  /** @param {MouseEvent} event @returns {Pointer} */
  #pointer(event) {
    const { x, y } = this.#screen(event)
    const held = { shift: event.shiftKey, alt: event.altKey, ctrl: event.ctrlKey || event.metaKey }
    return { ...this.camera.toMap(x, y), ...held }
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault()
    const lines = event.deltaMode === 1 ? 16 : 1
    if (event.shiftKey) {
      this.camera.panBy(-(event.deltaX || event.deltaY) * lines, 0)
      this.#changed()
    } else {
      const steps = Math.max(-120, Math.min(120, event.deltaY * lines))
      this.zoomBy(2 ** (-steps / (event.ctrlKey ? 60 : 240)), this.#screen(event))
    }
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (/** @type {Element} */ (event.target).closest(".text-entry, .floating-bar")) return
    this.element.setPointerCapture(event.pointerId)
    this.pressed.set(event.pointerId, this.#screen(event))
    if (this.pressed.size === 2) {
      if (this.gesture === "tool" && !this.waiting) this.target.cancel()
      this.waiting = null
      this.gesture = "pinch"
    } else if (this.pressed.size === 1) {
      const pans = this.panning || event.button === 1
      if (!pans && event.button !== 0) return
      this.gesture = pans ? "pan" : "tool"
      this.element.classList.toggle("grabbing", pans)
      if (!pans && event.pointerType === "touch")
        this.waiting = { at: this.#pointer(event), from: this.#screen(event) }
      else if (!pans) this.target.down(this.#pointer(event))
    }
    if (event.button === 1) event.preventDefault()
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const before = this.pressed.get(event.pointerId)
    if (!before) return this.target.hover(this.#pointer(event))
    const now = this.#screen(event)
    if (this.gesture === "tool") {
      if (this.waiting && Math.hypot(now.x - this.waiting.from.x, now.y - this.waiting.from.y) < TOUCH_SLACK)
        return
      this.#begin()
      const events = event.getCoalescedEvents?.() ?? []
      this.target.move((events.length ? events : [event]).map((one) => this.#pointer(one)))
    } else if (this.gesture === "pan") {
      this.camera.panBy(now.x - before.x, now.y - before.y)
      this.#changed()
    } else if (this.gesture === "pinch") this.#pinch(event.pointerId, before, now)
    this.pressed.set(event.pointerId, now)
  }

  /** Passes on the press of a finger that no second one followed. */
  #begin() {
    if (this.waiting) this.target.down(this.waiting.at)
    this.waiting = null
  }

  /** Handles two fingers: the centre between them pans, their distance zooms. */
  #pinch(id, before, now) {
    const other = [...this.pressed].find(([pointer]) => pointer !== id)?.[1]
    if (!other) return
    const apart = (point) => Math.max(1, Math.hypot(point.x - other.x, point.y - other.y))
    const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 }
    this.camera.panBy((now.x - before.x) / 2, (now.y - before.y) / 2)
    this.zoomBy(apart(now) / apart(before), middle)
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (!this.pressed.delete(event.pointerId)) return
    const was = this.gesture
    if (was === "tool") {
      this.#begin()
      this.gesture = null
      if (event.type === "pointercancel") this.target.cancel()
      else this.target.up(this.#pointer(event))
    } else if (!this.pressed.size) this.gesture = null
    this.element.classList.remove("grabbing")
  }
}
