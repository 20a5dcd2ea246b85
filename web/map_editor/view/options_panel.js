// @ts-check
// The right panel: the options of the tool, the actions on the selection, and the paint.

import { element } from "../../lib/dom.js"
import { depthShift } from "../model/draw.js"
import { BLACK, WHITE, grey, pack, unpack } from "../model/raster.js"
import { run } from "./commands.js"
import { checkbox, choice, iconButton, section, slider, swatch, textButton } from "./controls.js"
import { rasterOf } from "./load.js"
import { palettePanel } from "./palette_panel.js"
import { posePanel } from "./pose_panel.js"
import { settled } from "./signal.js"
import { FONTS } from "./text_tool.js"
import { TOOLS } from "./tools.js"

/** @typedef {import("./workspace.js").Workspace} Workspace */

const percent = (level) => `${Math.round(level / 2.55)} %`

/** @param {Workspace} at @returns {HTMLElement} */
export function optionsPanel(at) {
  const { editor } = at
  const tool = element("div")
  const selection = element("div", { class: "selected" })
  const paint = element("div", { class: "paint" })
  const size = slider("Size", {
    min: 1,
    max: 512,
    value: editor.brush.width,
    logarithmic: true,
    told: (px) => `${px} px`,
    oninput: (width) => editor.setBrushWidth(width),
  })
  editor.on("brush", () => size.setValue(editor.brush.width))
  const showTool = () => tool.replaceChildren(...toolOptions(at, size))
  const showSelection = settled(() => {
    if (!editor.document.busy) selection.replaceChildren(...selectionOptions(at))
  }, 30)
  const showPaint = () => paint.replaceChildren(...(editor.palette ? [] : paintOptions(at)))
  editor.on("tool mode guide", showTool)
  editor.on("selection mode facts", showSelection)
  editor.on("mode", showPaint)
  const palette = editor.palette ? palettePanel(editor) : null
  return element("aside", { class: "panel" }, tool, paint, palette, selection)
}

/** @param {Workspace} at @param {HTMLElement} size */
function toolOptions({ editor, tools }, size) {
  const face = TOOLS.find(({ id }) => id === editor.tool)
  const parts = []
  const has = (...ids) => ids.includes(editor.tool)
  if (has("brush", "eraser", "line")) {
    const within = (checked) => (editor.brush.onlySelected = checked)
    parts.push(size, checkbox("Only inside the selection", editor.brush.onlySelected, within))
  }
  if (!editor.palette && has("select", "fill")) {
    const told = (levels) => (levels ? `± ${levels}` : "exact")
    const oninput = (tolerance) => (editor.tolerance = tolerance)
    parts.push(slider("Tolerance", { min: 0, max: 96, value: editor.tolerance, told, oninput }))
  }
  if (!editor.palette && has("select") && editor.mode !== "sketch") parts.push(...guideChoice(editor))
  if (has("text")) parts.push(...textOptions(editor))
  if (has("gradient")) parts.push(...gradientOptions(editor))
  if (has("joints")) parts.push(posePanel(tools.joints, editor))
  return face && parts.length ? [section(face.name, ...parts)] : []
}

/** The choice of the guide: a segmentation map, of another node or of the batch, whose objects a click selects. */
function guideChoice(editor) {
  const { session } = editor
  const maps =
    session.maps.length > 1
      ? session.maps.map(({ url }, i) => ({ name: `Map ${i + 1} of this batch`, url }))
      : []
  const sources = [...session.sources, ...maps]
  if (!sources.length) return []
  const choices = [
    { value: "", name: "This map" },
    ...sources.map(({ name }, i) => ({ value: String(i), name })),
  ]
  const now = String(sources.findIndex(({ name }) => name === editor.guide?.name)).replace("-1", "")
  return [
    choice("Select by", choices, now, async (value) => {
      const source = value ? sources[Number(value)] : null
      editor.guide = source && { name: source.name, raster: await rasterOf(source.url) }
      editor.emit("guide")
    }),
  ]
}

function textOptions(editor) {
  const change = (what) => {
    Object.assign(editor.text, what)
    editor.emit("text")
  }
  return [
    choice(
      "Font",
      FONTS.map(({ name }) => ({ value: name, name })),
      editor.text.font,
      (font) => change({ font }),
    ),
    slider("Height", {
      min: 6,
      max: 512,
      value: editor.text.height,
      logarithmic: true,
      told: (px) => `${px} px`,
      oninput: (height) => change({ height }),
    }),
    checkbox("Bold", editor.text.bold, (bold) => change({ bold })),
  ]
}

function gradientOptions(editor) {
  const one = (label, key) =>
    slider(label, {
      min: 0,
      max: 255,
      value: editor.gradient[key],
      told: percent,
      oninput: (v) => (editor.gradient[key] = v),
    })
  return [one("From depth", "from"), one("To depth", "to")]
}

/** @param {Workspace} at */
function selectionOptions(at) {
  const { editor } = at
  if (editor.mode === "pose") return []
  const act = (id) => () => run(id, at)
  const paste = textButton("Paste from…", act("pasteFrom"), {
    icon: "paste",
    title: "An object of another map or of a file (Ctrl+Shift+V)",
  })
  if (!editor.document.selection) return [section("", element("div", { class: "row" }, paste))]
  const actions = element(
    "div",
    { class: "actions" },
    iconButton("flipX", "Flip left and right (H)", act("flipX")),
    iconButton("flipY", "Flip top and bottom (Shift+H)", act("flipY")),
    iconButton("duplicate", "Duplicate (Ctrl+D)", act("duplicate")),
    iconButton("recolour", "Recolour to the chosen label (Enter)", act("recolour")),
    iconButton("trash", "Delete; the hole takes the nearest label (Del)", act("delete")),
  )
  const more = editor.mode === "depth" ? depthOptions(editor) : orderOptions(editor)
  return [section("Selection", actions, ...more, element("div", { class: "row" }, paste))]
}

/** The choice of labels that the selection stays behind. @param {import("./editor.js").Editor} editor */
function orderOptions(editor) {
  const { palette } = editor
  if (!palette) return []
  const own = new Set(labelsUnder(editor))
  const smallest = [...editor.shares].sort((a, b) => a.area - b.area) // so that objects come before the ground
  const others = smallest.map(({ index }) => index).filter((index) => !own.has(index))
  if (!others.length) return []
  const chip = (index) => {
    const value = palette.values[index]
    const isBehind = editor.behind.has(value)
    const toggle = () => editor.setBehind(value, !isBehind)
    const properties = {
      type: "button",
      class: isBehind ? "chip on" : "chip",
      "aria-pressed": isBehind,
      onclick: toggle,
    }
    return element("button", properties, swatch(value), palette.labels[index])
  }
  const title = element(
    "div",
    { class: "caption", title: "These labels stay in front of the selection" },
    "Stay behind",
  )
  return [title, element("div", { class: "chips" }, ...others.slice(0, 12).map(chip))]
}

/** @param {import("./editor.js").Editor} editor @returns {number[]} the selected labels */
function labelsUnder({ document, raster, palette }) {
  const values = new Set()
  const { selection, selectionBox: box } = document
  for (let y = box?.y ?? 0; selection && box && y < box.y + box.height; y++) {
    const start = y * raster.width + box.x
    for (let i = start, last = -1; i < start + box.width; i++) {
      if (!selection[i] || raster.data[i] === last) continue
      last = raster.data[i]
      values.add(last)
    }
  }
  return [...values].map((value) => /** @type {any} */ (palette).indexOf(value))
}

/** @param {import("./editor.js").Editor} editor */
function depthOptions(editor) {
  const { document } = editor
  const told = (amount) =>
    amount ? `${Math.abs(amount)} % ${amount > 0 ? "nearer" : "farther"}` : "as it is"
  const shift = slider("Farther – nearer", {
    min: -100,
    max: 100,
    value: 0,
    told,
    oninput: (amount) => {
      if (!document.busy) document.begin("Depth")
      document.restore()
      document.preview((raster) => depthShift(raster, document.selection, amount / 100))
    },
    onchange: () => {
      if (document.busy) document.commit()
    },
  })
  return [shift]
}

/** @param {Workspace} at */
function paintOptions({ editor }) {
  if (editor.mode === "sketch") return [section("Draw in", blackAndWhite(editor))]
  if (editor.mode === "depth") {
    const value = slider("Depth", {
      min: 0,
      max: 255,
      value: unpack(editor.paint)[0],
      told: percent,
      oninput: (level) => editor.setPaint(grey(level)),
    })
    editor.on("paint", () => value.setValue(unpack(editor.paint)[0]))
    return [section("Paint", element("div", { class: "ramp" }), value)]
  }
  if (editor.mode === "normal") return [section("Paint", colourField(editor))]
  return []
}

function blackAndWhite(editor) {
  const one = (value, name) => {
    const button = textButton(name, () => editor.setPaint(value), { title: "X swaps" })
    button.prepend(swatch(value))
    const mark = () => button.classList.toggle("on", editor.paint === value)
    editor.on("paint", mark)
    mark()
    return button
  }
  return element("div", { class: "row segmented" }, one(BLACK, "Black"), one(WHITE, "White"))
}

function colourField(editor) {
  const hex = () =>
    `#${unpack(editor.paint)
      .map((part) => part.toString(16).padStart(2, "0"))
      .join("")}`
  const field = element("input", { type: "color", value: hex(), "aria-label": "Colour" })
  const name = element("span", {}, hex())
  field.addEventListener("input", () => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(field.value.slice(at, at + 2), 16))
    editor.setPaint(pack(r, g, b))
  })
  editor.on("paint", () => {
    field.value = name.textContent = hex()
  })
  return element("label", { class: "colour" }, field, name, element("small", {}, "or Alt+click on the map"))
}
