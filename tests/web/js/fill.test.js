import assert from "node:assert/strict"
import { test } from "node:test"
import { fillNearest, filledGround, filledHole } from "../../../web/map_editor/model/fill.js"
import { Raster } from "../../../web/map_editor/model/raster.js"
import { drawn, letters, maskOf, randomFrom } from "./helpers.js"

test("a hole takes the nearest colours", () => {
  const raster = drawn(["aaaab", "axxxb", "axxxb", "ccccc"])
  const hole = maskOf([".....", ".###.", ".###.", "....."])
  assert.deepEqual(letters(fillNearest(raster, hole)), ["aaaab", "aaaab", "aacbb", "ccccc"])
  assert.deepEqual(letters(raster), ["aaaab", "axxxb", "axxxb", "ccccc"])
})

test("of equally near pixels the first counts, up before left before right", () => {
  const raster = drawn(["abc", "dxe", "fgh"])
  assert.equal(letters(fillNearest(raster, maskOf(["...", ".#.", "..."])))[1], "dbe")
  assert.equal(letters(fillNearest(raster, maskOf([".#.", ".#.", ".#."])))[1], "dde")
})

test("every pixel is filled from one that is truly nearest and first", () => {
  const random = randomFrom(2)
  for (let round = 0; round < 40; round++) {
    const [width, height] = [2 + Math.floor(random() * 14), 1 + Math.floor(random() * 14)]
    const raster = new Raster(
      width,
      height,
      Uint32Array.from({ length: width * height }, (_, i) => i),
    )
    const hole = Uint8Array.from(raster.data, () => (random() < 0.9 ? 1 : 0))
    hole[Math.floor(random() * hole.length)] = 0
    const { data } = fillNearest(raster, hole)
    data.forEach((from, at) => assert.equal(from, hole[at] ? nearestTo(at, hole, width) : at))
  }
})

function nearestTo(at, hole, width) {
  const far = (other) =>
    ((at % width) - (other % width)) ** 2 + (Math.floor(at / width) - Math.floor(other / width)) ** 2
  const outside = [...hole.keys()].filter((other) => !hole[other])
  return outside.reduce((best, other) => (far(other) < far(best) ? other : best))
}

test("without a hole nothing is filled, without anything around it nothing can be", () => {
  const raster = drawn(["ab"])
  assert.equal(filledHole(raster, new Uint8Array(2)), null)
  assert.ok(fillNearest(raster, new Uint8Array(2)).equals(raster))
  assert.throws(() => fillNearest(raster, new Uint8Array(2).fill(1)), /whole map of 2×1/)
})

test("only the surroundings of a hole are made", () => {
  const raster = drawn(["aaaaaa", "aaaaba", "aaaaaa", "aaaaaa"])
  const patch = filledHole(raster, maskOf(["......", "....#.", "......", "......"]))
  assert.deepEqual([patch.x, patch.y, letters(patch.raster)], [3, 0, ["aaa", "aaa", "aaa"]])
})

function groundIn(rows) {
  const raster = drawn(rows)
  const patch = filledGround(
    raster,
    Uint8Array.from(rows.join(""), (mark) => (mark === "x" ? 1 : 0)),
  )
  raster.put(patch.raster, patch.x, patch.y)
  return letters(raster)
}

test("crumbs and crumbs behind them stay and do not spread", () => {
  assert.deepEqual(groundIn(["agggggg", "gxxxxxd", "gxxxxxg", "gxxxxxg"]), [
    "agggggg",
    "ggggggd",
    "ggggggg",
    "ggggggg",
  ])
  assert.deepEqual(groundIn(["xxxxdcgg", "xxxxgggg", "xxxxgggg"]), ["ggggdcgg", "gggggggg", "gggggggg"])
})

test("a neighbour of a tenth of the hole spreads", () => {
  assert.deepEqual(groundIn(["xxxxxd", "xxxxxg"]), ["dddddd", "gggggg"])
  assert.deepEqual(groundIn(["xxxxxd", "xxxxxg", "xggggg"]), ["gggggd", "gggggg", "gggggg"])
})

test("where nothing but crumbs is outside they spread", () => {
  assert.deepEqual(groundIn(["dxxxxxxxxxxxc"]), ["dddddddcccccc"])
  assert.equal(filledGround(drawn(["ab"]), new Uint8Array(2)), null)
  assert.throws(() => groundIn(["xx"]), /whole map of 2×1/)
})
