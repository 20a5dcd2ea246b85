// @ts-check
// The panel below the picture: the numbers of the boxes, and the fields of the selected one.

import { button, element, icon } from "../lib/dom.js"
import { effectiveArea, newBox, readSeed } from "./boxes.js"
import { removed } from "./gestures.js"
import { planEdit, scaleOf } from "./window.js"

/**
 * @typedef {import("./boxes.js").Box} Box
 * @typedef {import("./stage.js").State} State
 * @typedef {import("./stage.js").Scene} Scene
 * @typedef {import("./stage.js").Plan} Plan
 */

const SIDES = /** @type {const} */ (["x", "y", "width", "height"])
const DIE = "M1 1h14v14H1zM5 5h.01M11 11h.01M8 8h.01M11 5h.01M5 11h.01"
const BIN = "M2 4h12M6 4V2h4v2M4 4l.7 10h6.6L12 4M6.5 7v4.5M9.5 7v4.5"

export class Panel {
  /** @type {State} */
  #state = { boxes: [], selected: -1 }
  /** @type {Scene} */
  #scene
  /** @type {Plan | null} */
  #plan = null

  /**
   * @param {Scene} scene
   * @param {{onChange: (state: State) => void, onDone: () => void}} listeners as the stage's
   */
  constructor(scene, { onChange, onDone }) {
    this.#scene = scene
    this.onChange = onChange
    this.onDone = onDone
    this.tabs = element("div", { class: "finesse-tabs" })
    this.area = element("div", { class: "finesse-area", "aria-live": "polite" })
    this.sides = Object.fromEntries(SIDES.map((side) => [side, this.#number(side)]))
    this.text = element("input", {
      type: "text",
      class: "finesse-text",
      placeholder: "What to draw in this box",
      title: "The box's own text; needs clip. If it is empty, positive is used here too.",
      oninput: () => this.#set({ text: this.text.value || undefined }),
      onchange: () => this.onDone(),
    })
    this.seed = element("input", {
      type: "text",
      class: "finesse-seed",
      inputMode: "numeric",
      placeholder: "seed",
      title: "The box's own seed, for Noise per Box. If it is empty, noise_seed is used.",
      oninput: () => this.#typeSeed(),
      onchange: () => this.onDone(),
    })
    this.fields = element(
      "div",
      { class: "finesse-fields" },
      ...SIDES.map((side) => element("label", {}, element("span", {}, side), this.sides[side])),
      button(icon(BIN, "finesse-icon"), "Remove the box (Delete)", () => this.#remove()),
      element(
        "div",
        { class: "finesse-own" },
        this.text,
        this.seed,
        button(icon(DIE, "finesse-icon"), "Random seed", () => this.#roll()),
      ),
    )
    const row = element("div", { class: "finesse-row" }, this.tabs, this.area)
    this.element = element("div", { class: "finesse-panel" }, row, this.fields)
  }

  /** @param {State} state @param {Scene} scene @param {string} remark shown instead of the area, "" for none */
  show(state, scene, remark) {
    this.#state = state
    this.#scene = scene
    this.#plan = planEdit(state.boxes, scene)
    const tabs = state.boxes.map((box, index) => this.#tab(box, index))
    this.tabs.replaceChildren(
      ...tabs,
      button("+", "Add a box", () => this.#add(), "finesse-tab"),
    )
    this.#showArea(remark)
    const box = state.boxes[state.selected]
    this.fields.classList.toggle("finesse-off", !box)
    this.fields.inert = !box
    for (const side of SIDES) fill(this.sides[side], box ? String(box[side]) : "")
    fill(this.text, box?.text ?? "")
    if (readSeed(this.seed.value) !== (box?.seed ?? null)) fill(this.seed, box?.seed ?? "")
    this.seed.setAttribute("aria-invalid", String(!!this.seed.value && readSeed(this.seed.value) === null))
  }

  /** @param {string} remark */
  #showArea(remark) {
    const { boxes, selected } = this.#state
    const area = this.#areaOf(selected)
    const grade = remark ? "amber" : boxes[selected] ? (area?.grade ?? "red") : "plain"
    this.area.className = `finesse-area finesse-${grade}`
    this.area.title = ""
    if (remark) this.area.textContent = remark
    else if (!boxes.length) this.area.textContent = "Drag on the picture to draw a box"
    else if (!boxes[selected]) this.area.textContent = "Click a box to change it"
    else if (!area) this.area.textContent = "Outside the picture"
    else {
      const { token, levels } = this.#scene
      const side = Math.ceil((token * 2 ** (levels - 1)) / this.#plan.factor)
      const where = levels > 1 ? " at the lowest level" : ""
      this.area.textContent = `${short(area.across)} × ${short(area.down)} cells${where}`
      const remark = {
        red: `The object may be left out or misshapen: set scale to auto or larger, or make the box at least ${side} × ${side} px.`,
        amber: `Shapes come out better at ${2 * side} × ${2 * side} px or more.`,
        green: "Large enough for the model to see what is drawn here.",
      }[area.grade]
      this.area.title = `${remark} The window is sampled at ${scaleOf(this.#plan)}.`
    }
  }

  /** @param {number} index of a box */
  #areaOf(index) {
    const sampled = this.#plan?.sampled[index]
    return sampled && effectiveArea(sampled, this.#scene)
  }

  /** @param {Box} box @param {number} index */
  #tab(box, index) {
    const grade = this.#areaOf(index)?.grade ?? "red"
    const isSelected = index === this.#state.selected
    const select = () => this.onChange({ ...this.#state, selected: index })
    const title = box.text ? `Box ${index + 1}: ${box.text}` : `Box ${index + 1}`
    const made = button(String(index + 1), title, select, `finesse-tab finesse-${grade}`)
    made.setAttribute("aria-pressed", String(isSelected))
    return made
  }

  /** @param {typeof SIDES[number]} side */
  #number(side) {
    const least = side === "width" || side === "height" ? 1 : 0
    const input = element("input", {
      type: "number",
      min: String(least),
      step: "1",
      title: `${side} in pixels`,
      oninput: () => {
        const value = Math.round(input.valueAsNumber)
        if (value >= least) this.#set({ [side]: value })
      },
      onchange: () => {
        fill(input, String(this.#state.boxes[this.#state.selected]?.[side] ?? ""), true)
        this.onDone()
      },
    })
    return input
  }

  /** @param {Partial<Box>} values */
  #set(values) {
    const { boxes, selected } = this.#state
    this.onChange({ boxes: boxes.with(selected, { ...boxes[selected], ...values }), selected })
  }

  #typeSeed() {
    const digits = readSeed(this.seed.value)
    this.#set({ seed: digits ?? undefined })
  }

  #roll() {
    this.#set({ seed: String(Math.floor(Math.random() * 2 ** 50)) })
    this.onDone()
  }

  #add() {
    const { boxes } = this.#state
    this.onChange({ boxes: [...boxes, newBox(this.#scene.picture, this.#scene)], selected: boxes.length })
    this.onDone()
  }

  #remove() {
    this.onChange(removed(this.#state.boxes, this.#state.selected))
    this.onDone()
  }
}

/** Set a field, unless the user is editing it. */
function fill(/** @type {HTMLInputElement} */ input, /** @type {string} */ value, always = false) {
  if (always || document.activeElement !== input) input.value = value
}

/** @param {number} cells */
function short(cells) {
  return String(Number(cells.toFixed(2)))
}
