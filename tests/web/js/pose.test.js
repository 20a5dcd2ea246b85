import assert from "node:assert/strict"
import { test } from "node:test"
import {
  COLOURS,
  LIMBS,
  NAMES,
  drawSkeletons,
  findSkeletons,
  redrawSkeletons,
} from "../../../web/map_editor/model/pose.js"
import { BLACK, Raster, WHITE, pack, unpack } from "../../../web/map_editor/model/raster.js"

/** Someone who stands with spread arms, in a box of 100 x 200. */
const STANDING = [
  [50, 25],
  [50, 48],
  [30, 50],
  [14, 75],
  [6, 100],
  [70, 50],
  [86, 75],
  [94, 100],
  [38, 105],
  [36, 145],
  [34, 185],
  [62, 105],
  [64, 145],
  [66, 185],
  [43, 18],
  [57, 18],
  [34, 22],
  [66, 22],
]

function standing(x, y, size = 1, hidden = []) {
  return STANDING.map((point, joint) =>
    hidden.includes(joint) ? null : [x + size * point[0], y + size * point[1]],
  )
}

/** Each skeleton of the one list is near one of the other. */
function assertFound(found, expected, within) {
  assert.equal(found.length, expected.length)
  for (const points of expected) {
    const far = (other) => Math.max(...points.map((point, joint) => gap(point, other.points[joint])))
    assert.ok(Math.min(...found.map(far)) <= within, `${Math.min(...found.map(far))} pixels off`)
  }
}

function gap(a, b) {
  if (!a && !b) return 0
  return a && b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : Infinity
}

test("there are 18 keypoints and 17 limbs between them", () => {
  assert.deepEqual([NAMES.length, COLOURS.length, LIMBS.length], [18, 18, 17])
})

test("a joint shows its colour and a limb a shade of its own", () => {
  const points = Array(18).fill(null)
  ;[points[2], points[3]] = [
    [8, 32],
    [56, 32],
  ]
  const map = drawSkeletons(64, 64, [{ points, radius: 3 }])
  assert.deepEqual(unpack(map.at(8, 32)), COLOURS[2])
  assert.deepEqual(unpack(map.at(32, 32)), [153, 102, 0])
  assert.equal(map.at(32, 40), BLACK)
})

for (const [size, within] of [
  [128, 2],
  [256, 1],
  [512, 1],
  [1024, 1],
]) {
  test(`people are found in a map of ${size} to ${within} px`, () => {
    const unit = size / 256
    const people = [standing(10 * unit, 20 * unit, unit), standing(140 * unit, 40 * unit, unit, [4, 10, 16])]
    assertFound(
      findSkeletons(
        drawSkeletons(
          size,
          size,
          people.map((points) => ({ points })),
        ),
      ),
      people,
      within,
    )
  })
}

test("one person is found in a map of 64 pixels, most joints to 2 px", () => {
  const points = standing(8, 2, 0.3)
  const [found] = findSkeletons(drawSkeletons(64, 64, [{ points }]))
  const near = points.filter((point, joint) => gap(point, found.points[joint]) <= 2)
  assert.ok(near.length >= 14, `${near.length} of 18`)
})

test("the radius is found too, so that drawing again makes the same map", () => {
  const map = drawSkeletons(256, 256, [{ points: standing(60, 30), radius: 3.5 }])
  const found = findSkeletons(map)
  assert.ok(Math.abs(found[0].radius - 3.5) <= 0.25, `${found[0].radius}`)
})

test("people whose middle is hidden stay one, and those next to each other two", () => {
  const people = [standing(5, 20, 1, [1]), standing(110, 20, 1, [8, 11])]
  assertFound(
    findSkeletons(
      drawSkeletons(
        256,
        256,
        people.map((points) => ({ points })),
      ),
    ),
    people,
    1,
  )
})

test("faces and hands are not taken for joints", () => {
  const points = standing(60, 30)
  const map = drawSkeletons(256, 256, [{ points }])
  for (const [x, y] of [
    [104, 60],
    [110, 66],
    [116, 60],
  ])
    map.data[y * 256 + x] = WHITE
  for (let finger = 0; finger < 5; finger++) {
    for (let row = 0; row < 4; row++)
      map.data.fill(pack(0, 0, 255), (150 + row + 6 * finger) * 256 + 30, (150 + row + 6 * finger) * 256 + 34)
  }
  assertFound(findSkeletons(map), [points], 1)
})

test("in an empty map there is nobody", () => {
  assert.deepEqual(findSkeletons(new Raster(64, 64)), [])
  assert.deepEqual(findSkeletons(new Raster(64, 64, new Uint32Array(64 * 64).fill(WHITE))), [])
})

test("a joint is dragged without a trace, and what else was drawn stays", () => {
  const people = [{ points: standing(60, 30), radius: 2 }]
  const map = drawSkeletons(256, 256, people)
  map.data[5] = WHITE
  const found = findSkeletons(map)
  const [after] = found.map((person) => ({ ...person, points: person.points.with(4, [30, 40]) }))
  const rect = redrawSkeletons(map, found, [after])
  const expected = drawSkeletons(256, 256, [after])
  expected.data[5] = WHITE
  const shade = (value) => Math.max(...unpack(value))
  map.data.forEach((value, at) => {
    assert.ok(shade(value) <= shade(expected.data[at]) + 40, "a trace is left")
    assert.ok(shade(value) >= shade(expected.data[at]) - 40, "something is missing")
  })
  assert.ok(rect.x <= 30 && rect.y > 0 && rect.x + rect.width < 200)
})
