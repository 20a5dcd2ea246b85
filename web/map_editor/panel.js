// @ts-check
// The panel of *Edit Map* in the graph: small pictures of its maps, a summary, and the button that opens the editor.

import { viewUrl } from "../lib/comfy.js"
import { button, element, loadImage } from "../lib/dom.js"
import { patchesOf, summaryOf } from "./drawing.js"
import { placeOf } from "./session.js"

const MOST_TILES = 4
const LONGEST = 480 // pixels of the picture's longer side
const GAP = 4

/** @typedef {{drawing: import("./drawing.js").Drawing, told: import("./drawing.js").Told | null, upstream: string | null, busy: boolean}} State */

export class Panel {
  #drawn = 0

  /** @param {{onEdit: () => void, onClear: () => void}} actions */
  constructor({ onEdit, onClear }) {
    this.canvas = element("canvas", { width: 0, height: 0 })
    this.more = element("span", { class: "finesse-map-more" })
    this.picture = element(
      "div",
      { class: "finesse-map-picture", title: "Open the map editor", onclick: onEdit },
      this.canvas,
      this.more,
    )
    this.badge = element("span", { class: "finesse-map-badge", role: "status" })
    this.clear = button("Clear", "Remove the drawing from the maps", onClear, "finesse-map-clear")
    this.edit = button("Edit map", "Edit the map by hand in a full window", onEdit, "finesse-map-edit")
    this.element = element(
      "div",
      { class: "finesse-map" },
      this.picture,
      element("div", { class: "finesse-map-row" }, this.badge, this.clear),
      this.edit,
    )
  }

  /** @param {State} state */
  show(state) {
    const { text, stale } = summaryOf(state.drawing, state.told)
    this.badge.textContent = text
    this.badge.title = text
    this.badge.classList.toggle("stale", stale)
    this.clear.hidden = !Object.keys(state.drawing).length
    this.edit.textContent = state.busy ? "Preparing the map… Cancel" : "Edit map"
    this.edit.classList.toggle("busy", state.busy)
    this.#draw(state)
  }

  /** @param {State} state */
  async #draw({ drawing, told, upstream }) {
    const turn = ++this.#drawn
    const patches = new Map(patchesOf(drawing))
    const urls = told ? told.maps.map(viewUrl) : upstream ? [upstream] : []
    const tiles = await Promise.all(
      urls.slice(0, MOST_TILES).map((url, place) => tileOf(url, patches.get(place))),
    )
    if (turn !== this.#drawn) return // a newer state has arrived meanwhile
    const shown = tiles.filter((tile) => tile !== null)
    layOut(this.canvas, shown)
    this.picture.classList.toggle("empty", !shown.length)
    this.more.textContent = urls.length > MOST_TILES ? `${urls.length} maps` : ""
  }
}

/**
 * A small picture of a map with its patch on it.
 * @param {string} url
 * @param {import("./drawing.js").Patch | undefined} patch
 * @returns {Promise<HTMLCanvasElement | null>} null if the map cannot be loaded
 */
async function tileOf(url, patch) {
  const base = await loadImage(url).catch(() => null)
  if (!base) return null
  const scale = Math.min(1, LONGEST / Math.max(base.naturalWidth, base.naturalHeight))
  const [width, height] = [base.naturalWidth, base.naturalHeight].map((side) =>
    Math.max(1, Math.round(side * scale)),
  )
  const tile = element("canvas", { width, height })
  const context = /** @type {CanvasRenderingContext2D} */ (tile.getContext("2d"))
  context.imageSmoothingEnabled = false // there are no shades between labels
  context.drawImage(base, 0, 0, width, height)
  const isOfThisSize = patch && patch.width === base.naturalWidth && patch.height === base.naturalHeight
  const drawn = isOfThisSize && (await loadImage(urlOf(patch)).catch(() => null))
  if (drawn) {
    const [across, down] = [width / patch.width, height / patch.height]
    context.drawImage(
      drawn,
      patch.x * across,
      patch.y * down,
      drawn.naturalWidth * across,
      drawn.naturalHeight * down,
    )
  }
  return tile
}

/** @param {import("./drawing.js").Patch} patch */
function urlOf({ png, file }) {
  return file ? viewUrl(placeOf(file)) : `data:image/png;base64,${png}`
}

/** Draw one tile alone, several in two columns. @param {HTMLCanvasElement} canvas @param {HTMLCanvasElement[]} tiles */
function layOut(canvas, tiles) {
  const columns = Math.min(2, tiles.length)
  const rows = Math.ceil(tiles.length / 2)
  const width = Math.max(0, ...tiles.map((tile) => tile.width))
  const height = Math.max(0, ...tiles.map((tile) => tile.height))
  canvas.width = columns * (width + GAP) - GAP
  canvas.height = rows * (height + GAP) - GAP
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"))
  tiles.forEach((tile, place) => {
    context.drawImage(tile, (place % 2) * (width + GAP), Math.floor(place / 2) * (height + GAP))
  })
}
