// @ts-check
// The palette panel: labels with their colours, those of the prompt and of the map first.

import { element } from "../../lib/dom.js"
import { iconButton, swatch } from "./controls.js"
import { icon } from "./icons.js"

/** @typedef {import("./editor.js").Editor} Editor */

/** @param {Editor} editor @returns {HTMLElement} */
export function palettePanel(editor) {
  const palette = paletteOf(editor)
  const search = element("input", {
    type: "search",
    placeholder: `Search ${palette.labels.length} labels`,
    "aria-label": "Search the labels",
  })
  const list = element("div", { class: "labels", role: "listbox", "aria-label": "Labels" })
  const paint = element("div", { class: "paint-with", title: "The paint of brush, line, fill and recolour" })

  const show = () => {
    const scroll = list.scrollTop
    const text = search.value.trim()
    list.replaceChildren(...(text ? foundRows(editor, text) : allRows(editor)))
    list.scrollTop = scroll
  }
  const endSearch = () => {
    search.value = ""
    search.blur()
    show()
  }
  search.addEventListener("input", show)
  search.addEventListener("keydown", (event) => {
    event.stopPropagation()
    if (event.key === "Escape") endSearch()
    if (event.key !== "Enter" || !search.value.trim()) return
    const [first] = palette.search(search.value)
    if (first === undefined) return
    editor.setPaint(palette.values[first])
    endSearch()
  })
  editor.on("facts", show)
  editor.on("paint", () => {
    const name = element("span", {}, editor.nameOf(editor.paint))
    paint.replaceChildren(swatch(editor.paint), name, element("small", {}, "paints"))
    for (const entry of list.querySelectorAll(".label-row")) {
      const chosen = palette.values[Number(entry["dataset"].index)] === editor.paint
      entry.classList.toggle("chosen", chosen)
      entry.firstElementChild?.setAttribute("aria-selected", String(chosen))
    }
  })
  return element(
    "section",
    { class: "section palette" },
    paint,
    element("label", { class: "search" }, /** @type {any} */ (icon("search")), search),
    list,
  )
}

/** @param {Editor} editor @param {string} text */
function foundRows(editor, text) {
  const found = paletteOf(editor).search(text)
  if (!found.length) return [element("p", { class: "empty" }, `No label is called “${text}”.`)]
  const shares = sharesOf(editor)
  return found.map((index) => labelRow(editor, index, shares.get(index)))
}

/** The rows of all labels, first those of the prompt, then those of the map. @param {Editor} editor */
function allRows(editor) {
  const shares = sharesOf(editor)
  const wanted = [...new Set(editor.session.wanted.flatMap(({ labels }) => labels))]
  const shown = [...shares.keys()].filter((index) => !wanted.includes(index))
  const rest = [...paletteOf(editor).labels.keys()].filter(
    (index) => !wanted.includes(index) && !shares.has(index),
  )
  const group = (title, indices, absent = "") => {
    if (!indices.length) return []
    const rows = indices.map((index) => labelRow(editor, index, shares.get(index), absent))
    return [element("h4", {}, title), ...rows]
  }
  return [
    ...group("From the prompt", wanted, "missing"),
    ...group("On this map", shown),
    ...group(wanted.length || shown.length ? "All others" : "All", rest),
  ]
}

/**
 * @param {Editor} editor
 * @param {number} index
 * @param {string | undefined} share of the map; undefined if the map does not show it
 * @param {string} [absent] the text to show in that case
 */
function labelRow(editor, index, share, absent = "") {
  const { labels, values } = paletteOf(editor)
  const [label, value] = [labels[index], values[index]]
  const chosen = value === editor.paint
  const selectAll = () => editor.selectAllOf(value)
  const name = element(
    "button",
    {
      type: "button",
      class: "label",
      role: "option",
      title: "Paint with this label. Double click: select all of it",
      "aria-selected": chosen,
      onclick: () => editor.setPaint(value),
      ondblclick: selectAll,
    },
    swatch(value),
    element("span", {}, label),
    element("small", { class: absent && !share ? "missing" : "" }, share ?? absent),
  )
  const all = share ? iconButton("all", `Select all ${label} on the map`, selectAll, "quiet") : null
  return element("div", { class: chosen ? "label-row chosen" : "label-row", "data-index": index }, name, all)
}

/** The labels of the map with their shares, the largest first. @param {Editor} editor @returns {Map<number, string>} */
function sharesOf(editor) {
  const pixels = editor.raster.data.length
  return new Map(editor.shares.map(({ index, area }) => [index, percent(area / pixels)]))
}

/** @param {Editor} editor of a segmentation map */
function paletteOf(editor) {
  return /** @type {import("../model/palette.js").Palette} */ (editor.palette)
}

/** @param {number} share */
function percent(share) {
  return share < 0.001 ? "<0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`
}
