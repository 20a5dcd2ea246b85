// @ts-check
// The palette: labels with their colours, those of the prompt and of the map first.

import { element } from "../../lib/dom.js"
import { iconButton, swatch } from "./controls.js"
import { icon } from "./icons.js"

/** @typedef {import("./editor.js").Editor} Editor */

/** @param {Editor} editor @returns {HTMLElement} */
export function palettePanel(editor) {
  const palette = /** @type {import("../model/palette.js").Palette} */ (editor.palette)
  const search = element("input", {
    type: "search",
    placeholder: `Search ${palette.labels.length} labels`,
    "aria-label": "Search the labels",
  })
  const list = element("div", { class: "labels", role: "listbox", "aria-label": "Labels" })
  const paint = element("div", { class: "paint-with", title: "What brush, line, fill and recolour paint" })
  const panel = element(
    "section",
    { class: "section palette" },
    paint,
    element("label", { class: "search" }, /** @type {any} */ (icon("search")), search),
    list,
  )
  /** @type {Map<number, number>} labels of the map, each with its part of it */
  let shares = new Map()
  const choose = (index) => editor.setPaint(palette.values[index])

  const row = (index, share) => {
    const chosen = palette.values[index] === editor.paint
    const all = iconButton(
      "all",
      `Select all ${palette.labels[index]} on the map`,
      () => editor.selectAllOf(palette.values[index]),
      "quiet",
    )
    const name = element(
      "button",
      {
        type: "button",
        class: "label",
        role: "option",
        title: "Paint with this label. Double click: select all of it",
        "aria-selected": chosen,
        onclick: () => choose(index),
        ondblclick: () => editor.selectAllOf(palette.values[index]),
      },
      swatch(palette.values[index]),
      element("span", {}, palette.labels[index]),
      element("small", { class: share === "missing" ? "missing" : "" }, share),
    )
    const row = element(
      "div",
      { class: chosen ? "label-row chosen" : "label-row", "data-index": index },
      name,
    )
    if (shares.has(index)) row.append(all)
    return row
  }

  const group = (title, indices, told) => {
    if (!indices.length) return []
    return [element("h4", {}, title), ...indices.map((index) => row(index, told(index)))]
  }

  const show = () => {
    const pixels = editor.raster.data.length
    shares = new Map(editor.shares.map(({ index, area }) => [index, area / pixels]))
    const share = (index) => (shares.has(index) ? percent(shares.get(index)) : "")
    const scroll = list.scrollTop
    if (search.value.trim()) {
      const found = palette.search(search.value)
      list.replaceChildren(...found.map((index) => row(index, share(index))))
      if (!found.length)
        list.append(element("p", { class: "empty" }, `No label is called “${search.value.trim()}”.`))
    } else {
      const wanted = [...new Set(editor.session.wanted.flatMap(({ labels }) => labels))]
      const shown = editor.shares.map(({ index }) => index).filter((index) => !wanted.includes(index))
      const rest = palette.labels
        .map((_, index) => index)
        .filter((index) => !wanted.includes(index) && !shares.has(index))
      list.replaceChildren(
        ...group("From the prompt", wanted, (index) => share(index) || "missing"),
        ...group("On this map", shown, share),
        ...group(wanted.length || shown.length ? "All others" : "All", rest, () => ""),
      )
    }
    list.scrollTop = scroll
  }

  search.addEventListener("input", show)
  search.addEventListener("keydown", (event) => {
    event.stopPropagation()
    if (event.key === "Enter" && search.value.trim()) {
      const [first] = palette.search(search.value)
      if (first === undefined) return
      choose(first)
      search.value = ""
      search.blur()
      show()
    } else if (event.key === "Escape") {
      search.value = ""
      search.blur()
      show()
    }
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
  return panel
}

/** @param {number | undefined} share */
function percent(share = 0) {
  return share < 0.001 ? "<0.1 %" : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`
}
