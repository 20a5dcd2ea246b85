import assert from "node:assert/strict"
import { test } from "node:test"
import {
  BLACK,
  Raster,
  clip,
  maskBox,
  overlap,
  pack,
  union,
  unpack,
} from "../../../web/map_editor/model/raster.js"
import { drawn, letters, maskOf } from "./helpers.js"

test("a packed pixel is opaque and gives its channels back", () => {
  assert.equal(pack(1, 2, 255), 0xffff0201)
  assert.deepEqual(unpack(pack(1, 2, 255)), [1, 2, 255])
})

test("canvas pixels become opaque and are copied", () => {
  const image = { width: 1, height: 2, data: new Uint8ClampedArray([1, 2, 3, 0, 4, 5, 6, 128]) }
  const raster = Raster.fromImageData(image)
  image.data[0] = 99
  assert.deepEqual([...raster.data], [pack(1, 2, 3), pack(4, 5, 6)])
  assert.deepEqual([...raster.bytes], [1, 2, 3, 255, 4, 5, 6, 255])
})

test("a part of larger memory is a canvas's own part", () => {
  const memory = new Uint8ClampedArray(12).fill(9)
  const raster = Raster.fromImageData({ width: 1, height: 1, data: memory.subarray(4, 8) })
  assert.deepEqual([...raster.data], [pack(9, 9, 9)])
})

test("crop and put are each other's reverse", () => {
  const raster = drawn(["abcd", "efgh", "ijkl"])
  const part = raster.crop({ x: 1, y: 1, width: 2, height: 2 })
  assert.deepEqual(letters(part), ["fg", "jk"])
  const other = drawn(["....", "....", "...."])
  other.put(part, 2, 0)
  assert.deepEqual(letters(other), ["..fg", "..jk", "...."])
})

test("a clone shares nothing, and equals sees each pixel and the shape", () => {
  const raster = drawn(["ab", "cd"])
  const copy = raster.clone()
  assert.ok(copy.equals(raster))
  copy.data[3] = BLACK
  assert.ok(!copy.equals(raster))
  assert.ok(!raster.equals(drawn(["abcd"])))
})

test("pixels of the wrong number are refused", () => {
  assert.throws(() => new Raster(2, 2, new Uint32Array(3)), /3 pixels.*needs 4/)
})

test("the box of a mask holds its pixels tightly", () => {
  const rows = ["......", "...#..", ".#..#.", "..#...", "......"]
  assert.deepEqual(maskBox(maskOf(rows), 6), { x: 1, y: 1, width: 4, height: 3 })
  assert.deepEqual(maskBox(maskOf(["#.", ".#"]), 2), { x: 0, y: 0, width: 2, height: 2 })
  assert.equal(maskBox(maskOf(["..", ".."]), 2), null)
})

test("rectangles are joined, shared and cut to the map", () => {
  const a = { x: 0, y: 1, width: 3, height: 2 }
  const b = { x: 2, y: 2, width: 4, height: 4 }
  assert.deepEqual(union(a, b), { x: 0, y: 1, width: 6, height: 5 })
  assert.deepEqual(union(null, b), b)
  assert.deepEqual(overlap(a, b), { x: 2, y: 2, width: 1, height: 1 })
  assert.equal(overlap(a, { x: 3, y: 1, width: 2, height: 2 }), null)
  assert.deepEqual(clip({ x: -2, y: 3, width: 9, height: 9 }, 5, 4), { x: 0, y: 3, width: 5, height: 1 })
})
