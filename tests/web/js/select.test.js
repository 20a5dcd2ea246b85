import assert from "node:assert/strict"
import { test } from "node:test"
import {
  allOf,
  box,
  combine,
  everything,
  inverted,
  lasso,
  regionAt,
} from "../../../web/map_editor/model/select.js"
import { Raster, pack } from "../../../web/map_editor/model/raster.js"
import { drawn, ink, marks, maskOf, randomFrom } from "./helpers.js"

test("an object hangs together at corners, and not round the edge of the map", () => {
  const raster = drawn(["a.a.", ".a..", "a..a", "...a"])
  assert.deepEqual(marks(regionAt(raster, 1, 1), 4), ["#.#.", ".#..", "#...", "...."])
  assert.deepEqual(marks(regionAt(raster, 3, 3), 4), ["....", "....", "...#", "...#"])
})

test("arms that meet only far below are one object", () => {
  const raster = drawn(["a.a.a", "a.a.a", "aaa.a", "....a", "aaaaa"])
  assert.deepEqual(marks(regionAt(raster, 0, 0), 5), ["#.#..", "#.#..", "###..", ".....", "....."])
  assert.deepEqual(marks(regionAt(raster, 4, 0), 5), ["....#", "....#", "....#", "....#", "#####"])
})

test("a region agrees with a plain flood fill", () => {
  const random = randomFrom(1)
  for (let round = 0; round < 60; round++) {
    const [width, height] = [1 + Math.floor(random() * 12), 1 + Math.floor(random() * 12)]
    const raster = new Raster(
      width,
      height,
      Uint32Array.from({ length: width * height }, () => (random() < 0.5 ? 1 : 2)),
    )
    const [x, y] = [Math.floor(random() * width), Math.floor(random() * height)]
    assert.deepEqual(regionAt(raster, x, y), flooded(raster, x, y))
  }
})

function flooded({ width, height, data }, x, y) {
  const mask = new Uint8Array(data.length)
  const visit = (column, row) => {
    const at = row * width + column
    if (column < 0 || row < 0 || column >= width || row >= height) return
    if (mask[at] || data[at] !== data[y * width + x]) return
    mask[at] = 1
    for (const dy of [-1, 0, 1]) for (const dx of [-1, 0, 1]) visit(column + dx, row + dy)
  }
  visit(x, y)
  return mask
}

test("outside the map nothing is selected", () => {
  assert.ok(!regionAt(drawn(["a"]), 1, 0).includes(1))
  assert.ok(!regionAt(drawn(["a"]), 0, -1).includes(1))
})

test("tolerance counts every channel from the pixel that was clicked", () => {
  const values = [pack(100, 100, 100), pack(103, 97, 100), pack(106, 100, 100), pack(100, 100, 104)]
  const raster = new Raster(4, 1, Uint32Array.from(values))
  assert.deepEqual(marks(regionAt(raster, 0, 0, 3), 4), ["##.."])
  assert.deepEqual(marks(allOf(raster, values[0], 4), 4), ["##.#"])
})

test("all of a colour is found wherever it is", () => {
  assert.deepEqual(marks(allOf(drawn(["ab", "ba"]), ink("b")), 2), [".#", "#."])
})

test("a lasso takes the pixels whose middles it holds", () => {
  const square = lasso(5, 4, [
    [1, 1],
    [4, 1],
    [4, 3],
    [1, 3],
  ])
  assert.deepEqual(marks(square, 5), [".....", ".###.", ".###.", "....."])
  const half = lasso(4, 4, [
    [0, 0],
    [4, 0],
    [0, 4],
  ])
  assert.deepEqual(marks(half, 4), ["###.", "##..", "#...", "...."])
})

test("a lasso may leave the map, cross itself or be a point", () => {
  assert.deepEqual(
    marks(
      lasso(2, 2, [
        [-9, -9],
        [9, -9],
        [9, 9],
        [-9, 9],
      ]),
      2,
    ),
    ["##", "##"],
  )
  const bow = lasso(6, 4, [
    [0, -0.2],
    [6, 4.2],
    [6, -0.2],
    [0, 4.2],
  ])
  assert.deepEqual(marks(bow, 6), ["#....#", "##..##", "##..##", "#....#"])
  assert.ok(!lasso(3, 3, [[1, 1]]).includes(1))
  assert.ok(!lasso(3, 3, []).includes(1))
})

test("a box is cut to the map", () => {
  assert.deepEqual(marks(box(4, 3, { x: 2, y: -1, width: 9, height: 3 }), 4), ["..##", "..##", "...."])
  assert.ok(!box(4, 3, { x: 9, y: 0, width: 2, height: 2 }).includes(1))
})

test("masks are replaced, joined, taken away and shared, without a change of theirs", () => {
  const [a, b] = [maskOf(["##.."]), maskOf([".##."])]
  const expected = { replace: ".##.", add: "###.", subtract: "#...", intersect: ".#.." }
  for (const [how, row] of Object.entries(expected)) assert.deepEqual(marks(combine(a, b, how), 4), [row])
  assert.deepEqual(marks(combine(null, b, "add"), 4), [".##."])
  assert.ok(!combine(null, b, "subtract").includes(1))
  assert.deepEqual([marks(a, 4), marks(b, 4)], [["##.."], [".##."]])
  assert.deepEqual(marks(inverted(a), 4), ["..##"])
  assert.ok(!everything(3, 2).includes(0))
})
