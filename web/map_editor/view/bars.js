// @ts-check
// The bars around the canvas: the title bar, the column of tools and the status line.

import { element } from "../../lib/dom.js"
import { run } from "./commands.js"
import { iconButton, textButton } from "./controls.js"
import { TOOLS, toolsFor } from "./tools.js"

/** @typedef {import("./workspace.js").Workspace} Workspace */

const MODES = { sketch: "Sketch", depth: "Depth", pose: "Pose", normal: "Normal" }

/** @param {Workspace} at @returns {HTMLElement} */
export function topBar(at) {
  const { editor, viewport } = at
  const act = (id) => () => run(id, at)
  const undo = iconButton("undo", "Undo (Ctrl+Z)", act("undo"))
  const redo = iconButton("redo", "Redo (Ctrl+Shift+Z)", act("redo"))
  editor.on("history", () => {
    const { document } = editor
    undo.disabled = !document.canUndo
    redo.disabled = !document.canRedo
    undo.title = `Undo ${document.undoName} (Ctrl+Z)`
    redo.title = `Redo ${document.redoName} (Ctrl+Shift+Z)`
  })
  const zoom = element("button", {
    type: "button",
    class: "zoom",
    title: "Actual size (1)",
    onclick: act("actual"),
  })
  at.on("view", () => (zoom.textContent = `${zoomTold(viewport.camera.zoom)} %`))
  const before = iconButton("compare", "Before / after (\\)", act("before"))
  at.on("before", () => before.classList.toggle("on", at.isBefore))
  return element(
    "header",
    { class: "topbar" },
    element(
      "div",
      { class: "titles" },
      element("strong", {}, editor.session.title),
      batchPicker(at),
      modePicker(at),
    ),
    element("div", { class: "group" }, undo, redo),
    element(
      "div",
      { class: "group" },
      iconButton("minus", "Zoom out (-)", act("zoomOut")),
      zoom,
      iconButton("plus", "Zoom in (+)", act("zoomIn")),
      iconButton("fit", "Fit the window (0)", act("fit")),
    ),
    element("div", { class: "group" }, before, overlaySwitch(at)),
    recallChip(at),
    element("div", { class: "spring" }),
    iconButton("help", "Keys (?)", act("help")),
    textButton("Cancel", () => at.cancel()),
    textButton("Keep", act("keep"), {
      icon: "check",
      kind: "primary",
      title: "Keep the drawing and close (Ctrl+Enter)",
    }),
  )
}

/** @param {number} zoom */
function zoomTold(zoom) {
  const percent = zoom * 100
  return percent < 10 ? percent.toFixed(1) : Math.round(percent)
}

/** @param {Workspace} at */
function batchPicker(at) {
  const { editor } = at
  const count = editor.session.maps.length
  if (count < 2) return null
  const choices = editor.session.maps.map((_, i) =>
    element("option", { value: String(i) }, `Map ${i + 1} of ${count}`),
  )
  const select = element(
    "select",
    { "aria-label": "Map", onchange: () => at.showMap(Number(select.value)) },
    ...choices,
  )
  editor.on("map", () => (select.value = String(editor.index)))
  return element(
    "div",
    { class: "batch" },
    iconButton("previous", "Previous map (Page up)", () => run("previous", at)),
    select,
    iconButton("next", "Next map (Page down)", () => run("next", at)),
  )
}

/** @param {Workspace} at */
function modePicker({ editor }) {
  if (editor.palette) return element("span", { class: "mode" }, `Segmentation · ${editor.palette.name}`)
  const choices = Object.entries(MODES).map(([value, name]) => element("option", { value }, name))
  const select = element(
    "select",
    {
      "aria-label": "Kind of map",
      title: "What kind of map this is",
      onchange: () => editor.setMode(/** @type {any} */ (select.value)),
    },
    ...choices,
  )
  editor.on("mode", () => (select.value = editor.mode))
  return select
}

/** @param {Workspace} at */
function overlaySwitch(at) {
  const button = iconButton("overlay", "The picture as an overlay (O)", () => run("overlay", at))
  const opacity = element("input", {
    type: "range",
    min: 5,
    max: 100,
    value: 50,
    "aria-label": "Opacity of the overlay",
  })
  opacity.addEventListener("input", () => at.setOverlayOpacity(Number(opacity.value) / 100))
  const show = () => {
    button.disabled = !at.hasOverlay
    button.title = at.hasOverlay ? "The picture as an overlay (O)" : "No picture was generated yet"
    button.classList.toggle("on", at.isOverlay)
    opacity.hidden = !at.isOverlay
    opacity.style.setProperty("--filled", `${opacity.value}%`)
  }
  at.on("overlay", show)
  opacity.addEventListener("input", show)
  show()
  return element("span", { class: "overlay-switch" }, button, opacity)
}

/** @param {Workspace} at */
function recallChip({ editor }) {
  const chip = element("div", { class: "recall", hidden: true, role: "status" })
  editor.on("facts", () => {
    const told = editor.recall
    chip.hidden = !told
    if (!told) return
    const { recall, found, missing } = told
    chip.dataset.level = recall === 1 ? "full" : recall >= 0.5 ? "some" : "low"
    chip.textContent = `recall ${Math.round(100 * recall)} %${missing.length ? ` · missing: ${missing.join(", ")}` : ""}`
    chip.title = `The map shows ${found.join(", ") || "none"} of the prompt's objects`
  })
  return chip
}

/** @param {Workspace} at @returns {HTMLElement} */
export function toolColumn({ editor }) {
  const column = element("nav", { class: "tools", "aria-label": "Tools" })
  const mark = () => {
    for (const button of column.children) {
      const chosen = /** @type {HTMLElement} */ (button).dataset.tool === editor.tool
      button.classList.toggle("on", chosen)
      button.setAttribute("aria-pressed", String(chosen))
    }
  }
  editor.on("mode", () => {
    const faces = toolsFor(editor.mode)
    const buttons = faces.map(({ id, name, key, icon: image }) => {
      const button = iconButton(image, `${name} (${key.toUpperCase()})`, () => editor.setTool(id))
      button.dataset.tool = id
      return button
    })
    column.replaceChildren(...buttons)
    if (faces.some(({ id }) => id === editor.tool)) mark()
    else editor.setTool(faces[0].id)
  })
  editor.on("tool", mark)
  return column
}

/** @param {Workspace} at @returns {HTMLElement} */
export function statusLine(at) {
  const { editor } = at
  const place = element("span", { class: "place" })
  const under = element("span", { class: "under" })
  const selected = element("span")
  const hint = element("span", { class: "hint" })
  const size = element("span")
  editor.on("hover", (pixel) => {
    place.textContent = pixel ? `${pixel.x}, ${pixel.y}` : ""
    under.textContent = pixel ? editor.nameOf(editor.raster.at(pixel.x, pixel.y)) : ""
  })
  editor.on("selection", () => {
    const box = editor.document.selectionBox
    selected.textContent = box ? `${box.width} × ${box.height} px selected` : ""
  })
  const showHint = () => (hint.textContent = TOOLS.find(({ id }) => id === editor.tool)?.hint ?? "")
  editor.on("tool", showHint)
  editor.on("doing", (told) => (told ? (hint.textContent = told) : showHint()))
  editor.on("map", () => (size.textContent = `${editor.raster.width} × ${editor.raster.height}`))
  const keys = element(
    "button",
    { type: "button", class: "keys-hint", onclick: () => run("help", at) },
    element("kbd", {}, "?"),
    " keys",
  )
  return element("footer", { class: "status" }, size, place, under, selected, hint, keys)
}
