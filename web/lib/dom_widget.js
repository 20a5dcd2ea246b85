// @ts-check
// An element as a node's widget, in the classic renderer and in Nodes 2.0.

import { app, chain } from "./comfy.js"
import { useStyleSheet } from "./dom.js"

const POLL = 400 // ms
const MARGIN = 10 // around the element, in the classic renderer

/**
 * The element of each widget that was added, by graph, node and name.
 * @type {Map<string, WeakRef<HTMLElement>>}
 */
const shown = new Map()

/** Takes the keys of elements that are gone out of it. @type {FinalizationRegistry<string>} */
const forgotten = new FinalizationRegistry((key) => {
  if (!shown.get(key)?.deref()) shown.delete(key)
})

/** The element that last lost the focus, and when. @type {{element: HTMLElement, at: number} | null} */
let blurred = null

/**
 * Host `element` as the widget `name` of `node`.
 *
 * The value is what workflows and prompts save: an object (the page wraps a list for prompts), never the
 * same one changed in place. `setValue` is called with whatever a workflow holds, so it checks. After a
 * change by the user set `widget.value`, and call `recordUndoStep` when the gesture is over.
 *
 * @template {object | string} Value
 * @param {any} node
 * @param {string} name the input's
 * @param {string} type the input's own io type
 * @param {HTMLElement} element
 * @param {object} options
 * @param {() => Value} options.getValue
 * @param {(value: any) => void} options.setValue
 * @param {() => any[]} options.surroundings all else that it shows: links, other widgets, runs
 * @param {() => void} options.refresh called in a graph, now and whenever one of the surroundings is another
 * @param {number} options.minHeight of the element
 * @param {boolean} [options.socketless] false where the input takes a link, too
 * @returns {any} the widget
 */
export function addElementWidget(node, name, type, element, options) {
  const { getValue, setValue, minHeight, socketless = true } = options
  useStyleSheet(new URL("widget.css", import.meta.url))
  element.classList.add("finesse-widget")
  const widget = node.addDOMWidget(name, type, element, {
    getValue,
    setValue,
    getMinHeight: () => minHeight + 2 * MARGIN,
    margin: MARGIN,
    hideOnZoom: false,
    socketless,
  })
  // linked inputs are dimmed, as in Nodes 2.0, where the classic renderer would leave an empty space
  widget.isVisible = () => !widget.hidden && node.isWidgetVisible(widget)
  element.style.minHeight = `${minHeight}px` // Nodes 2.0 measures; the classic renderer asks getMinHeight
  forwardCanvasGestures(element)
  element.addEventListener("focusout", () => {
    blurred = { element, at: performance.now() }
  })
  let stopWatching = () => {}
  chain(node, "onAdded", () => {
    takeOver(`${node.graph?.id}:${node.id}:${name}`, element)
    stopWatching()
    stopWatching = watch(options.surroundings, options.refresh)
  })
  chain(node, "onRemoved", () => stopWatching())
  return widget
}

/**
 * Call `onChange` now, and when something that `read` gives is another than before, until the returned function
 * is called. The page has no event for all that changes around a node: links, widgets, runs, undo.
 * @param {() => any[]} read
 * @param {() => void} onChange
 * @returns {() => void}
 */
function watch(read, onChange) {
  let before = read()
  onChange()
  const timer = setInterval(() => {
    const now = read()
    if (now.every((value, place) => value === before[place])) return
    before = now
    onChange()
  }, POLL)
  return () => clearInterval(timer)
}

/**
 * Undo makes all nodes anew. Nodes 2.0 then goes on showing the element of the removed one; the classic renderer
 * has removed it by now, and the focus with it.
 * @param {string} key
 * @param {HTMLElement} element
 */
function takeOver(key, element) {
  const old = shown.get(key)?.deref()
  shown.set(key, new WeakRef(element))
  forgotten.register(element, key)
  if (!old || old === element) return
  const justBlurred = blurred?.element === old && performance.now() - blurred.at < 2000 && !old.isConnected
  const hadFocus = old.contains(document.activeElement) || justBlurred
  if (old.isConnected) old.replaceWith(element)
  if (hadFocus) focus(element, 30)
}

/**
 * Give the focus to an element's part that takes keys, so that they go on working after Ctrl+Z; again for some
 * frames, because the renderers move the element to its place, which takes the focus away.
 * @param {HTMLElement} element
 * @param {number} frames
 */
function focus(element, frames) {
  const isElsewhere = document.activeElement !== document.body && !element.contains(document.activeElement)
  if (isElsewhere || frames === 0) return
  const part = /** @type {HTMLElement | null} */ (element.querySelector("[tabindex='0']"))
  if (document.activeElement !== part) part?.focus({ preventScroll: true })
  requestAnimationFrame(() => focus(element, frames - 1))
}

/**
 * In the classic renderer an element over the canvas swallows the wheel, the middle button and dragging
 * with the space key held. Nodes 2.0 takes them before they come here.
 * @param {HTMLElement} element
 */
function forwardCanvasGestures(element) {
  const forward = (/** @type {WheelEvent | PointerEvent} */ event) => {
    event.preventDefault()
    event.stopPropagation()
    const Same = /** @type {any} */ (event.constructor)
    app.canvas.canvas.dispatchEvent(new Same(event.type, event))
  }
  element.addEventListener("wheel", (event) => scrollsItself(event) || forward(event), { passive: false })
  for (const type of /** @type {const} */ (["pointerdown", "pointermove", "pointerup"])) {
    element.addEventListener(
      type,
      (event) => {
        const middle = type === "pointermove" ? event.buttons & 4 : event.button === 1
        if (middle || (app.canvas.read_only && (event.buttons || type === "pointerup"))) forward(event)
      },
      { capture: true },
    )
  }
}

/**
 * Whether the wheel belongs to a part that scrolls: one marked as Nodes 2.0 wants it, with the focus in it.
 * @param {WheelEvent} event
 */
function scrollsItself(event) {
  const part = /** @type {Element} */ (event.target).closest("[data-capture-wheel='true']")
  return !event.ctrlKey && !!part?.contains(document.activeElement)
}
