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
 * Load a style sheet into the page, once.
 * @param {string | URL} address absolute: `new URL("x.css", import.meta.url)`
 */
export function useStyleSheet(address) {
  const href = String(address)
  const links = [...document.querySelectorAll("link[rel=stylesheet]")]
  if (links.some((link) => /** @type {HTMLLinkElement} */ (link).href === href)) return
  document.head.append(element("link", { rel: "stylesheet", href }))
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
