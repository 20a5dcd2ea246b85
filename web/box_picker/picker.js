// @ts-check
// The box picker: the picture with its boxes, and the panel below it.

import { element } from "../lib/dom.js"
import { readBoxes, valueOf } from "./boxes.js"
import { onKey } from "./gestures.js"
import { Panel } from "./panel.js"
import { Stage } from "./stage.js"

/**
 * @typedef {import("./stage.js").State} State
 * @typedef {import("./stage.js").Scene} Scene
 */

export class Picker {
  /** @type {State} */
  #state = { boxes: [], selected: -1 }
  #changedByKey = false

  /**
   * @param {(state: State) => {scene: Scene, remark: string, isUsed: boolean}} look the present scene, a remark on
   * the boxes or "", and whether they are used
   * @param {{onChange: () => void, onDone: () => void}} listeners onChange is called for each new value, onDone when
   * an undo step is complete
   */
  constructor(look, { onChange, onDone }) {
    this.look = look
    this.onChange = onChange
    const listeners = { onChange: (/** @type {State} */ state) => this.#change(state), onDone }
    const { scene } = look(this.#state)
    this.stage = new Stage(scene, listeners)
    this.panel = new Panel(scene, listeners)
    this.element = element("div", { class: "finesse-boxes" }, this.stage.element, this.panel.element)
    this.stage.element.addEventListener("keydown", (event) => this.#keyDown(event))
    this.stage.element.addEventListener("keyup", () => {
      if (this.#changedByKey) onDone()
      this.#changedByKey = false
    })
  }

  /** The value to save: a box, or a list of boxes. */
  get value() {
    return valueOf(this.#state.boxes)
  }

  set value(value) {
    const boxes = readBoxes(value)
    if (JSON.stringify(valueOf(boxes)) === JSON.stringify(this.value)) return
    this.#state = { boxes, selected: boxes.length ? 0 : -1 }
    this.show()
  }

  /** Show the boxes and the scene as they are now. */
  show() {
    const { scene, remark, isUsed } = this.look(this.#state)
    this.element.classList.toggle("finesse-unused", !isUsed)
    this.stage.show(this.#state, scene)
    this.panel.show(this.#state, scene, remark)
  }

  /** @param {State} state */
  #change(state) {
    const before = JSON.stringify(this.value)
    this.#state = state
    this.show()
    if (JSON.stringify(this.value) !== before) this.onChange()
  }

  /** @param {KeyboardEvent} event */
  #keyDown(event) {
    const { boxes, selected } = this.#state
    const { scene } = this.look(this.#state)
    if (event.key === "Escape" && this.stage.cancel()) return stop(event)
    const next = onKey(event, boxes, selected, scene)
    if (!next) return
    stop(event)
    this.#changedByKey ||= next.boxes !== boxes
    this.#change(next)
  }
}

/** Hide a key from the page, where Delete removes the node. */
function stop(/** @type {Event} */ event) {
  event.preventDefault()
  event.stopPropagation()
}
