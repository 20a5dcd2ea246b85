// @ts-check
// Adds the box picker to *Inpaint Small Box*, as the widget of its input `box`.

import { outputsOf, recordUndoStep, viewUrl } from "../lib/comfy.js"
import { loadImage, useStyleSheet } from "../lib/dom.js"
import { addElementWidget } from "../lib/dom_widget.js"
import { allNodes, isLinked, upstreamPicture } from "../lib/upstream.js"
import { guessedSize, withoutCompanions } from "./boxes.js"
import { Picker } from "./picker.js"

const TYPE = "FINESSE_BOXES"
const NOISE = "FinesseBoxNoise" // the node that reads the boxes' own seeds
const OF_SD1 = { token: 8, levels: 4, model_side: 512 } // assumed until a run tells
/** @type {Record<string, string>} */
const AMOUNTS = { auto: "limit", side: "side", megapixels: "megapixels" } // the widget beside a choice of scale

export const boxPicker = {
  name: "Finesse.BoxPicker",
  getCustomWidgets: () => ({ [TYPE]: addBoxPicker }),
}

/**
 * @param {any} node
 * @param {string} name
 * @param {[string, {default: any}]} spec
 */
function addBoxPicker(node, name, [, { default: initial }]) {
  useStyleSheet(new URL("picker.css", import.meta.url))
  /** @type {{url: string | null, size: import("./boxes.js").Size | null}} */
  let picture = { url: null, size: null }
  const picker = new Picker((state) => lookAround(node, name, state, picture), {
    onChange: () => {
      widget.value = picker.value
    },
    onDone: recordUndoStep,
  })
  picker.value = initial
  const widget = addElementWidget(node, name, TYPE, picker.element, {
    getValue: () => picker.value,
    setValue: (value) => {
      picker.value = value
    },
    surroundings: () => Object.values(surroundings(node, name)),
    refresh: async () => {
      picture = await loadPicture(node)
      picker.show()
    },
    minHeight: 330,
  })
  acceptOldForm(node, widget)
  return { widget, minWidth: 340, minHeight: 560 }
}

/** Everything besides its value that changes what the picker shows. */
function surroundings(/** @type {any} */ node, /** @type {string} */ name) {
  const value = (/** @type {string} */ other) =>
    node.widgets?.find((/** @type {any} */ each) => each.name === other)?.value
  return {
    upstream: upstreamPicture(node, "image"),
    run: outputsOf(node).finesse_box?.[0] ?? null,
    isLinked: isLinked(node, name),
    boxesLinked: isLinked(node, "boxes"),
    clipLinked: isLinked(node, "clip"),
    seedsRead: allNodes().some((each) => each.type === NOISE),
    snap: value("snap") ?? true,
    grow: value("grow") ?? 0,
    context: value("context") ?? 0,
    scale: value("scale") ?? "none",
    amount: value(`scale.${AMOUNTS[value("scale")]}`) ?? 1,
    modelSide: value("scale.model_side") ?? 0,
  }
}

/**
 * @param {any} node
 * @param {string} name
 * @param {import("./stage.js").State} state
 * @param {{url: string | null, size: import("./boxes.js").Size | null}} picture
 */
function lookAround(node, name, { boxes, selected }, picture) {
  const { run, snap, grow, context, scale, amount, modelSide, ...linked } = surroundings(node, name)
  const { token, levels, model_side } = run ?? OF_SD1
  const size = picture.size ?? guessedSize(boxes)
  let remark = ""
  if (linked.boxesLinked) remark = "Not used: boxes is linked"
  else if (linked.isLinked) remark = "Not used: box is linked"
  else if (boxes[selected]?.text && !linked.clipLinked) remark = "Link clip: it encodes the text"
  else if (boxes[selected]?.seed && !linked.seedsRead) remark = "The seed needs Noise per Box"
  const isUsed = !linked.boxesLinked && !linked.isLinked
  const scaling = { kind: scale, amount, modelSide: modelSide || model_side }
  const settings = { token, levels, snap, grow, context, scale: scaling }
  return { scene: { picture: size, url: picture.url, ...settings }, remark, isUsed }
}

/**
 * The picture to draw on, and the size of the picture to edit, from the linked node, else from the last run.
 * @param {any} node
 */
async function loadPicture(node) {
  const url = upstreamPicture(node, "image")
  const upstream = url && (await loadImage(url).catch(() => null))
  if (upstream) return { url, size: { width: upstream.naturalWidth, height: upstream.naturalHeight } }
  const run = outputsOf(node).finesse_box?.[0]
  if (!run) return { url: null, size: null }
  const own = run.picture && viewUrl(run.picture)
  const isThere = own && (await loadImage(own).catch(() => null))
  return { url: isThere ? own : null, size: { width: run.width, height: run.height } }
}

/**
 * Open workflows that were saved with the page's own box widget instead of the picker, while the picker had a
 * socket, or before `scale` existed. If that socket is linked, it stays, and the link decides as before.
 */
function acceptOldForm(/** @type {any} */ node, /** @type {any} */ widget) {
  const { configure } = node
  node.configure = function (/** @type {any} */ info) {
    const saved = this.widgets.filter((/** @type {any} */ each) => each.serialize !== false)
    let values = info.widgets_values && withoutCompanions(info.widgets_values, saved.indexOf(widget))
    const scale = saved.findIndex((/** @type {any} */ each) => each.name === "scale")
    if (values?.length === scale) values = [...values, "none"]
    const isSocket = (/** @type {any} */ input) => input.name !== widget.name || input.link != null
    const inputs = info.inputs?.filter(isSocket)
    return configure.call(this, { ...info, inputs, widgets_values: values })
  }
}
