// @ts-check
// Elements in few words.

/**
 * A new element. Of its properties `class` and `style` (an object), `data-…` and `aria-…` are set as
 * attributes are, functions named `on<event>` listen, and all others are the element's own.
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
 * A new SVG element.
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
 * A button with a tooltip that is its name for screen readers, too.
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
 * An icon of one path.
 * @param {string} path in a square of 16
 * @param {string} [className]
 */
export function icon(path, className = "") {
  return svgElement("svg", { viewBox: "0 0 16 16", class: className }, svgElement("path", { d: path }))
}

/** @type {Set<string>} */
const usedSheets = new Set()

/**
 * Give the page a style sheet, once; it stays while elements come, move and go.
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
 * @returns {Promise<HTMLImageElement>} rejected when there is none
 */
export async function loadImage(url) {
  const image = new Image()
  image.src = url
  await image.decode()
  return image
}
