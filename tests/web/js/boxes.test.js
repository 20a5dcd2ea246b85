// @ts-check
// The box picker's arithmetic: what is saved, the latent grid, pointer and keys.

import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { test } from "node:test"

import {
  edited,
  effectiveArea,
  guessedSize,
  newBox,
  readBoxes,
  readSeed,
  snapped,
  valueOf,
  withoutCompanions,
} from "../../../web/box_picker/boxes.js"
import { dragged, drawn, hit, moved, onKey, removed } from "../../../web/box_picker/gestures.js"
import { planEdit, scaleOf } from "../../../web/box_picker/window.js"

const PICTURE = { width: 200, height: 100 }
const CANVAS = { picture: PICTURE, token: 8 }
const BOX = { x: 20, y: 30, width: 40, height: 16 }
const OTHER = { x: 100, y: 10, width: 50, height: 50 }

test("one box is saved alone, several as a list, and read again", () => {
  assert.deepEqual(valueOf([BOX]), BOX)
  assert.deepEqual(readBoxes(BOX), [BOX])
  const two = [{ ...BOX, text: "a cat", seed: "7" }, OTHER]
  assert.deepEqual(valueOf(two), [{ ...BOX, text: "a cat", seed: 7 }, OTHER])
  assert.deepEqual(readBoxes(valueOf(two)), two)
  assert.deepEqual(valueOf([]), [])
})

test("a seed above 2^53 stays as it is", () => {
  const [largest, safe] = ["18446744073709551615", "9007199254740991"]
  assert.equal(/** @type {any} */ (valueOf([{ ...BOX, seed: largest }])).seed, largest)
  assert.equal(/** @type {any} */ (valueOf([{ ...BOX, seed: safe }])).seed, 9007199254740991)
  assert.equal(/** @type {any} */ (valueOf([{ ...BOX, seed: "9007199254740992" }])).seed, "9007199254740992")
  assert.equal(readBoxes({ ...BOX, seed: largest })[0].seed, largest)
  assert.equal(readBoxes({ ...BOX, seed: 0 })[0].seed, "0")
})

test("typed seeds are whole numbers of 64 bits", () => {
  assert.equal(readSeed(" 0042 "), "42")
  for (const text of ["", "-1", "1.5", "1e3", "seven", "18446744073709551616"])
    assert.equal(readSeed(text), null)
})

test("what is no box is left out, and halves of pixels are rounded", () => {
  const values = [null, undefined, "", 7, {}, { ...BOX, x: NaN }, { ...BOX, width: "9" }]
  for (const value of values) assert.deepEqual(readBoxes(value), [])
  assert.deepEqual(readBoxes([[{ ...BOX, x: 20.6 }]]), [{ ...BOX, x: 21 }])
  assert.deepEqual(readBoxes({ ...BOX, text: 7, seed: "x" }), [BOX])
})

test("the four numbers beside an old box are dropped, and nothing else", () => {
  const old = [BOX, 20, 30, 40, 16, true, 0, true, 512]
  assert.deepEqual(withoutCompanions(old, 0), [BOX, true, 0, true, 512])
  assert.deepEqual(withoutCompanions(["first", ...old], 1), ["first", BOX, true, 0, true, 512])
  const now = [BOX, true, 0, true, 512]
  assert.equal(withoutCompanions(now, 0), now)
  assert.deepEqual(withoutCompanions([[BOX, OTHER], true, 0, true, 0], 0), [[BOX, OTHER], true, 0, true, 0])
})

test("grid, growth and grades are those of core/small_objects/boxes.py", () => {
  const table = JSON.parse(readFileSync(new URL("../box_grades.json", import.meta.url), "utf8"))
  for (const { box, picture, settings, edited: expected, cells, grade } of table) {
    const found = edited(box, picture, settings)
    assert.deepEqual(found, expected)
    if (!found) continue
    const area = effectiveArea(found, settings)
    assert.deepEqual([area.across, area.down, area.grade], [...cells, grade])
  }
})

test("windows are those of core/small_objects/window.py", () => {
  const table = JSON.parse(readFileSync(new URL("../scaled_windows.json", import.meta.url), "utf8"))
  for (const { boxes, scene, window, size, edited, sampled } of table) {
    const plan = planEdit(boxes, scene)
    assert.deepEqual(plan?.window, window)
    assert.deepEqual([plan?.size.width, plan?.size.height], size)
    assert.deepEqual(plan?.edited, edited)
    assert.deepEqual(
      plan?.sampled.map((each) => each && [each.width, each.height]),
      sampled,
    )
  }
})

test("a scale is told by its size and factor, and no plan is made outside the picture", () => {
  const scale = { kind: /** @type {const} */ ("side"), amount: 512, modelSide: 512 }
  const settings = { picture: PICTURE, token: 8, levels: 4, snap: true, grow: 0, context: 64, scale }
  const plan = planEdit([BOX, { ...BOX, x: 999 }], settings)
  assert.equal(plan && scaleOf(plan), "512 × 512 px, 8×")
  assert.deepEqual(plan?.edited, [BOX, null])
  assert.equal(planEdit([{ ...BOX, x: 999 }], settings), null)
  const none = planEdit([BOX], { ...settings, scale: { ...scale, kind: "none" } })
  assert.equal(none && scaleOf(none), "64 × 64 px")
})

test("a snapped box lies on the grid and holds the box", () => {
  assert.deepEqual(snapped({ x: 7, y: 8, width: 2, height: 8 }, 8), { x: 0, y: 8, width: 16, height: 8 })
})

test("a new box is in the middle and large enough", () => {
  assert.deepEqual(newBox({ width: 512, height: 300 }, { token: 8, levels: 4 }), {
    x: 192,
    y: 86,
    width: 128,
    height: 128,
  })
  assert.deepEqual(newBox({ width: 64, height: 300 }, { token: 8, levels: 4 }), {
    x: 0,
    y: 86,
    width: 64,
    height: 128,
  })
})

test("an unknown picture is as large as the boxes", () => {
  assert.deepEqual(guessedSize([]), { width: 512, height: 512 })
  assert.deepEqual(guessedSize([BOX, { ...BOX, x: 900 }]), { width: 940, height: 512 })
})

test("a drawn box has whole pixels, any direction, and stays inside", () => {
  assert.deepEqual(drawn({ x: 10.4, y: 20.6 }, { x: 50.5, y: 60 }, PICTURE), {
    x: 10,
    y: 21,
    width: 41,
    height: 39,
  })
  assert.deepEqual(drawn({ x: 50, y: 60 }, { x: 10, y: 20 }, PICTURE), {
    x: 10,
    y: 20,
    width: 40,
    height: 40,
  })
  assert.deepEqual(drawn({ x: -5, y: 90 }, { x: 999, y: 400 }, PICTURE), {
    x: 0,
    y: 90,
    width: 200,
    height: 10,
  })
  assert.deepEqual(drawn({ x: 200, y: 100 }, { x: 200, y: 100 }, PICTURE), {
    x: 199,
    y: 99,
    width: 1,
    height: 1,
  })
})

test("every handle moves its own edges", () => {
  const drag = (/** @type {any} */ handle) => dragged(BOX, handle, { x: 0, y: 0 }, { x: 4, y: -3 }, PICTURE)
  assert.deepEqual(drag("move"), { x: 24, y: 27, width: 40, height: 16 })
  assert.deepEqual(drag("nw"), { x: 24, y: 27, width: 36, height: 19 })
  assert.deepEqual(drag("n"), { x: 20, y: 27, width: 40, height: 19 })
  assert.deepEqual(drag("ne"), { x: 20, y: 27, width: 44, height: 19 })
  assert.deepEqual(drag("e"), { x: 20, y: 30, width: 44, height: 16 })
  assert.deepEqual(drag("se"), { x: 20, y: 30, width: 44, height: 13 })
  assert.deepEqual(drag("s"), { x: 20, y: 30, width: 40, height: 13 })
  assert.deepEqual(drag("sw"), { x: 24, y: 30, width: 36, height: 13 })
  assert.deepEqual(drag("w"), { x: 24, y: 30, width: 36, height: 16 })
})

test("an edge dragged past the other turns the box over; text and seed stay", () => {
  const box = { ...BOX, text: "a cat", seed: "7" }
  assert.deepEqual(dragged(box, "w", { x: 20, y: 0 }, { x: 70, y: 0 }, PICTURE), { ...box, x: 60, width: 10 })
  assert.deepEqual(dragged(box, "e", { x: 60, y: 0 }, { x: 20, y: 0 }, PICTURE), { ...box, x: 20, width: 1 })
})

test("a moved box stays inside whole", () => {
  assert.deepEqual(moved(BOX, -99, 99, PICTURE), { ...BOX, x: 0, y: 84 })
  assert.deepEqual(moved({ ...BOX, width: 300 }, 5, 0, PICTURE), { ...BOX, x: 0, width: 300 })
})

test("the selected box's handles come first, then the smallest box around the point", () => {
  const boxes = [BOX, { x: 0, y: 0, width: 200, height: 100 }, OTHER]
  const at = (/** @type {number} */ x, /** @type {number} */ y, selected = -1) =>
    hit(boxes, selected, { x, y }, 4)
  assert.deepEqual(at(40, 38), { index: 0, handle: "move" })
  assert.deepEqual(at(20, 30), { index: 0, handle: "move" })
  assert.deepEqual(at(20, 30, 0), { index: 0, handle: "nw" })
  assert.deepEqual(at(17, 38, 0), { index: 0, handle: "w" })
  assert.deepEqual(at(40, 49, 0), { index: 0, handle: "s" })
  assert.deepEqual(at(40, 38, 0), { index: 0, handle: "move" })
  assert.deepEqual(at(5, 90, 0), { index: 1, handle: "move" })
  assert.deepEqual(hit([BOX], -1, { x: 5, y: 90 }, 4), null)
  assert.deepEqual(hit([BOX, { ...BOX }], -1, { x: 40, y: 38 }, 4)?.index, 1)
})

test("a box smaller than its handles can still be moved", () => {
  const tiny = { x: 50, y: 50, width: 8, height: 8 }
  assert.equal(hit([tiny], 0, { x: 54, y: 54 }, 20)?.handle, "move")
  assert.equal(hit([tiny], 0, { x: 45, y: 54 }, 20)?.handle, "w")
})

/** @param {any} pressed */
const press = (pressed, selected = 0, boxes = [BOX, OTHER]) => onKey(pressed, boxes, selected, CANVAS)

test("arrows move by a pixel, with Shift by a cell, and resize with Alt", () => {
  assert.deepEqual(press({ key: "ArrowLeft" })?.boxes[0], { ...BOX, x: 19 })
  assert.deepEqual(press({ key: "ArrowDown", shiftKey: true })?.boxes[0], { ...BOX, y: 38 })
  assert.deepEqual(press({ key: "ArrowRight", altKey: true })?.boxes[0], { ...BOX, width: 41 })
  assert.deepEqual(press({ key: "ArrowUp", altKey: true, shiftKey: true })?.boxes[0], { ...BOX, height: 8 })
  assert.deepEqual(
    press({ key: "ArrowUp", altKey: true, shiftKey: true }, 0, [{ ...BOX, height: 3 }])?.boxes[0].height,
    1,
  )
  assert.equal(press({ key: "ArrowUp", ctrlKey: true }), null)
})

test("Delete removes, Ctrl+D duplicates, Escape deselects", () => {
  assert.deepEqual(press({ key: "Delete" }), { boxes: [OTHER], selected: 0 })
  assert.deepEqual(press({ key: "Backspace" }, 1), { boxes: [BOX], selected: 0 })
  assert.deepEqual(removed([BOX], 0), { boxes: [], selected: -1 })
  const copy = { ...BOX, x: 28, y: 38 }
  assert.deepEqual(press({ key: "d", ctrlKey: true }), { boxes: [BOX, OTHER, copy], selected: 2 })
  assert.equal(press({ key: "d" }), null)
  assert.equal(press({ key: "Escape" })?.selected, -1)
})

test("Delete without a box stays with the picker, for the page would delete the node", () => {
  assert.deepEqual(press({ key: "Delete" }, -1), { boxes: [BOX, OTHER], selected: -1 })
})

test("Tab goes through the boxes, and past them on in the page", () => {
  assert.equal(press({ key: "Tab" }, -1)?.selected, 0)
  assert.equal(press({ key: "Tab" }, 0)?.selected, 1)
  assert.equal(press({ key: "Tab" }, 1), null)
  assert.equal(press({ key: "Tab", shiftKey: true }, 1)?.selected, 0)
  assert.equal(press({ key: "Tab", shiftKey: true }, 0), null)
})

test("without a selected box, and for other keys, nothing is the picker's", () => {
  for (const key of ["ArrowLeft", "d", "Escape"]) assert.equal(press({ key, ctrlKey: key === "d" }, -1), null)
  assert.equal(press({ key: "z", ctrlKey: true }), null)
})
