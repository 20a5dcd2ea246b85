// @ts-check
// Adds the seed picker to *Select Seed by Recall*, as the widget of its input `pinned_seed`.

import { outputsOf, recordUndoStep, viewUrl } from "../lib/comfy.js"
import { addElementWidget } from "../lib/dom_widget.js"
import { isLinked } from "../lib/upstream.js"
import { readPin } from "./candidates.js"
import { SeedPicker } from "./view.js"

const TYPE = "FINESSE_SEED_PICKER"

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
  const gridOf = () => outputsOf(node).finesse_candidates?.at(-1) ?? null
  const widget = addElementWidget(node, name, TYPE, picker.element, {
    getValue: () => picker.pin,
    setValue: (value) => picker.setPin(readPin(value)),
    surroundings: () => [gridOf(), isLinked(node, name)],
    refresh: () => {
      const grid = gridOf()
      if (grid !== picker.grid) picker.setGrid(grid, grid && viewUrl(grid.sheet))
      picker.setLinked(isLinked(node, name))
    },
    minHeight: 280,
    socketless: false,
  })
  return { widget, minWidth: 260 }
}
