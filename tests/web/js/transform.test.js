import assert from "node:assert/strict"
import { test } from "node:test"
import { lay, lift, roundHalfEven, transformed } from "../../../web/map_editor/model/transform.js"
import { Raster } from "../../../web/map_editor/model/raster.js"
import { drawn, ink, letters, marks, maskOf, pieceOf } from "./helpers.js"

const F = ["ab", "cd", "ef"] // 2 wide, 3 high, each pixel another colour

function piece(rows = F) {
  return pieceOf(drawn(rows))
}

function shown({ width, height, data }) {
  return letters(new Raster(width, height, data))
}

test("what is lifted is the mask's box with its pixels", () => {
  const lifted = lift(drawn(["abcd", "efgh", "ijkl"]), maskOf(["....", ".#..", "..#."]))
  assert.deepEqual(
    [lifted.x, lifted.y, shown(lifted), marks(lifted.mask, 2)],
    [1, 1, ["fg", "jk"], ["#.", ".#"]],
  )
  assert.equal(lift(drawn(["ab"]), new Uint8Array(2)), null)
})

test("quarter turns and mirrors move every pixel, and four turns none", () => {
  assert.deepEqual(shown(transformed(piece(), { degrees: 90 })), ["eca", "fdb"])
  assert.deepEqual(shown(transformed(piece(), { degrees: 180 })), ["fe", "dc", "ba"])
  assert.deepEqual(shown(transformed(piece(), { degrees: -90 })), ["bdf", "ace"])
  assert.deepEqual(shown(transformed(piece(), { flipX: true })), ["ba", "dc", "fe"])
  assert.deepEqual(shown(transformed(piece(), { flipY: true })), ["ef", "cd", "ab"])
  assert.deepEqual(transformed(piece(), { degrees: 720 }), transformed(piece(), {}))
})

test("a turn and the way back end on the very same pixels", () => {
  for (const rows of [F, ["abc"], ["abcde", "fghij"]]) {
    const there = transformed(piece(rows), { degrees: 90 })
    assert.deepEqual(transformed(there, { degrees: -90 }), piece(rows))
  }
})

test("scaling repeats or leaves out pixels, about the centre", () => {
  const wide = transformed(piece(), { scaleX: 2 })
  assert.deepEqual([wide.x, wide.y, shown(wide)], [-1, 0, ["aabb", "ccdd", "eeff"]])
  assert.deepEqual(shown(transformed(piece(), { scaleY: 0.34 })), ["cd"])
  assert.deepEqual(shown(transformed(piece(), { scaleX: 0.001, scaleY: 0.001 })), ["d"])
})

test("mirrored, scaled and turned in this order", () => {
  assert.deepEqual(shown(transformed(piece(["ab"]), { flipX: true, scaleX: 2, degrees: 90 })), [
    "b",
    "b",
    "a",
    "a",
  ])
})

test("a free turn brings in no new colour and keeps the area", () => {
  const square = transformed(piece(Array(41).fill("a".repeat(41))), { degrees: 33 })
  const area = square.mask.reduce((sum, bit) => sum + bit)
  assert.ok(Math.abs(area - 41 * 41) < 41, `${area}`)
  square.data.forEach((value, i) => assert.equal(value, square.mask[i] ? ink("a") : 0))
})

test("only the part in the bounds is made", () => {
  const moved = transformed(piece(), { dx: -1, dy: 2 }, { x: 0, y: 0, width: 9, height: 4 })
  assert.deepEqual([moved.x, moved.y, shown(moved)], [0, 2, ["b", "d"]])
  assert.equal(transformed(piece(), { dx: 99 }, { x: 0, y: 0, width: 9, height: 9 }).mask.length, 0)
})

test("a piece is laid on what of the map it meets, behind what shall stay before it", () => {
  const raster = drawn(["....", ".z..", "...."])
  assert.deepEqual(lay(raster, { ...piece(), x: 1, y: -1 }, new Set([ink("z")])), {
    x: 1,
    y: 0,
    width: 2,
    height: 2,
  })
  assert.deepEqual(letters(raster), [".cd.", ".zf.", "...."])
  assert.equal(lay(raster, { ...piece(), x: 4, y: 0 }), null)
})

test("halves are rounded to even numbers, as Python does", () => {
  assert.deepEqual([0.5, 1.5, 2.5, 2.4, 2.6, -0.5].map(roundHalfEven), [0, 2, 2, 2, 3, 0])
})
