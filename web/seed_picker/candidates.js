// @ts-check
// What the seed picker knows about the maps that a run ranked. No DOM.

/**
 * A candidate as nodes/maps/candidate_grid.py writes it. `seed` holds digits: the seed, or without seeds the index.
 * @typedef {{rank: number, seed: string, index: number, recall: number, found: string[], missing: string[]}} Candidate
 * @typedef {object} Grid
 * @property {{filename: string, subfolder: string, type: string}} sheet one picture with all thumbnails
 * @property {number} columns of the sheet
 * @property {number} width of a thumbnail, in pixels
 * @property {number} height
 * @property {boolean} seeded whether maps are named by their seeds; otherwise by their indices
 * @property {string | null} pinned the seed that was pinned in that run
 * @property {Candidate[]} candidates the best first
 */

export const AUTO = "auto"

/**
 * Read a saved value.
 * @param {any} value
 * @returns {string} the digits of a pinned seed, or "auto"
 */
export function readPin(value) {
  const text = String(value ?? "").trim()
  return text === "" || text.toLowerCase() === AUTO ? AUTO : text
}

/**
 * The candidate that a run would take: the best map of the pinned seed, on auto the best of all.
 * @param {Candidate[]} candidates
 * @param {string} pin
 * @returns {number} its place, -1 if there is none
 */
export function takenPlace(candidates, pin) {
  if (pin === AUTO) return candidates.length ? 0 : -1
  return candidates.findIndex((candidate) => candidate.seed === pin)
}

/**
 * The grade of a candidate, which sets its colour.
 * @param {Candidate} candidate
 * @returns {"all" | "some" | "none"}
 */
export function grade({ found, missing }) {
  if (!missing.length) return "all"
  return found.length ? "some" : "none"
}

/** @param {number} fraction */
export function percent(fraction) {
  return `${Math.round(100 * fraction)}%`
}

/**
 * A text that says how many maps there are, and how good the best is.
 * @param {Candidate[]} candidates
 */
export function summary(candidates) {
  if (!candidates.length) return "No maps yet"
  const count = candidates.length === 1 ? "1 map" : `${candidates.length} maps`
  return `${count} · best ${percent(candidates[0].recall)}`
}

/**
 * A text that says which map the node will take, and what is left to do.
 * @param {Grid | null} grid null before the first run
 * @param {string} pin
 * @param {boolean} linked whether the pin comes from a link
 * @returns {{text: string, wrong?: boolean}}
 */
export function status(grid, pin, linked) {
  if (linked) return { text: "The link to pinned_seed chooses the map." }
  const name = `${grid?.seeded === false ? "Index" : "Seed"} ${pin}`
  const text = pin === AUTO ? "Auto takes the best map." : `${name} is pinned.`
  if (!grid || pin === (grid.pinned ?? AUTO)) return { text }
  if (takenPlace(grid.candidates, pin) < 0) {
    return { text: `${name} is none of these maps: pin another, or choose auto.`, wrong: true }
  }
  return { text: `${text} Run the workflow to use it.` }
}

/**
 * Describe a candidate in one line.
 * @param {Candidate} candidate
 * @param {boolean} seeded
 */
export function described({ rank, seed, recall, found, missing }, seeded) {
  const parts = [`${rank}. ${seeded ? "seed" : "index"} ${seed}`, percent(recall)]
  if (found.length) parts.push(`found ${found.join(", ")}`)
  if (missing.length) parts.push(`missing ${missing.join(", ")}`)
  return parts.join(" · ")
}

/**
 * The place of a candidate's thumbnail in the sheet.
 * @param {Grid} grid
 * @param {number} place
 */
export function tileOf({ columns, width, height }, place) {
  return { x: (place % columns) * width, y: Math.floor(place / columns) * height, width, height }
}

/**
 * The place that a key moves to.
 * @param {string} key
 * @param {number} place -1 for none yet
 * @param {number} count
 * @param {number} columns in the present layout
 * @returns {number | null} null if the key moves nowhere
 */
export function placeAfterKey(key, place, count, columns) {
  /** @type {Record<string, number>} */
  const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }
  if (!count) return null
  if (key === "Home") return 0
  if (key === "End") return count - 1
  if (!(key in steps)) return null
  if (place < 0) return 0
  const next = place + steps[key]
  if (next >= 0 && next < count) return next
  const lastRow = Math.floor((count - 1) / columns)
  const intoShortRow = key === "ArrowDown" && Math.floor(place / columns) < lastRow
  return intoShortRow ? count - 1 : place
}
