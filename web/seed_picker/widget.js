// @ts-check
// The seed picker in Select Seed by Recall: the widget of its input pinned_seed.

import { outputsOf, recordUndoStep, viewUrl } from "../lib/comfy.js"
import { addElementWidget } from "../lib/dom_widget.js"
import { isLinked, watch } from "../lib/upstream.js"
import { readPin } from "./candidates.js"
import { SeedPicker } from "./view.js"

const TYPE = "FINESSE_SEED_PICKER"
const HEIGHT = 280

export const seedPicker = {
  name: "Finesse.SeedPicker",
  getCustomWidgets: () => ({ [TYPE]: addSeedPicker }),
}

/**
 * @param {any} node
 * @param {string} name the input's
 */
function addSeedPicker(node, name) {
  const picker = new SeedPicker((pin) => {
    widget.value = pin
    recordUndoStep()
  })
  let stop = () => {}
  const widget = addElementWidget(node, name, TYPE, picker.element, {
    getValue: () => picker.pin,
    setValue: (value) => picker.setPin(readPin(value)),
    minHeight: () => HEIGHT,
    socketless: false,
    onAdded: () => {
      stop()
      stop = follow(node, name, picker)
    },
    onRemoved: () => {
      stop()
      picker.remove()
    },
  })
  return { widget, minWidth: 260 }
}

/**
 * Show what the node's last run ranked, now and after every other, until the returned function is called.
 * @param {any} node
 * @param {string} name
 * @param {SeedPicker} picker
 */
function follow(node, name, picker) {
  const gridOf = () => outputsOf(node).finesse_candidates?.at(-1) ?? null
  const show = () => {
    const grid = gridOf()
    if (grid !== picker.grid) picker.setGrid(grid, grid && viewUrl(grid.sheet))
    picker.setLinked(isLinked(node, name))
  }
  show()
  return watch(() => `${gridOf()?.sheet.filename} ${isLinked(node, name)}`, show)
}
