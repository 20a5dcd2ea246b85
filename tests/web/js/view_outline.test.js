import assert from "node:assert/strict"
import { test } from "node:test"
import { outlineSegments } from "../../../web/map_editor/view/outline.js"

/** The edges between set and other pixels, one by one, as "x,y→x,y". */
function edges(mask, width) {
  const height = mask.length / width
  const at = (x, y) => (x >= 0 && y >= 0 && x < width && y < height ? mask[y * width + x] : 0)
  const found = new Set()
  for (let y = 0; y <= height; y++) {
    for (let x = 0; x <= width; x++) {
      if (at(x, y) !== at(x, y - 1)) found.add(`${x},${y}→${x + 1},${y}`)
      if (at(x, y) !== at(x - 1, y)) found.add(`${x},${y}→${x},${y + 1}`)
    }
  }
  return found
}

function unitEdges(segments) {
  const found = new Set()
  for (let i = 0; i < segments.length; i += 4) {
    const [x0, y0, x1, y1] = segments.slice(i, i + 4)
    for (let x = x0; x < x1; x++) found.add(`${x},${y0}→${x + 1},${y0}`)
    for (let y = y0; y < y1; y++) found.add(`${x0},${y}→${x0},${y + 1}`)
  }
  return found
}

test("the outline is exactly the edges of the mask, at the map's border too", () => {
  let seed = 5
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647
  for (const density of [0.1, 0.5, 0.95, 1]) {
    const [width, height] = [13, 9]
    const mask = Uint8Array.from({ length: width * height }, () => (random() < density ? 1 : 0))
    const segments = outlineSegments(mask, width, { x: 0, y: 0, width, height })
    assert.deepEqual(unitEdges(segments), edges(mask, width))
  }
})

test("straight edges are single segments", () => {
  const mask = new Uint8Array(100)
  for (let y = 2; y < 6; y++) mask.fill(1, y * 10 + 3, y * 10 + 8)
  const segments = outlineSegments(mask, 10, { x: 3, y: 2, width: 5, height: 4 })
  assert.equal(segments.length / 4, 4)
})

test("too many segments give none", () => {
  const mask = Uint8Array.from({ length: 400 }, (_, i) => (i + Math.floor(i / 20)) % 2)
  assert.equal(outlineSegments(mask, 20, { x: 0, y: 0, width: 20, height: 20 }, 50), null)
})
