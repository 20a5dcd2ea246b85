// @ts-check
// The controls that panels are made of.

import { element } from "../../lib/dom.js"
import { icon } from "./icons.js"

/** @typedef {import("./icons.js").IconName} IconName */

/**
 * @param {IconName} name
 * @param {string} title tooltip and name for screen readers
 * @param {() => void} onclick
 * @param {string} [className]
 * @returns {HTMLButtonElement}
 */
export function iconButton(name, title, onclick, className = "") {
  const properties = {
    type: "button",
    class: `icon-button ${className}`,
    title,
    "aria-label": title,
    onclick,
  }
  return element("button", properties, /** @type {any} */ (icon(name)))
}

/**
 * @param {string} text
 * @param {() => void} onclick
 * @param {{icon?: IconName, title?: string, kind?: "primary" | "danger" | "plain"}} [options]
 */
export function textButton(text, onclick, { icon: name, title = "", kind = "plain" } = {}) {
  const properties = { type: "button", class: `text-button ${kind}`, title, onclick }
  return element(
    "button",
    properties,
    name ? /** @type {any} */ (icon(name)) : null,
    element("span", {}, text),
  )
}

/**
 * @param {string} title
 * @param {...(Node | null)} children
 */
export function section(title, ...children) {
  return element("section", { class: "section" }, title ? element("h3", {}, title) : null, ...children)
}

/**
 * A slider with its value next to it.
 * @param {string} label
 * @param {object} options
 * @param {number} options.min
 * @param {number} options.max
 * @param {number} options.value
 * @param {number} [options.step]
 * @param {boolean} [options.logarithmic] finer at the small end
 * @param {(value: number) => string} [options.told]
 * @param {(value: number) => void} options.oninput
 * @param {(value: number) => void} [options.onchange] called when it is released
 * @returns {HTMLElement & {setValue(value: number): void}}
 */
export function slider(
  label,
  { min, max, value, step = 1, logarithmic = false, told = String, oninput, onchange },
) {
  const ratio = max / min
  const place = (wanted) => (logarithmic ? (1000 * Math.log(wanted / min)) / Math.log(ratio) : wanted)
  const meant = (at) => (logarithmic ? Math.round(min * ratio ** (at / 1000)) : at)
  const range = logarithmic ? { min: 0, max: 1000, step: 1 } : { min, max, step }
  const output = element("output", {}, told(value))
  const input = element("input", { type: "range", ...range, "aria-label": label })
  const show = (at) => {
    output.textContent = told(at)
    const [low, high] = [Number(input.min), Number(input.max)]
    input.style.setProperty("--filled", `${((Number(input.value) - low) / (high - low)) * 100}%`)
  }
  const setValue = (wanted) => {
    input.value = String(place(wanted))
    show(wanted)
  }
  input.addEventListener("input", () => {
    const now = meant(Number(input.value))
    show(now)
    oninput(now)
  })
  input.addEventListener("change", () => onchange?.(meant(Number(input.value))))
  setValue(value)
  const row = element("label", { class: "slider" }, element("span", {}, label), output, input)
  return Object.assign(row, { setValue })
}

/** @param {string} label @param {boolean} checked @param {(checked: boolean) => void} onchange */
export function checkbox(label, checked, onchange) {
  const box = element("input", { type: "checkbox", checked, onchange: () => onchange(box.checked) })
  return element("label", { class: "check" }, box, element("span", {}, label))
}

/**
 * @param {string} label
 * @param {{value: string, name: string}[]} choices
 * @param {string} value
 * @param {(value: string) => void} onchange
 */
export function choice(label, choices, value, onchange) {
  const options = choices.map((one) =>
    element("option", { value: one.value, selected: one.value === value }, one.name),
  )
  const select = element(
    "select",
    { "aria-label": label, onchange: () => onchange(select.value) },
    ...options,
  )
  return element("label", { class: "choice" }, element("span", {}, label), select)
}

/** A small square of a colour. @param {number} value packed */
export function swatch(value) {
  return element("i", { class: "swatch", style: { background: css(value) } })
}

/** @param {number} value packed @returns {string} */
export function css(value) {
  return `rgb(${value & 255} ${(value >>> 8) & 255} ${(value >>> 16) & 255})`
}
