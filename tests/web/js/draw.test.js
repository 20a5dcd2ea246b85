import assert from "node:assert/strict"
import { test } from "node:test"
import {
  depthShift,
  fillMask,
  floodFill,
  gradient,
  line,
  stroke,
  textMask,
} from "../../../web/map_editor/model/draw.js"
import { Raster, pack, unpack } from "../../../web/map_editor/model/raster.js"
import { drawn, ink, letters, maskOf, randomFrom } from "./helpers.js"

function blank(width, height) {
  return drawn(Array(height).fill(".".repeat(width)))
}

test("a brush of one pixel paints one, a larger one a disc without new colours", () => {
  const raster = blank(7, 7)
  stroke(raster, [[3, 3]], 1, ink("x"))
  assert.equal(letters(raster).join("").replaceAll(".", ""), "x")
  stroke(raster, [[3, 3]], 5, ink("o"))
  assert.deepEqual(letters(raster), [
    ".......",
    "..ooo..",
    ".ooooo.",
    ".ooooo.",
    ".ooooo.",
    "..ooo..",
    ".......",
  ])
})

test("an even brush lies half a pixel to the top left", () => {
  const raster = blank(4, 4)
  stroke(raster, [[2, 2]], 2, ink("o"))
  assert.deepEqual(letters(raster), ["....", ".oo.", ".oo.", "...."])
})

test("a stroke has no gaps, and tells the rectangle that it stays in", () => {
  const raster = blank(30, 20)
  const rect = stroke(
    raster,
    [
      [2, 2],
      [25, 9],
      [4, 15],
    ],
    3,
    ink("o"),
  )
  letters(raster).forEach((row, y) => {
    ;[...row].forEach((letter, x) => {
      const inside = x >= rect.x && x < rect.x + rect.width && y >= rect.y && y < rect.y + rect.height
      assert.ok(letter === "." || inside)
    })
    assert.equal(row.includes("o"), y >= 1 && y <= 16)
  })
})

test("a stroke is all that lies within half its width of its line", () => {
  const random = randomFrom(5)
  for (const width of [1, 2, 3, 4, 7, 20]) {
    const [from, to] = [0, 1].map(() => [60 * random() - 10, 45 * random() - 8])
    const raster = blank(40, 30)
    line(raster, from, to, width, ink("o"))
    const shift = width % 2 ? 0 : 0.5
    raster.data.forEach((value, at) => {
      const off = distanceTo(from, to, [(at % 40) + shift, Math.floor(at / 40) + shift]) - width / 2
      if (Math.abs(off) > 1e-6) assert.equal(value === ink("o"), off < 0, `${width}: ${at}`)
    })
  }
})

function distanceTo([x0, y0], [x1, y1], [x, y]) {
  const [dx, dy] = [x1 - x0, y1 - y0]
  const along = ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy)
  const on = Math.min(Math.max(along, 0), 1)
  return Math.hypot(x - x0 - on * dx, y - y0 - on * dy)
}

test("segments drawn one by one make the same stroke", () => {
  const points = [
    [1, 1],
    [8.4, 3],
    [12, 12.7],
    [3, 9],
  ]
  const [whole, parts] = [blank(16, 16), blank(16, 16)]
  stroke(whole, points, 4, ink("o"))
  for (let i = 1; i < points.length; i++) stroke(parts, points.slice(i - 1, i + 1), 4, ink("o"))
  assert.ok(whole.equals(parts))
})

test("an eraser brings another raster's pixels back", () => {
  const [raster, base] = [drawn(["xxxx", "xxxx"]), drawn(["abcd", "efgh"])]
  line(raster, [1, 0], [3, 0], 1, base)
  assert.deepEqual(letters(raster), ["xbcd", "xxxx"])
})

test("what is drawn outside changes nothing", () => {
  const raster = blank(3, 3)
  assert.equal(
    stroke(
      raster,
      [
        [-9, 1],
        [-5, 1],
      ],
      3,
      ink("o"),
    ),
    null,
  )
  assert.ok(raster.equals(blank(3, 3)))
})

test("a bucket fills the object under it", () => {
  const raster = drawn(["aab", "bbb", "aaa"])
  assert.deepEqual(floodFill(raster, 0, 0, ink("x")), { x: 0, y: 0, width: 2, height: 1 })
  assert.deepEqual(letters(raster), ["xxb", "bbb", "aaa"])
  assert.equal(fillMask(raster, new Uint8Array(9), ink("x")), null)
})

test("text is what is opaque enough", () => {
  const image = {
    width: 3,
    height: 1,
    data: new Uint8ClampedArray([0, 0, 0, 127, 0, 0, 0, 128, 9, 9, 9, 255]),
  }
  assert.deepEqual([...textMask(image).mask], [0, 1, 1])
})

test("depth moves the selected pixels and stays within 0 and 255", () => {
  const raster = new Raster(
    3,
    1,
    Uint32Array.from([10, 200, 100], (grey) => pack(grey, grey, grey)),
  )
  depthShift(raster, maskOf(["##."]), 0.4)
  assert.deepEqual(Array.from(raster.data, unpack), [
    [112, 112, 112],
    [255, 255, 255],
    [100, 100, 100],
  ])
  depthShift(raster, null, -0.5)
  assert.deepEqual(
    Array.from(raster.data, (value) => unpack(value)[0]),
    [0, 128, 0],
  )
})

test("a gradient runs between its ends and goes on beyond them", () => {
  const raster = new Raster(7, 1)
  gradient(raster, maskOf([".######"]), [2, 0], [5, 0], pack(30, 30, 30), pack(60, 60, 0))
  const reds = Array.from(raster.data, (value) => unpack(value)[0])
  assert.deepEqual(reds, [0, 30, 30, 40, 50, 60, 60])
  assert.deepEqual(unpack(raster.data[4]), [50, 50, 10])
})
