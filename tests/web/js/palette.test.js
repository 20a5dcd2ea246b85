import assert from "node:assert/strict"
import { test } from "node:test"
import { Palette } from "../../../web/map_editor/model/palette.js"
import { Raster, pack } from "../../../web/map_editor/model/raster.js"

const palette = new Palette({
  name: "small",
  labels: ["tree", "road", "street sign", "skyscraper", "Sky"],
  colours: [
    [0, 0, 0],
    [10, 0, 0],
    [0, 200, 0],
    [10, 0, 0],
    [0, 0, 250],
  ],
})

test("a colour tells its label, of two the first", () => {
  assert.equal(palette.indexOf(pack(10, 0, 0)), 1)
  assert.equal(palette.indexOf(pack(10, 0, 1)), -1)
  assert.equal(palette.nearest(pack(9, 2, 3)), 1)
})

test("snapping takes the nearest colour, of equally near ones the first", () => {
  const colours = [
    [5, 0, 0],
    [6, 0, 0],
    [0, 90, 0],
    [0, 101, 0],
    [9, 9, 240],
  ]
  const snapped = palette.snap(
    new Raster(
      5,
      1,
      Uint32Array.from(colours, (colour) => pack(...colour)),
    ),
  )
  assert.deepEqual(
    Array.from(snapped.data, (value) => palette.indexOf(value)),
    [0, 1, 0, 2, 4],
  )
})

test("search puts labels that begin with the text first", () => {
  const found = (text) => palette.search(text).map((index) => palette.labels[index])
  assert.deepEqual(found("S"), ["street sign", "skyscraper", "Sky"])
  assert.deepEqual(found("  sky "), ["skyscraper", "Sky"])
  assert.deepEqual(found("r"), ["road", "tree", "street sign", "skyscraper"])
  assert.deepEqual(found("zebra"), [])
  assert.equal(found("").length, 5)
})

test("the labels of a map come with their areas, the largest first", () => {
  const data = Uint32Array.from([2, 2, 1, 2, 3, 4, 4], (index) => palette.values[index])
  assert.deepEqual(palette.labelsIn(new Raster(7, 1, data)), [
    { index: 2, area: 3 },
    { index: 1, area: 2 },
    { index: 4, area: 2 },
  ])
})
