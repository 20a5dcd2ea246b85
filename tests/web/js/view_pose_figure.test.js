import assert from "node:assert/strict"
import { test } from "node:test"
import {
  figureAt,
  likelyPlace,
  movedBy,
  standing,
  withJoint,
} from "../../../web/map_editor/view/pose_figure.js"

const LIMBS = [
  [1, 2],
  [1, 5],
  [2, 3],
  [3, 4],
]

test("somebody standing has the height and the middle that were asked for", () => {
  const { points } = standing(100, 200, 80, 3)
  assert.equal(points.length, 18)
  const ys = points.map(([, y]) => y)
  assert.ok(Math.min(...ys) >= 160 && Math.max(...ys) <= 240)
})

test("a joint is found before a limb, a limb means the whole person", () => {
  const people = [standing(100, 100, 120, 2), standing(300, 100, 120, 2)]
  const [x, y] = people[1].points[4]
  assert.deepEqual(figureAt(people, LIMBS, { x: x + 1, y }, 6), { person: 1, joint: 4 })
  const [[ax, ay], [bx, by]] = [people[0].points[2], people[0].points[3]]
  assert.deepEqual(figureAt(people, LIMBS, { x: (ax + bx) / 2, y: (ay + by) / 2 }, 4), {
    person: 0,
    joint: null,
  })
  assert.equal(figureAt(people, LIMBS, { x: 200, y: 10 }, 6), null)
})

test("a joint that comes back lies where it was on a body like the drawn one", () => {
  const moved = movedBy(standing(90, 120, 150, 3), 20, -5)
  const place = likelyPlace(withJoint(moved, 7, null), 7)
  const [x, y] = moved.points[7]
  assert.ok(Math.hypot(place[0] - x, place[1] - y) < 6)
})
