// @ts-check
// The element of the seed picker: a grid of the maps, the best first, of which one can be pinned.

import { button, element, icon, loadImage, useStyleSheet } from "../lib/dom.js"
import * as logic from "./candidates.js"

const PIN = "M9.5 1.5 14.5 6.5 11.5 7.5 8.9 10.1 8.6 13.4 2.6 7.4 5.9 7.1 8.5 4.5Z M5.2 10.8 1.5 14.5"

export class SeedPicker {
  /**
   * @param {(pin: string) => void} onPin called with a seed's digits or "auto" when the user has chosen
   */
  constructor(onPin) {
    useStyleSheet(new URL("seed_picker.css", import.meta.url))
    this.onPin = onPin
    this.pin = logic.AUTO
    this.linked = false
    /** @type {logic.Grid | null} */
    this.grid = null
    /** The candidate under the keys, -1 for none. */
    this.active = -1
    /** @type {HTMLElement[]} */
    this.cells = []
    this.painter = new IntersectionObserver((entries) => this.paint(entries), { rootMargin: "200px" })

    this.count = element("span", { class: "finesse-seeds-count" })
    this.auto = button("auto", "Take the best map (A)", () => this.choose(logic.AUTO), "finesse-seeds-auto")
    this.list = element("div", {
      class: "finesse-seeds-list",
      role: "listbox",
      "aria-label": "Maps",
      "data-empty": "Run the workflow to see the maps here.",
      "data-capture-wheel": "true",
      tabIndex: 0,
      onclick: (/** @type {MouseEvent} */ event) => this.pinAt(this.placeOf(event)),
      onpointermove: (/** @type {PointerEvent} */ event) => {
        // keys can scroll the grid under a pointer that does not move
        if (event.movementX || event.movementY) this.tell(this.placeOf(event) ?? this.active)
      },
      onpointerleave: () => this.tell(this.active),
      onkeydown: (/** @type {KeyboardEvent} */ event) => this.onKey(event),
      onblur: () => this.activate(-1),
    })
    this.status = element("div", { class: "finesse-seeds-status" })
    this.line = element("div", { class: "finesse-seeds-line", role: "status" })
    const head = element("div", { class: "finesse-seeds-head" }, this.count, this.auto)
    this.element = element("div", { class: "finesse-seeds" }, head, this.list, this.status, this.line)
    this.refresh()
  }

  /** @param {string} pin a seed's digits or "auto" */
  setPin(pin) {
    this.pin = pin
    this.refresh()
  }

  /** @param {boolean} linked whether a link sets the pin instead */
  setLinked(linked) {
    this.linked = linked
    this.refresh()
  }

  /**
   * Show the maps of a run.
   * @param {logic.Grid | null} grid null for none
   * @param {string | null} sheetUrl
   */
  async setGrid(grid, sheetUrl) {
    this.grid = grid
    this.active = -1
    this.sheet = null
    this.painter.disconnect()
    this.cells = (grid?.candidates ?? []).map((candidate, place) => this.cellOf(candidate, place))
    this.list.replaceChildren(...this.cells)
    this.list.scrollTop = (this.cells[this.taken]?.offsetTop ?? 0) - (this.cells[0]?.offsetTop ?? 0)
    this.refresh()
    const sheet = sheetUrl && (await loadImage(sheetUrl).catch(() => null))
    if (!sheet || grid !== this.grid) return
    this.sheet = sheet
    for (const cell of this.cells) this.painter.observe(cell)
  }

  /** @param {logic.Candidate} candidate @param {number} place */
  cellOf(candidate, place) {
    const { width, height } = /** @type {logic.Grid} */ (this.grid)
    const missing = candidate.missing.length ? `no ${candidate.missing.join(", ")}` : "all found"
    return element(
      "div",
      {
        class: `finesse-seeds-cell finesse-seeds-${logic.grade(candidate)}`,
        role: "option",
        "aria-label": logic.described(candidate, this.seeded),
        "data-place": place,
      },
      element("canvas", { width, height }),
      element(
        "div",
        { class: "finesse-seeds-facts" },
        element("b", {}, logic.percent(candidate.recall)),
        element("span", {}, `${this.seeded ? "seed" : "index"} ${candidate.seed}`),
      ),
      element("div", { class: "finesse-seeds-missing" }, missing),
    )
  }

  /** Draw the thumbnails that have come into view. @param {IntersectionObserverEntry[]} entries */
  paint(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting || !this.sheet || !this.grid) continue
      this.painter.unobserve(target)
      const canvas = /** @type {HTMLCanvasElement} */ (target.firstChild)
      const { x, y, width, height } = logic.tileOf(this.grid, this.cells.indexOf(/** @type {any} */ (target)))
      canvas.getContext("2d")?.drawImage(this.sheet, x, y, width, height, 0, 0, width, height)
    }
  }

  /** Mark the pinned or taken map in the cells, the button and the texts. */
  refresh() {
    const candidates = this.grid?.candidates ?? []
    const taken = this.taken
    this.cells.forEach((cell, place) => {
      const pinned = place === taken && this.pin !== logic.AUTO
      cell.classList.toggle("finesse-seeds-taken", place === taken)
      cell.classList.toggle("finesse-seeds-pinned", pinned)
      cell.setAttribute("aria-selected", String(place === taken))
      cell.querySelector("svg")?.remove()
      if (pinned) cell.append(icon(PIN))
    })
    this.count.textContent = logic.summary(candidates)
    this.auto.setAttribute("aria-pressed", String(!this.linked && this.pin === logic.AUTO))
    this.auto.disabled = this.linked
    this.element.classList.toggle("finesse-seeds-linked", this.linked)
    const status = logic.status(this.grid, this.pin, this.linked)
    this.status.textContent = status.text
    this.status.classList.toggle("finesse-seeds-wrong", !!status.wrong)
    this.tell(this.active)
  }

  /** The place of the candidate that a run takes, unless a link decides. */
  get taken() {
    return this.linked ? -1 : logic.takenPlace(this.grid?.candidates ?? [], this.pin)
  }

  get seeded() {
    return this.grid?.seeded ?? true
  }

  /** Describe a candidate; for -1, the one that is taken. @param {number} place */
  tell(place) {
    const candidates = this.grid?.candidates ?? []
    const candidate = candidates[place] ?? candidates[this.taken]
    this.line.textContent = candidate ? logic.described(candidate, this.seeded) : ""
  }

  /** @param {Event} event @returns {number | null} the candidate's place, null between them */
  placeOf(event) {
    const cell = /** @type {HTMLElement} */ (event.target).closest("[data-place]")
    return cell && Number(/** @type {HTMLElement} */ (cell).dataset.place)
  }

  /** @param {number | null} place */
  pinAt(place) {
    const candidate = place === null ? null : this.grid?.candidates[place]
    if (place === null || !candidate) return
    this.activate(place)
    this.choose(candidate.seed)
  }

  /** @param {string} pin */
  choose(pin) {
    if (!this.linked && pin !== this.pin) this.onPin(pin)
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return
    const place = logic.placeAfterKey(event.key, this.active, this.cells.length, this.columns())
    if (place !== null) this.activate(place)
    else if (event.key === "Enter") this.pinAt(this.active)
    else if (event.key.toLowerCase() === "a") this.choose(logic.AUTO)
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  /** The number of columns in the present layout. */
  columns() {
    const top = this.cells[0]?.offsetTop
    const second = this.cells.findIndex((cell) => cell.offsetTop !== top)
    return second < 0 ? Math.max(1, this.cells.length) : second
  }

  /** @param {number} place */
  activate(place) {
    this.cells[this.active]?.classList.remove("finesse-seeds-active")
    this.active = place
    this.cells[place]?.classList.add("finesse-seeds-active")
    if (place >= 0) this.cells[place].scrollIntoView({ block: "nearest" })
    this.tell(place)
  }
}
