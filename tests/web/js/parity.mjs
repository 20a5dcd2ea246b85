// Answers Python's questions about the editor's model, so that tests can compare both: reads a JSON list of
// [name, arguments] from standard input, writes the list of answers. Pixels travel as base64.
import { MapDocument } from "../../../web/map_editor/model/document.js"
import { Palette } from "../../../web/map_editor/model/palette.js"
import * as patches from "../../../web/map_editor/model/patch.js"
import { findSkeletons } from "../../../web/map_editor/model/pose.js"
import { Raster } from "../../../web/map_editor/model/raster.js"
import { recall } from "../../../web/map_editor/model/recall.js"
import { regionAt } from "../../../web/map_editor/model/select.js"
import { sha256 } from "../../../web/map_editor/model/sha256.js"

const { fromBase64, toBase64 } = patches

function raster({ width, height, rgba }) {
  return new Raster(width, height, new Uint32Array(fromBase64(rgba).buffer))
}

function told({ width, height, bytes }) {
  return { width, height, rgba: toBase64(bytes) }
}

const ANSWERS = {
  recall: ({ map, palette, wanted, area }) => recall(raster(map), new Palette(palette), wanted, area),
  snap: ({ map, palette }) => told(new Palette(palette).snap(raster(map))),
  hash: async ({ bytes }) => [await sha256(fromBase64(bytes)), await sha256(fromBase64(bytes), null)],
  baseHash: ({ map }) => patches.sha256(raster(map)),
  encode: async ({ map }) => toBase64(await patches.encodePng(raster(map))),
  decode: async ({ png }) => told(await patches.decodePng(fromBase64(png))),
  drawing: ({ base, current }) => patches.drawingOf(raster(base), raster(current)),
  edit({ map, palette, x, y, edit: [name, ...how] }) {
    const document = new MapDocument(raster(map), palette && new Palette(palette))
    document.setSelection(regionAt(document.raster, x, y))
    document[name](...how)
    return told(document.raster)
  },
  findPose: ({ map }) => findSkeletons(raster(map)),
}

let questions = ""
for await (const part of process.stdin) questions += part
const answers = await Promise.all(JSON.parse(questions).map(([name, given]) => ANSWERS[name](given)))
process.stdout.write(JSON.stringify(answers))
