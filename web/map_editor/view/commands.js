// @ts-check
// The commands of keys and buttons, besides the tools. The help lists the same table.

import { everything, inverted } from "../model/select.js"
import { toolsFor } from "./tools.js"

/**
 * @typedef {import("./workspace.js").Workspace} Workspace
 * @typedef {object} Command
 * @property {string} id
 * @property {string[]} keys such as "mod+shift+z"; mod is Ctrl, or Cmd on a Mac
 * @property {string} label
 * @property {"History" | "Selection" | "Paint" | "View" | "Editor"} group
 * @property {import("./guess.js").Mode} [mode] the only kind of map that has the command, if it is not for all
 * @property {(at: Workspace, key: string) => void} run
 */

const ARROWS = { arrowleft: [-1, 0], arrowright: [1, 0], arrowup: [0, -1], arrowdown: [0, 1] }

/** Wraps a command that needs a selection; without one it shows a message. */
const onSelection = (act) => (at) => {
  if (at.editor.document.selection) act(at.editor.document, at)
  else at.editor.emit("message", "Select something first.")
}

/** Wraps a command that leaves a hole, so that the selection may not be the whole map. */
const onPart = (act) =>
  onSelection((document, at) => {
    if (document.selection.includes(0)) act(document, at)
    else at.editor.emit("message", "The selection is the whole map, so nothing is left to fill the hole from.")
  })

/** @type {Command[]} */
const COMMANDS = [
  { id: "undo", keys: ["mod+z"], label: "Undo", group: "History", run: (at) => step(at, "undo") },
  {
    id: "redo",
    keys: ["mod+shift+z", "mod+y"],
    label: "Redo",
    group: "History",
    run: (at) => step(at, "redo"),
  },

  {
    id: "all",
    keys: ["mod+a"],
    label: "Select everything",
    group: "Selection",
    run: ({ editor }) => editor.select(everything(editor.raster.width, editor.raster.height)),
  },
  {
    id: "invert",
    keys: ["mod+i"],
    label: "Invert the selection",
    group: "Selection",
    run: onSelection((document, { editor }) => editor.select(inverted(document.selection))),
  },
  {
    id: "delete",
    keys: ["delete", "backspace"],
    label: "Delete; the hole takes the nearest label",
    group: "Selection",
    run: erase,
  },
  { id: "duplicate", keys: ["mod+d"], label: "Duplicate", group: "Selection", run: onSelection(duplicate) },
  { id: "copy", keys: ["mod+c"], label: "Copy", group: "Selection", run: ({ editor }) => editor.copy() },
  { id: "paste", keys: ["mod+v"], label: "Paste", group: "Selection", run: ({ editor }) => editor.paste() },
  {
    id: "pasteFrom",
    keys: ["mod+shift+v"],
    label: "Paste from another map or a file",
    group: "Selection",
    run: (at) => at.pasteFrom(),
  },
  {
    id: "flipX",
    keys: ["h"],
    label: "Flip left and right",
    group: "Selection",
    run: onPart((document) => document.flip("horizontal")),
  },
  {
    id: "flipY",
    keys: ["shift+h"],
    label: "Flip top and bottom",
    group: "Selection",
    run: onPart((document) => document.flip("vertical")),
  },
  {
    id: "recolour",
    keys: ["enter"],
    label: "Recolour to the chosen label",
    group: "Selection",
    run: onSelection((document, { editor }) => document.recolour(editor.paint)),
  },
  {
    id: "nudge",
    keys: ["arrowleft", "arrowright", "arrowup", "arrowdown"],
    label: "Move by a pixel",
    group: "Selection",
    run: (at, key) => nudge(at, key, 1),
  },
  {
    id: "nudgeFar",
    keys: ["shift+arrowleft", "shift+arrowright", "shift+arrowup", "shift+arrowdown"],
    label: "Move by ten pixels",
    group: "Selection",
    run: (at, key) => nudge(at, key.replace("shift+", ""), 10),
  },
  {
    id: "escape",
    keys: ["escape"],
    label: "Cancel the tool, then the selection",
    group: "Selection",
    run: escape,
  },

  {
    id: "thinner",
    keys: ["["],
    label: "Smaller brush",
    group: "Paint",
    run: ({ editor }) => editor.setBrushWidth(Math.min(editor.brush.width - 1, editor.brush.width / 1.2)),
  },
  {
    id: "thicker",
    keys: ["]"],
    label: "Larger brush",
    group: "Paint",
    run: ({ editor }) => editor.setBrushWidth(Math.max(editor.brush.width + 1, editor.brush.width * 1.2)),
  },
  {
    id: "swap",
    keys: ["x"],
    label: "Swap black and white",
    group: "Paint",
    mode: "sketch",
    run: ({ editor }) => editor.setPaint((~editor.paint | 0xff000000) >>> 0),
  },
  {
    id: "search",
    keys: ["/", "mod+f"],
    label: "Search the labels",
    group: "Paint",
    run: (at) => at.root.querySelector(".palette input")?.["focus"](),
  },

  {
    id: "zoomIn",
    keys: ["+", "="],
    label: "Zoom in",
    group: "View",
    run: ({ viewport }) => viewport.zoomBy(1.5),
  },
  {
    id: "zoomOut",
    keys: ["-"],
    label: "Zoom out",
    group: "View",
    run: ({ viewport }) => viewport.zoomBy(1 / 1.5),
  },
  { id: "fit", keys: ["0"], label: "Fit the window", group: "View", run: ({ viewport }) => viewport.fit() },
  {
    id: "actual",
    keys: ["1"],
    label: "Actual size",
    group: "View",
    run: ({ viewport }) => viewport.actualSize(),
  },
  {
    id: "before",
    keys: ["\\"],
    label: "Before / after",
    group: "View",
    run: (at) => at.showBefore(!at.isBefore),
  },
  {
    id: "overlay",
    keys: ["o"],
    label: "The picture as an overlay",
    group: "View",
    run: (at) => at.showOverlay(!at.isOverlay),
  },
  {
    id: "next",
    keys: ["pagedown"],
    label: "Next map of the batch",
    group: "View",
    run: (at) => at.turnTo(1),
  },
  {
    id: "previous",
    keys: ["pageup"],
    label: "Previous map of the batch",
    group: "View",
    run: (at) => at.turnTo(-1),
  },

  { id: "help", keys: ["?"], label: "These keys", group: "Editor", run: (at) => at.help() },
  {
    id: "keep",
    keys: ["mod+enter", "mod+s"],
    label: "Keep and close",
    group: "Editor",
    run: (at) => at.keep(),
  },
]

/** @param {import("./guess.js").Mode} mode @returns {Command[]} the commands for a kind of map */
export function commandsFor(mode) {
  return COMMANDS.filter((command) => !command.mode || command.mode === mode)
}

/** @param {string} id @param {Workspace} at */
export function run(id, at) {
  COMMANDS.find((command) => command.id === id)?.run(at, "")
}

/** @param {KeyboardEvent} event @returns {string} such as "mod+shift+z" */
function keyOf(event) {
  const key = event.key.toLowerCase()
  const named = key.length > 1 || /[a-z0-9]/.test(key) // typing "?" includes Shift
  return [event.ctrlKey || event.metaKey ? "mod+" : "", event.shiftKey && named ? "shift+" : "", key].join("")
}

/**
 * Runs the command of a key, or takes up its tool.
 * @param {KeyboardEvent} event
 * @param {Workspace} at
 * @returns {boolean} whether the key has a command or a tool
 */
export function press(event, at) {
  const key = keyOf(event)
  const command = commandsFor(at.editor.mode).find(({ keys }) => keys.includes(key))
  const tool = toolsFor(at.editor.mode).find((face) => face.key === key)
  if (command && (!at.editor.document.busy || command.id === "escape")) command.run(at, key)
  else if (tool && !at.editor.document.busy) at.editor.setTool(tool.id)
  return !!(command || tool)
}

/** @param {Workspace} at @param {"undo" | "redo"} way */
function step({ editor }, way) {
  const { document } = editor
  const name = way === "undo" ? document.undoName : document.redoName
  if (document[way]()) editor.emit("message", `${way === "undo" ? "Undone" : "Redone"}: ${name}`)
}

function erase(at) {
  if (at.editor.mode === "pose") return at.tools.joints.deleteChosen()
  onPart((document) => document.delete())(at)
}

function duplicate(document) {
  const { width, height } = document.selectionBox
  document.duplicate(Math.max(2, Math.round(width / 8)), Math.max(2, Math.round(height / 8)))
}

function nudge(at, key, far) {
  const [dx, dy] = ARROWS[key]
  if (at.editor.mode === "pose") at.tools.joints.nudge(dx * far, dy * far)
  else if (at.editor.document.selection) onPart((document) => document.move(dx * far, dy * far))(at)
}

function escape(at) {
  if (at.tool.cancel && (at.editor.document.busy || at.isDoing)) at.tool.cancel()
  else if (at.isBefore) at.showBefore(false)
  else at.editor.document.setSelection(null)
}
