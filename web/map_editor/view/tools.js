// @ts-check
// The tools, with their names, keys and icons, and the kinds of map that have them.

import { Grab } from "./grab.js"
import { BrushTool, EraserTool, EyedropperTool, FillTool, GradientTool, LineTool } from "./paint_tools.js"
import { PoseTool } from "./pose_tool.js"
import { BoxTool, LassoTool, ObjectTool } from "./select_tools.js"
import { TextTool } from "./text_tool.js"

/**
 * @typedef {import("./editor.js").Editor} Editor
 * @typedef {import("./viewport.js").Viewport} Viewport
 * @typedef {object} ToolFace
 * @property {string} id
 * @property {string} name
 * @property {string} key
 * @property {import("./icons.js").IconName} icon
 * @property {string} modes initials of the kinds of map: g segmentation, s sketch, d depth, p pose, n normal
 * @property {string} hint
 */

const DRAG = "Drag the selection to move it, its handles to scale and rotate"

/** @type {ToolFace[]} in the order in which they are shown */
export const TOOLS = [
  {
    id: "joints",
    name: "Joints",
    key: "p",
    icon: "joints",
    modes: "p",
    hint: "Drag a joint, or a limb to move the whole person",
  },
  {
    id: "select",
    name: "Select object",
    key: "v",
    icon: "select",
    modes: "gsdn",
    hint: `Click selects, Shift adds, Alt removes, double click: all of the label. ${DRAG}`,
  },
  {
    id: "box",
    name: "Select a box",
    key: "m",
    icon: "box",
    modes: "gsdn",
    hint: `Draw a box. Shift adds, Alt removes. ${DRAG}`,
  },
  {
    id: "lasso",
    name: "Lasso",
    key: "l",
    icon: "lasso",
    modes: "gsdn",
    hint: `Draw around it. Shift adds, Alt removes. ${DRAG}`,
  },
  {
    id: "brush",
    name: "Brush",
    key: "b",
    icon: "brush",
    modes: "gsdn",
    hint: "Shift: a straight line from the last stroke. Alt: pick from the map. [ ] size",
  },
  {
    id: "eraser",
    name: "Eraser",
    key: "e",
    icon: "eraser",
    modes: "gsdpn",
    hint: "Restores the original map. [ ] size",
  },
  {
    id: "line",
    name: "Straight line",
    key: "u",
    icon: "line",
    modes: "gsd",
    hint: "Shift: in steps of 45°. [ ] size",
  },
  {
    id: "fill",
    name: "Fill",
    key: "g",
    icon: "fill",
    modes: "gsd",
    hint: "Click an area to fill it, or inside the selection to fill that. Alt: pick from the map",
  },
  {
    id: "gradient",
    name: "Gradient",
    key: "d",
    icon: "gradient",
    modes: "d",
    hint: "Drag, or click twice, from the first depth to the second; only inside a selection if there is one",
  },
  {
    id: "text",
    name: "Text",
    key: "t",
    icon: "text",
    modes: "gs",
    hint: "Click and type. Enter keeps, Shift+Enter: new line, Esc drops",
  },
  {
    id: "eyedropper",
    name: "Pick from the map",
    key: "i",
    icon: "eyedropper",
    modes: "gdn",
    hint: "Click to take the paint from the map",
  },
]

const INITIALS = { segmentation: "g", sketch: "s", depth: "d", pose: "p", normal: "n" }

/** @param {import("./guess.js").Mode} mode @returns {ToolFace[]} */
export const toolsFor = (mode) => TOOLS.filter(({ modes }) => modes.includes(INITIALS[mode]))

/** @param {Editor} editor @param {Viewport} viewport */
export function makeTools(editor, viewport) {
  const grab = new Grab(editor, viewport)
  return {
    grab,
    joints: new PoseTool(editor, viewport),
    select: new ObjectTool(editor, viewport, grab),
    box: new BoxTool(editor, viewport, grab),
    lasso: new LassoTool(editor, viewport, grab),
    brush: new BrushTool(editor, viewport),
    eraser: new EraserTool(editor, viewport),
    line: new LineTool(editor, viewport),
    fill: new FillTool(editor, viewport),
    gradient: new GradientTool(editor, viewport),
    text: new TextTool(editor, viewport),
    eyedropper: new EyedropperTool(editor, viewport),
  }
}
