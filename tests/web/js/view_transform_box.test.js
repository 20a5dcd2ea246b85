import assert from "node:assert/strict"
import { test } from "node:test"
import {
  hit,
  inWholePixels,
  pointOf,
  rotated,
  scaled,
  turnHandle,
  unmoved,
} from "../../../web/map_editor/view/transform_box.js"

const box = { x: 10, y: 20, width: 40, height: 20 }
const near = (a, b) =>
  assert.ok(Math.hypot(a.x - b.x, a.y - b.y) < 1e-6, `${JSON.stringify(a)} is not ${JSON.stringify(b)}`)

test("pulling a corner scales and keeps the opposite one, turned or not", () => {
  for (const degrees of [0, 30, -120]) {
    const start = { ...unmoved(), degrees }
    const anchor = pointOf(box, start, -1, -1)
    const corner = pointOf(box, start, 1, 1)
    const to = { x: anchor.x + 2 * (corner.x - anchor.x), y: anchor.y + 2 * (corner.y - anchor.y) }
    const placed = scaled(box, start, { u: 1, v: 1 }, to, false)
    near(pointOf(box, placed, -1, -1), anchor)
    near(pointOf(box, placed, 1, 1), to)
    assert.ok(Math.abs(placed.scaleX - 2) < 1e-9 && Math.abs(placed.scaleY - 2) < 1e-9)
  }
})

test("pulling a side changes one direction, and both with the ratio kept", () => {
  const to = { x: 70, y: 5 }
  assert.deepEqual(
    [scaled(box, unmoved(), { u: 1, v: 0 }, to, false)].map((p) => [p.scaleX, p.scaleY]),
    [[1.5, 1]],
  )
  const kept = scaled(box, unmoved(), { u: 1, v: 0 }, to, true)
  assert.deepEqual([kept.scaleX, kept.scaleY], [1.5, 1.5])
})

test("a piece never gets smaller than a pixel", () => {
  const placed = scaled(box, unmoved(), { u: 1, v: 1 }, { x: -500, y: -500 }, false)
  assert.deepEqual([placed.scaleX * box.width, placed.scaleY * box.height], [1, 1])
})

test("the model's own rounding of a scaled piece's place is taken into account", () => {
  for (const handle of [
    { u: 1, v: 1 },
    { u: -1, v: -1 },
    { u: 1, v: -1 },
  ]) {
    for (const pull of [3, -5, 8, 11]) {
      const corner = pointOf(box, unmoved(), handle.u, handle.v)
      const to = { x: corner.x + handle.u * pull, y: corner.y + handle.v * pull }
      const placed = scaled(box, unmoved(), handle, to, false)
      const { dx, scaleX } = inWholePixels(box, placed)
      const width = box.width * scaleX
      const left = box.x + Math.trunc((box.width - width) / 2) + dx // as model/transform.js places it
      assert.equal(width, box.width + pull)
      assert.equal(handle.u > 0 ? left : left + width, handle.u > 0 ? box.x : box.x + box.width)
    }
  }
})

test("turning follows the pointer around the centre, in steps if wished", () => {
  const turned = rotated(box, unmoved(), { x: 30, y: 0 }, { x: 100, y: 30 }, false)
  assert.equal(turned.degrees, 90)
  assert.equal(rotated(box, unmoved(), { x: 30, y: 0 }, { x: 40, y: 0 }, true).degrees, 15)
})

test("handles come before the inside, and nothing lies beyond", () => {
  assert.deepEqual(hit(box, unmoved(), { x: 10, y: 20 }, 2, 8), { kind: "scale", u: -1, v: -1 })
  assert.deepEqual(hit(box, unmoved(), turnHandle(box, unmoved(), 8), 2, 8), { kind: "turn" })
  assert.deepEqual(hit(box, unmoved(), { x: 30, y: 30 }, 2, 8), { kind: "inside" })
  assert.equal(hit(box, unmoved(), { x: 60, y: 30 }, 2, 8), null)
})

test("small boxes offer their corners only, so that their inside can be held", () => {
  const small = { x: 0, y: 0, width: 10, height: 10 }
  assert.deepEqual(hit(small, unmoved(), { x: 5, y: 1 }, 3, 20), { kind: "inside" })
})
