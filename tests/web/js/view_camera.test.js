import assert from "node:assert/strict"
import { test } from "node:test"
import { Camera, MAX_ZOOM, MIN_ZOOM } from "../../../web/map_editor/view/camera.js"

test("zooming keeps the point under the pointer in place, down to the limits", () => {
  const camera = new Camera()
  camera.panBy(13, -7)
  for (const zoom of [0.5, 3, 1000, 0.0001, 2]) {
    const before = camera.toMap(200, 120)
    camera.zoomAt(zoom, 200, 120)
    const after = camera.toMap(200, 120)
    assert.ok(Math.abs(before.x - after.x) < 1e-9 && Math.abs(before.y - after.y) < 1e-9)
    assert.ok(camera.zoom >= MIN_ZOOM && camera.zoom <= MAX_ZOOM)
  }
})

test("screen and map are each other's inverse", () => {
  const camera = new Camera()
  camera.zoomAt(7.5, 31, 8)
  const there = camera.toScreen(12.25, 40.5)
  assert.deepEqual(camera.toMap(there.x, there.y), { x: 12.25, y: 40.5 })
})

test("a fitted map lies in the middle with its margin", () => {
  const camera = new Camera()
  camera.fit({ width: 200, height: 100 }, { width: 464, height: 600 })
  assert.equal(camera.zoom, 2)
  assert.deepEqual([camera.x, camera.y], [32, 200])
})

test("a map cannot be pushed out of sight", () => {
  const camera = new Camera()
  const [map, view] = [
    { width: 100, height: 100 },
    { width: 400, height: 300 },
  ]
  camera.panBy(5000, -5000)
  camera.keepInSight(map, view)
  assert.deepEqual([camera.x, camera.y], [400 - 48, 48 - 100])
})
