import assert from "node:assert/strict"
import { test } from "node:test"

import * as drawing from "../../../web/map_editor/drawing.js"

const HASH = "ab".repeat(32)
const base = (values) => ({
  filename: "a.png",
  subfolder: "",
  type: "temp",
  sha256: HASH,
  width: 8,
  height: 6,
  ...values,
})
const patch = (values) => ({ base: HASH, width: 8, height: 6, x: 1, y: 2, png: "AAAA", ...values })
const drawn = (maps) => ({ version: 1, maps })
const told = (...maps) => ({ maps, palette: null, wanted: [], minimal_area: 0.003 })

test("only an object can be a drawing", () => {
  for (const value of [undefined, null, "", "x", 3, [], [1]]) assert.deepEqual(drawing.drawingOf(value), {})
  const newer = { version: 2, layers: [] }
  assert.equal(drawing.drawingOf(newer), newer)
})

test("patches come in the batch's order", () => {
  const places = drawing.patchesOf(drawn({ 10: patch(), 2: patch() })).map(([place]) => place)
  assert.deepEqual(places, [2, 10])
  assert.deepEqual(drawing.patchesOf({}), [])
  assert.deepEqual(drawing.patchesOf(drawn({ 0: null, 1: "x", 2: {} })), []) // of a damaged workflow
})

test("a patch is stale on another map, another size and no map", () => {
  assert.equal(drawing.isStale(patch(), base()), false)
  assert.equal(drawing.isStale(patch({ base: "" }), base()), false)
  assert.equal(drawing.isStale(patch(), base({ sha256: "cd".repeat(32) })), true)
  assert.equal(drawing.isStale(patch({ base: "" }), base({ width: 9 })), true)
  assert.equal(drawing.isStale(patch(), undefined), true)
})

test("the summary counts, and says when a map has changed", () => {
  const text = (value, known = null) => drawing.summaryOf(value, known).text
  assert.equal(text({}), "no drawing")
  assert.equal(text(drawn({ 0: patch() })), "1 map drawn")
  assert.equal(text(drawn({ 0: patch(), 1: patch() }), told(base(), base())), "2 maps drawn")
  const changed = drawing.summaryOf(drawn({ 1: patch() }), told(base(), base({ sha256: "" })))
  assert.deepEqual(changed, { text: "the map has changed: open to re-apply or drop", stale: true })
  assert.equal(text(drawn({ 1: patch() }), told(base())), "the map has changed: open to re-apply or drop")
  assert.match(text({ version: 2 }), /newer version/)
})

test("what is kept replaces, drops and leaves alone", () => {
  const before = drawn({ 0: patch(), 1: patch(), 2: patch(), 7: patch() })
  const copy = structuredClone(before)
  const changed = patch({ x: 5 })
  const after = drawing.keptDrawing(before, { maps: { 0: changed, 1: null, 3: changed } }, 4)
  assert.deepEqual(after.drawing, drawn({ 0: changed, 2: patch(), 3: changed }))
  assert.deepEqual(after.dropped, [7])
  assert.deepEqual(before, copy)
})

test("no patch left is no drawing", () => {
  assert.deepEqual(drawing.keptDrawing(drawn({ 0: patch() }), { maps: { 0: null } }, 1).drawing, {})
  assert.deepEqual(drawing.keptDrawing({}, { maps: {} }, 1).drawing, {})
})

test("large pictures go to files, all or none", async () => {
  const upload = async (png) => `finesse/${png.length}.png`
  const half = "A".repeat(drawing.MOST_CHARACTERS / 2)
  const small = drawn({ 0: patch({ png: half }), 1: patch({ png: half }) })
  assert.deepEqual(await drawing.withinLimit(small, upload), { drawing: small, uploaded: 0 })

  const large = drawn({
    0: patch({ png: `${half}AAAA` }),
    1: patch({ png: half }),
    2: { ...patch(), png: undefined, file: "b.png" },
  })
  const copy = structuredClone(large)
  const { drawing: found, uploaded } = await drawing.withinLimit(large, upload)
  assert.equal(uploaded, 2)
  assert.deepEqual(
    [0, 1, 2].map((place) => found.maps[place].file),
    ["finesse/131076.png", "finesse/131072.png", "b.png"],
  )
  assert.ok(!("png" in found.maps[0]))
  assert.deepEqual(large, copy)
})
