import assert from "node:assert/strict"
import { test } from "node:test"
import { Palette } from "../../../web/map_editor/model/palette.js"
import { recall } from "../../../web/map_editor/model/recall.js"
import { drawn } from "./helpers.js"

const palette = new Palette({
  name: "letters",
  labels: [..."abc"],
  colours: [..."abc"].map((l) => [l.charCodeAt(0), 7, 200]),
})
const wanted = [..."abc"].map((name, index) => ({ name, labels: [index] }))

test("a line is no object, a square of three is, and so is one at the edge", () => {
  const map = drawn(["aaaaaaac", "aaaaaaac", "bbbaaaac", "bbbaaaac", "bbbaaaac"])
  const found = recall(map, palette, wanted, 0)
  assert.deepEqual(found.found, ["a", "b"])
  assert.deepEqual(found.missing, ["c"])
  assert.equal(found.recall, 2 / 3)
})

test("the edge of the map goes on, so two columns there are enough", () => {
  assert.deepEqual(recall(drawn(["aacc", "aacc"]), palette, wanted, 0).found, ["a", "c"])
  assert.deepEqual(recall(drawn(["a"]), palette, wanted, 0).found, ["a"])
})

test("an object counts from the minimal area on, its labels together", () => {
  const map = drawn(["bbbaaa", "bbbaaa", "bbbccc", "aaaccc", "aaaccc"])
  const both = [{ name: "either", labels: [1, 2, 2] }]
  assert.equal(recall(map, palette, both, 18 / 30).recall, 1)
  assert.equal(recall(map, palette, both, 19 / 30).recall, 0)
})

test("all is found when nothing is wanted", () => {
  assert.deepEqual(recall(drawn(["a"]), palette, [], 0.003), { recall: 1, found: [], missing: [] })
})
