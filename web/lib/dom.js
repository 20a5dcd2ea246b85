// @ts-check
// Helpers that create elements.

/**
 * Create an element. The properties `class`, `style` (an object), `data-…` and `aria-…` become attributes, functions
 * named `on<event>` become listeners, and all others become properties of the element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value
    else if (name === "style") Object.assign(made.style, value)
    else if (/^(data|aria)-|^role$/.test(name)) made.setAttribute(name, String(value))
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value)
    else /** @type {any} */ (made)[name] = value
  }
  made.append(...children.filter((child) => child != null))
  return made
}

/**
 * Create an SVG element.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function svgElement(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value))
  made.append(...children)
  return made
}

/**
 * Create a button with a tooltip, which is also its name for screen readers.
 * @param {string | Node} label what it shows
 * @param {string} title
 * @param {(event: MouseEvent) => void} onclick
 * @param {string} [className]
 * @returns {HTMLButtonElement}
 */
export function button(label, title, onclick, className = "") {
  return element("button", { type: "button", class: className, title, "aria-label": title, onclick }, label)
}

/**
 * Create an icon from one path.
 * @param {string} path in a square of 16
 * @param {string} [className]
 */
export function icon(path, className = "") {
  return svgElement("svg", { viewBox: "0 0 16 16", class: className }, svgElement("path", { d: path }))
}

/** @type {Set<string>} */
const usedSheets = new Set()

/**
 * Add a style sheet to the page, once. It stays while elements are added, moved and removed.
 * @param {URL} address `new URL("x.css", import.meta.url)`
 */
export async function useStyleSheet({ href }) {
  if (usedSheets.has(href)) return
  usedSheets.add(href)
  const sheet = new CSSStyleSheet()
  document.adoptedStyleSheets.push(sheet)
  const answer = await fetch(href)
  if (answer.ok) await sheet.replace(await answer.text())
}

/**
 * Load a picture.
 * @param {string} url
 * @returns {Promise<HTMLImageElement>} rejected if there is none
 */
export async function loadImage(url) {
  const image = new Image()
  image.src = url
  await image.decode()
  return image
}
