// @ts-check
// Adds the map editor to ComfyUI's page: the widget of *Edit Map*, its menu entries and its command.

import { app } from "../lib/comfy.js"
import { useStyleSheet } from "../lib/dom.js"
import { addElementWidget } from "../lib/dom_widget.js"
import { upstreamPicture } from "../lib/upstream.js"
import { drawingOf } from "./drawing.js"
import { clearDrawing, editMap, isBusy, toast } from "./open.js"
import { Panel } from "./panel.js"
import { NODE, listen, toldBy } from "./run.js"

const TYPE = "FINESSE_MAP_DRAWING"
const COMMAND = "Finesse.EditMap"
const WIDTH = 300 // of the node, at least

/** For each node, the function that refreshes its panel. @type {WeakMap<any, () => void>} */
const refreshers = new WeakMap()

export const mapEditor = {
  name: "Finesse.MapEditor",
  setup: listen,
  getCustomWidgets: () => ({ [TYPE]: addPanel }),
  commands: [{ id: COMMAND, label: "Finesse: edit map", icon: "pi pi-pencil", function: editSelected }],
  getSelectionToolboxCommands: (/** @type {any} */ item) => (item?.type === NODE ? [COMMAND] : []),
  getNodeMenuItems: (/** @type {any} */ node) =>
    node.type === NODE
      ? [
          { content: "Edit map", callback: () => edit(node) },
          { content: "Clear the drawing", callback: () => clearDrawing(node) },
        ]
      : [],
}

/** @param {any} node @param {string} name */
function addPanel(node, name) {
  useStyleSheet(new URL("host.css", import.meta.url))
  /** @type {import("./drawing.js").Drawing} */
  let drawing = {}
  const surroundings = () => ({ told: toldBy(node), upstream: upstreamPicture(node, "map") })
  const panel = new Panel({ onEdit: () => edit(node), onClear: () => clearDrawing(node) })
  const refresh = () => panel.show({ drawing, ...surroundings(), busy: isBusy(node) })
  refreshers.set(node, refresh)
  const widget = addElementWidget(node, name, TYPE, panel.element, {
    getValue: () => drawing,
    setValue: (value) => {
      drawing = drawingOf(value)
      refresh()
    },
    surroundings: () => Object.values(surroundings()),
    refresh,
    minHeight: 230,
  })
  return { widget, minWidth: WIDTH, minHeight: 460 }
}

/** @param {any} node */
function edit(node) {
  editMap(node, () => refreshers.get(node)?.())
}

/** Edit the map of the selected node, or of the only *Edit Map* in the graph. */
function editSelected() {
  const selected = [...app.canvas.selectedItems].filter((item) => item.type === NODE)
  const all = app.canvas.graph.nodes.filter((/** @type {any} */ node) => node.type === NODE)
  const node = selected[0] ?? (all.length === 1 ? all[0] : null)
  if (node) edit(node)
  else
    toast(
      "warn",
      "Edit map",
      all.length ? "Select the Edit Map whose map you want to edit." : "There is no Edit Map here.",
    )
}
