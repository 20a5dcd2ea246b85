// @ts-check
// Dialogs: questions and lists in the centre of the window.

import { element } from "../../lib/dom.js"
import { commandsFor } from "./commands.js"
import { iconButton, textButton } from "./controls.js"
import { RasterLayer } from "./layers.js"
import { toolsFor } from "./tools.js"

/**
 * Shows a dialog and waits for the answer.
 * @template Answer
 * @param {HTMLElement} root the element to add it to
 * @param {string} title
 * @param {(answer: (value: Answer) => void) => (Node | string)[]} content makes its content
 * @param {string} [className]
 * @returns {Promise<Answer | null>} null if it was closed without an answer
 */
export function openDialog(root, title, content, className = "") {
  return new Promise((resolve) => {
    /** @type {Answer | null} */
    let answer = null
    const dialog = element("dialog", {
      class: className,
      tabIndex: -1,
      onclose: () => (dialog.remove(), resolve(answer)),
    })
    const close = iconButton("close", "Close", () => dialog.close(), "close")
    dialog.append(element("header", {}, element("h2", {}, title), close))
    dialog.append(...content((value) => ((answer = value), dialog.close())))
    dialog.addEventListener("keydown", (event) => event.stopPropagation())
    dialog.addEventListener("pointerdown", (event) => event.target === dialog && dialog.close())
    root.append(dialog)
    dialog.showModal()
    const first = /** @type {HTMLElement} */ (dialog.querySelector(".primary") ?? dialog)
    first.focus()
  })
}

/**
 * @param {HTMLElement} root
 * @param {string} title
 * @param {string} text
 * @param {{text: string, value: string, kind?: "primary" | "danger" | "plain"}[]} answers
 * @param {HTMLElement} [picture]
 */
export function ask(root, title, text, answers, picture) {
  return openDialog(root, title, (answer) => [
    element("p", {}, text),
    ...(picture ? [picture] : []),
    element(
      "footer",
      {},
      ...answers.map(({ text, value, kind }) => textButton(text, () => answer(value), { kind })),
    ),
  ])
}

/**
 * Asks what to do with a drawing whose map has changed.
 * @param {HTMLElement} root
 * @param {import("../model/raster.js").Raster} base the map as it is now
 * @param {import("../model/raster.js").Raster} drawn the drawing on it
 * @param {string} which the name of the map in a batch, else ""
 * @returns {Promise<boolean>} whether to put it on again
 */
export async function asksToReapply(root, base, drawn, which) {
  const view = (raster, name) => {
    const layer = new RasterLayer("preview")
    layer.show(raster)
    return element("figure", {}, layer.canvas, element("figcaption", {}, name))
  }
  const pictures = element(
    "div",
    { class: "pair" },
    view(base, "The new map"),
    view(drawn, "With your drawing"),
  )
  const text = `The map has changed since you drew${which}. Re-apply your drawing to the new map, or drop it?`
  const answers = [
    { text: "Drop", value: "drop" },
    { text: "Re-apply", value: "reapply", kind: /** @type {const} */ ("primary") },
  ]
  return (await ask(root, "The map has changed", text, answers, pictures)) !== "drop"
}

/** Lists the keys. @param {HTMLElement} root @param {import("./guess.js").Mode} mode */
export function showHelp(root, mode) {
  const mac = /mac|iphone|ipad/i.test(navigator.platform)
  const row = (keys, label) => {
    const arrows = keys.some((key) => key.endsWith("arrowup"))
    const shown = arrows ? [keys[0].replace("arrowleft", "arrows")] : keys
    return element(
      "div",
      { class: "key-row" },
      element("span", {}, label),
      element("span", {}, ...shown.map((key) => keycap(key, mac))),
    )
  }
  const groups = ["Selection", "History", "Paint", "View", "Editor"].map((group) => {
    const rows = commandsFor(mode).filter((command) => command.group === group)
    return element("div", {}, element("h3", {}, group), ...rows.map(({ keys, label }) => row(keys, label)))
  })
  const tools = toolsFor(mode).map(({ key, name }) => row([key], name))
  const mouse = [
    row(["Wheel"], "Zoom at the pointer"),
    row(["Space + drag"], "Pan, or drag with the middle button"),
    row(["Double click"], "Select all of a label"),
    row(["Shift + click"], "Add to the selection"),
    row(["Alt + click"], "Remove from the selection; with the brush, pick from the map"),
  ]
  const first = element("div", {}, element("h3", {}, "Tools"), ...tools, element("h3", {}, "Mouse"), ...mouse)
  return openDialog(root, "Keys", () => [element("div", { class: "keys" }, first, ...groups)], "wide")
}

const KEY_NAMES = {
  arrows: "Arrows",
  escape: "Esc",
  delete: "Del",
  backspace: "⌫",
  enter: "Enter",
  pagedown: "Page ↓",
  pageup: "Page ↑",
  shift: "Shift",
}

function keycap(key, mac) {
  const parts = key === "+" ? ["+"] : key.split("+")
  const named = parts.map((part) => {
    if (part === "mod") return mac ? "⌘" : "Ctrl"
    return KEY_NAMES[part] ?? (part.length === 1 ? part.toUpperCase() : part)
  })
  return element("kbd", {}, named.join(" + "))
}
