import assert from "node:assert/strict"
import { test } from "node:test"
import { guessMode, sketchColours } from "../../../web/map_editor/view/guess.js"

const pack = (r, g, b) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0
const made = (pixel) => Uint32Array.from({ length: 64 * 64 }, (_, i) => pixel(i % 64, Math.floor(i / 64)))

test("each kind of map is told from its pixels", () => {
  const line = (x, y) => Math.abs(x - y) < 2
  assert.equal(guessMode(made((x, y) => (line(x, y) ? pack(255, 255, 255) : pack(0, 0, 0)))), "sketch")
  assert.equal(guessMode(made((x, y) => (line(x, y) ? pack(0, 0, 0) : pack(255, 255, 255)))), "sketch")
  assert.equal(guessMode(made((x) => pack(x * 4, x * 4, x * 4))), "depth")
  assert.equal(guessMode(made((x, y) => (line(x, y) ? pack(255, 0, 85) : pack(0, 0, 0)))), "pose")
  assert.equal(guessMode(made((x, y) => pack(127 + x, 127 - y, 235))), "normal")
})

test("a sketch's ground is the colour of most of it", () => {
  const [black, white] = [pack(0, 0, 0), pack(255, 255, 255)]
  assert.deepEqual(sketchColours(made((x) => (x < 9 ? white : black))), { ground: black, line: white })
  assert.deepEqual(sketchColours(made((x) => (x < 9 ? black : white))), { ground: white, line: black })
})
