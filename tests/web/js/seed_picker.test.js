// @ts-check
import assert from "node:assert/strict"
import { test } from "node:test"

import * as logic from "../../../web/seed_picker/candidates.js"

const LARGE = "18446744073709551615" // 2^64 - 1, which a JavaScript number would round

function grid(seeds = ["7", "9", LARGE], pinned = null, seeded = true) {
  const candidates = seeds.map((seed, place) => ({
    rank: place + 1,
    seed,
    index: place,
    recall: [1, 0.5, 0][place] ?? 0,
    found: [["dog", "cat"], ["dog"], []][place] ?? [],
    missing: [[], ["cat"], ["dog", "cat"]][place] ?? [],
  }))
  const sheet = { filename: "sheet.png", subfolder: "", type: "temp" }
  return { sheet, columns: 2, width: 64, height: 48, seeded, pinned, candidates }
}

test("a saved value is auto or the digits of a seed", () => {
  for (const value of ["auto", " Auto ", "", null, undefined]) assert.equal(logic.readPin(value), "auto")
  assert.equal(logic.readPin(` ${LARGE} `), LARGE)
  assert.equal(logic.readPin(7), "7")
})

test("auto takes the best map, a pin the best map of its seed", () => {
  const { candidates } = grid(["7", "9", "9"])
  assert.equal(logic.takenPlace(candidates, "auto"), 0)
  assert.equal(logic.takenPlace(candidates, "9"), 1)
  assert.equal(logic.takenPlace(candidates, "8"), -1)
  assert.equal(logic.takenPlace([], "auto"), -1)
})

test("seeds of 64 bits are told apart", () => {
  const { candidates } = grid(["18446744073709551614", LARGE])
  assert.equal(logic.takenPlace(candidates, LARGE), 1)
})

test("a candidate is graded and told", () => {
  const { candidates } = grid()
  assert.deepEqual(candidates.map(logic.grade), ["all", "some", "none"])
  assert.equal(logic.described(candidates[1], true), "2. seed 9 · 50% · found dog · missing cat")
  assert.equal(logic.described(candidates[0], false), "1. index 7 · 100% · found dog, cat")
})

test("the maps are counted", () => {
  assert.equal(logic.summary(grid().candidates), "3 maps · best 100%")
  assert.equal(logic.summary(grid().candidates.slice(1, 2)), "1 map · best 50%")
  assert.equal(logic.summary([]), "No maps yet")
})

test("the status says what is taken and what is left to do", () => {
  const text = (/** @type {any[]} */ ...args) => logic.status(args[0], args[1], args[2] ?? false).text
  assert.equal(text(null, "auto"), "Auto takes the best map.")
  assert.equal(text(null, "9"), "Seed 9 is pinned.")
  assert.equal(text(grid(), "auto"), "Auto takes the best map.")
  assert.equal(text(grid(), "9"), "Seed 9 is pinned. Run the workflow to use it.")
  assert.equal(text(grid(undefined, "9"), "9"), "Seed 9 is pinned.")
  assert.equal(text(grid(undefined, "9"), "auto"), "Auto takes the best map. Run the workflow to use it.")
  assert.equal(text(grid(["0", "1"], "1", false), "1"), "Index 1 is pinned.")
  assert.equal(text(grid(), "9", true), "The link to pinned_seed chooses the map.")
  assert.equal(logic.status(grid(), "8", false).wrong, true)
})

test("thumbnails stand row by row in the sheet", () => {
  const tiles = [0, 1, 2].map((place) => logic.tileOf(grid(), place))
  assert.deepEqual(tiles, [
    { x: 0, y: 0, width: 64, height: 48 },
    { x: 64, y: 0, width: 64, height: 48 },
    { x: 0, y: 48, width: 64, height: 48 },
  ])
})

test("keys lead through the grid and stay in it", () => {
  // 0 1 2
  // 3 4 5
  // 6 7
  const after = (/** @type {string} */ key, /** @type {number} */ place) =>
    logic.placeAfterKey(key, place, 8, 3)
  assert.equal(after("ArrowDown", -1), 0)
  assert.deepEqual([after("ArrowRight", 2), after("ArrowLeft", 3), after("ArrowLeft", 0)], [3, 2, 0])
  assert.deepEqual([after("ArrowDown", 1), after("ArrowUp", 4), after("ArrowUp", 1)], [4, 1, 1])
  assert.deepEqual([after("ArrowDown", 5), after("ArrowDown", 7), after("ArrowRight", 7)], [7, 7, 7])
  assert.deepEqual([after("Home", 5), after("End", 0)], [0, 7])
  assert.equal(after("Enter", 3), null)
  assert.equal(logic.placeAfterKey("End", -1, 0, 3), null)
})
