// @ts-check
// The stage: the picture with its boxes, and the pointer on it.

import { element, svgElement } from "../lib/dom.js"
import { effectiveArea } from "./boxes.js"
import { HANDLES, drawn, dragged, hit } from "./gestures.js"
import { planEdit, scaleOf } from "./window.js"

/**
 * @typedef {import("./boxes.js").Box} Box
 * @typedef {import("./boxes.js").Size} Size
 * @typedef {import("./gestures.js").Point} Point
 * @typedef {{boxes: Box[], selected: number}} State
 * @typedef {import("./window.js").Plan} Plan
 * @typedef {import("./window.js").Settings & {url: string | null}} Scene what the boxes are drawn on; url of the
 * picture, null while there is none
 */

const REACH = { mouse: 6, pen: 8, touch: 14 } // of a handle, in screen pixels
const RIM = 6 // around the picture, so that handles at its edges are fully visible
const SHORTEST_DRAG = 3 // in screen pixels; less is a click
const CURSORS = {
  move: "move",
  n: "ns-resize",
  s: "ns-resize",
  e: "ew-resize",
  w: "ew-resize",
  ne: "nesw-resize",
  sw: "nesw-resize",
  nw: "nwse-resize",
  se: "nwse-resize",
}

export class Stage {
  /** @type {{from: Point, at: Point, before: State, target: ReturnType<typeof hit>} | null} target null: draw */
  #gesture = null
  /** @type {State} */
  #state = { boxes: [], selected: -1 }
  /** @type {Scene} */
  #scene

  /**
   * @param {Scene} scene
   * @param {{onChange: (state: State) => void, onDone: () => void}} listeners onChange is called during a gesture,
   * onDone after a gesture that changed a box
   */
  constructor(scene, { onChange, onDone }) {
    this.#scene = scene
    this.onChange = onChange
    this.onDone = onDone
    this.image = element("img", { alt: "", draggable: false })
    this.svg = svgElement("svg", { preserveAspectRatio: "none" })
    this.hint = element("div", { class: "finesse-hint" }, "Run once to see the picture")
    this.frame = element("div", { class: "finesse-frame" }, this.image, this.svg, this.hint)
    this.element = element(
      "div",
      {
        class: "finesse-stage",
        tabIndex: 0,
        role: "application",
        "aria-label": "Boxes on the picture: drag to draw, arrow keys to move",
        onpointerdown: (/** @type {PointerEvent} */ event) => this.#down(event),
        onpointermove: (/** @type {PointerEvent} */ event) => this.#move(event),
        onpointerup: (/** @type {PointerEvent} */ event) => this.#up(event),
        onpointercancel: () => this.cancel(),
      },
      this.frame,
    )
    new ResizeObserver(() => this.#fit()).observe(this.element)
  }

  /** @param {State} state @param {Scene} scene */
  show(state, scene) {
    this.#state = state
    if (scene.url !== this.#scene.url || !this.image.src) this.image.src = scene.url ?? ""
    this.#scene = scene
    this.frame.classList.toggle("finesse-empty", !scene.url)
    this.#fit()
  }

  /** Cancel the present gesture. @returns {boolean} whether there was one */
  cancel() {
    const gesture = this.#gesture
    this.#gesture = null
    if (gesture) this.onChange(gesture.before)
    return !!gesture
  }

  /** Make the frame as large as the picture may be, and draw the boxes in it. */
  #fit() {
    const { width, height } = this.#scene.picture
    const { clientWidth, clientHeight } = this.element
    if (!clientWidth || !clientHeight) return
    const scale = Math.min((clientWidth - 2 * RIM) / width, (clientHeight - 2 * RIM) / height)
    Object.assign(this.frame.style, { width: `${width * scale}px`, height: `${height * scale}px` })
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`)
    const plan = planEdit(this.#state.boxes, this.#scene)
    const boxes = this.#state.boxes.map((_, index) => this.#drawing(index, plan, 1 / scale))
    this.svg.replaceChildren(...windowFrame(plan, this.#scene.picture, 1 / scale), ...boxes)
  }

  /**
   * @param {number} index of the box
   * @param {Plan | null} plan
   * @param {number} unit picture pixels per pixel of the node
   */
  #drawing(index, plan, unit) {
    const { snap, grow } = this.#scene
    const box = this.#state.boxes[index]
    const [final, sampled] = [plan?.edited[index], plan?.sampled[index]]
    const grade = sampled ? effectiveArea(sampled, this.#scene).grade : "red"
    const isSelected = index === this.#state.selected
    const group = svgElement("g", {
      class: `finesse-box finesse-${grade}`,
      "stroke-width": (isSelected ? 2 : 1.25) * unit,
    })
    if (final && (snap || grow)) {
      group.append(
        rectangle(final, { class: "finesse-edited", "stroke-dasharray": `${4 * unit} ${3 * unit}` }),
      )
    }
    group.append(rectangle(box, { class: "finesse-halo", "stroke-width": 4 * unit }), rectangle(box, {}))
    const label = isSelected && this.#gesture ? `${box.width} × ${box.height}` : String(index + 1)
    const above = box.y > 14 * unit
    const place = { x: box.x + 3 * unit, y: above ? box.y - 4 * unit : box.y + box.height + 12 * unit }
    group.append(svgElement("text", { ...place, "font-size": 11 * unit, "stroke-width": 2.5 * unit }, label))
    if (isSelected) group.append(...HANDLES.map(([, x, y]) => handle(box, x, y, unit)))
    return group
  }

  /** @param {PointerEvent} event */
  #down(event) {
    if (event.button !== 0 || this.#gesture) return
    const from = this.#point(event)
    const target = event.ctrlKey || event.metaKey ? null : this.#hit(event)
    const before = this.#state
    this.#gesture = { from, at: from, before, target }
    this.element.setPointerCapture(event.pointerId)
    this.onChange({ ...before, selected: target?.index ?? -1 })
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const gesture = this.#gesture
    if (!gesture) {
      const handle = this.#hit(event)?.handle
      this.element.style.cursor = handle ? CURSORS[handle] : "crosshair"
      return
    }
    gesture.at = this.#point(event)
    if (!this.#isDrag(gesture)) return
    const { boxes } = gesture.before
    const { picture } = this.#scene
    if (!gesture.target) {
      const made = drawn(gesture.from, gesture.at, picture)
      return this.onChange({ boxes: [...boxes, made], selected: boxes.length })
    }
    const { index, handle } = gesture.target
    const changed = dragged(boxes[index], handle, gesture.from, gesture.at, picture)
    this.onChange({ boxes: boxes.with(index, changed), selected: index })
  }

  /** @param {PointerEvent} event */
  #up(event) {
    if (event.button !== 0 || !this.#gesture) return
    this.#move(event)
    const gesture = this.#gesture
    this.#gesture = null
    this.onChange(this.#state)
    if (this.#isDrag(gesture)) this.onDone()
  }

  /** @param {{from: Point, at: Point}} gesture */
  #isDrag({ from, at }) {
    return Math.hypot(at.x - from.x, at.y - from.y) >= SHORTEST_DRAG * this.#perScreenPixel()
  }

  /** @param {PointerEvent} event */
  #hit(event) {
    const kind = /** @type {keyof typeof REACH} */ (event.pointerType)
    const reach = (REACH[kind] ?? REACH.mouse) * this.#perScreenPixel()
    return hit(this.#state.boxes, this.#state.selected, this.#point(event), reach)
  }

  /** The pointer's place in the picture, at any zoom of the graph. @param {PointerEvent} event @returns {Point} */
  #point(event) {
    const { left, top } = this.frame.getBoundingClientRect()
    const scale = this.#perScreenPixel()
    return { x: (event.clientX - left) * scale, y: (event.clientY - top) * scale }
  }

  /** Picture pixels per screen pixel. */
  #perScreenPixel() {
    return this.#scene.picture.width / this.frame.getBoundingClientRect().width
  }
}

/**
 * The frame of the window, where it is not the whole picture.
 * @param {Plan | null} plan
 * @param {Size} picture
 * @param {number} unit picture pixels per pixel of the node
 */
function windowFrame(plan, picture, unit) {
  if (!plan) return []
  const { x, y, width, height } = plan.window
  if (width >= picture.width && height >= picture.height) return []
  const frame = rectangle(plan.window, { class: "finesse-window", "stroke-width": 1.25 * unit })
  const text = { x: x + 3 * unit, y: y + height - 4 * unit, "font-size": 10 * unit, "stroke-width": 2.5 * unit }
  const label = svgElement("text", { class: "finesse-window-label", ...text }, scaleOf(plan))
  return [frame, label]
}

/** @param {Box} box @param {Record<string, string | number>} attributes */
function rectangle({ x, y, width, height }, attributes) {
  return svgElement("rect", { x, y, width, height, ...attributes })
}

/** @param {Box} box @param {number} across @param {number} down @param {number} unit */
function handle(box, across, down, unit) {
  const side = 7 * unit
  const [x, y] = [box.x + across * box.width - side / 2, box.y + down * box.height - side / 2]
  return svgElement("rect", {
    class: "finesse-handle",
    x,
    y,
    width: side,
    height: side,
    "stroke-width": unit,
  })
}
