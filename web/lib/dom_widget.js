// @ts-check
// Shows an element as a node's widget, in the classic renderer and in Nodes 2.0.

import { app, chain } from "./comfy.js"
import { useStyleSheet } from "./dom.js"

const POLL = 400 // ms
const MARGIN = 10 // around the element, in the classic renderer

/**
 * The element of each widget that was added, by root graph, node and name: a node keeps its id in a subgraph.
 * @type {Map<string, WeakRef<HTMLElement>>}
 */
const shown = new Map()

/** Removes the keys of elements that no longer exist. @type {FinalizationRegistry<string>} */
const forgotten = new FinalizationRegistry((key) => {
  if (!shown.get(key)?.deref()) shown.delete(key)
})

/** The element that lost the focus last, and when. @type {{element: HTMLElement, at: number} | null} */
let blurred = null

/**
 * Show `element` as the widget `name` of `node`.
 *
 * Workflows and prompts save the value: an object (the page wraps a list for prompts) that is never changed in
 * place. `setValue` is called with anything that a workflow may hold, so it has to check it. After a change by the
 * user, set `widget.value`, and call `recordUndoStep` at the end of the gesture.
 *
 * @template {object | string} Value
 * @param {any} node
 * @param {string} name of the input
 * @param {string} type the io type of the input
 * @param {HTMLElement} element
 * @param {object} options
 * @param {() => Value} options.getValue
 * @param {(value: any) => void} options.setValue
 * @param {() => any[]} options.surroundings everything else that it shows: links, other widgets, runs
 * @param {() => void} options.refresh called while the node is in a graph, at once and after surroundings change
 * @param {number} options.minHeight of the element
 * @param {boolean} [options.socketless] false if the input takes a link too
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
  // where its input is linked it stays, dimmed and with a remark: pages would leave an empty space
  widget.isVisible = () => !widget.hidden && node.isWidgetVisible(widget)
  Object.defineProperty(widget, "connectionSuppressed", { get: () => false, set() {} })
  element.style.minHeight = `${minHeight}px` // Nodes 2.0 measures; the classic renderer asks getMinHeight
  forwardCanvasGestures(element)
  element.addEventListener("focusout", () => {
    blurred = { element, at: performance.now() }
  })
  let stopWatching = () => {}
  chain(node, "onAdded", () => {
    const graph = node.graph?.rootGraph ?? node.graph
    takeOver(`${graph?.id}:${node.id}:${name}`, element)
    stopWatching()
    stopWatching = watch(options.surroundings, options.refresh)
  })
  chain(node, "onRemoved", () => stopWatching())
  return widget
}

/**
 * Call `onChange` now, and each time a value that `read` returns has changed, until the returned function is called.
 * The page has no event for everything that changes around a node: links, widgets, runs, undo.
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
 * Undo and *Convert to Subgraph* make nodes anew. Nodes 2.0 then goes on showing the element of the removed one;
 * the classic renderer has removed it by now, and the focus with it.
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
 * Focus the part of an element that takes keys, so that keys still work after Ctrl+Z. Repeat it for some frames,
 * because the renderers move the element to its place, which removes the focus.
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
 * Pass the wheel, the middle button and dragging with the space key on to the canvas: in the classic renderer an
 * element over the canvas would swallow them. Nodes 2.0 handles them before they get here.
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
 * Whether the wheel belongs to a part that scrolls, which has the mark that Nodes 2.0 looks for and the focus.
 * @param {WheelEvent} event
 */
function scrollsItself(event) {
  const part = /** @type {Element} */ (event.target).closest("[data-capture-wheel='true']")
  return !event.ctrlKey && !!part?.contains(document.activeElement)
}
