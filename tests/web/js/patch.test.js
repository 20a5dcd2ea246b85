import assert from "node:assert/strict"
import { test } from "node:test"
import {
  applied,
  apply,
  decodePng,
  drawingOf,
  encodePng,
  fromBase64,
  patchOf,
  sha256,
  toBase64,
} from "../../../web/map_editor/model/patch.js"
import { Raster } from "../../../web/map_editor/model/raster.js"
import { sha256 as hashed } from "../../../web/map_editor/model/sha256.js"
import { drawn, ink, letters, randomFrom } from "./helpers.js"

test("a patch holds the changed pixels and keeps the others", () => {
  const [base, current] = [drawn(["aaaa", "aaaa", "aaaa"]), drawn(["aaaa", "abaa", "aaca"])]
  const patch = patchOf(base, current)
  assert.deepEqual([patch.x, patch.y], [1, 1])
  assert.deepEqual([...patch.raster.data], [ink("b"), 0, 0, ink("c")])
  assert.ok(apply(base, patch).equals(current))
  assert.equal(patchOf(base, base.clone()), null)
})

test("a patch lies on other maps too, what of it is inside", () => {
  const patch = { x: 1, y: -1, raster: drawn(["bb", "cc"]) }
  assert.deepEqual(letters(apply(drawn(["aa", "aa"]), patch)), ["ac", "aa"])
  assert.deepEqual(letters(apply(drawn(["aa"]), { ...patch, x: 9 })), ["aa"])
})

test("a drawing survives base64 and PNG", async () => {
  const random = randomFrom(3)
  const base = new Raster(40, 30)
  const current = new Raster(
    40,
    30,
    base.data.map((value) => (random() < 0.3 ? (random() * 2 ** 24 + 0xff000000) >>> 0 : value)),
  )
  const drawing = await drawingOf(base, current)
  assert.deepEqual([drawing.width, drawing.height, drawing.base], [40, 30, await sha256(base)])
  assert.ok((await applied(base, JSON.parse(JSON.stringify(drawing)))).equals(current))
  assert.equal(await drawingOf(base, base), null)
})

test("hashes are SHA-256, with and without the browser's", async () => {
  const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
  const bytes = new TextEncoder().encode("abc")
  assert.equal(await hashed(bytes), abc)
  assert.equal(await hashed(bytes, null), abc)
})

test("PNG keeps what is transparent to the bit", async () => {
  const raster = new Raster(
    3,
    2,
    Uint32Array.of(0x00123456, 0x80ffffff, 0, 0xffffffff, 0x01fefdfc, 0xff000000),
  )
  assert.ok((await decodePng(await encodePng(raster))).equals(raster))
})

test("a flat map makes a small file", async () => {
  const png = await encodePng(drawn(Array(512).fill("a".repeat(256) + "b".repeat(256))))
  assert.ok(png.length < 4000, `${png.length} bytes`)
})

test("files that are no PNG, end early or are of another kind are refused", async () => {
  const png = await encodePng(drawn(["ab"]))
  await assert.rejects(decodePng(new Uint8Array(20)), /no PNG/)
  await assert.rejects(decodePng(png.subarray(0, 60)), /ends early/)
  const deep = png.slice()
  deep[24] = 16
  await assert.rejects(decodePng(deep), /16 bits.*save it with 8 bits/)
  const broken = png.slice()
  broken[45] ^= 255
  await assert.rejects(decodePng(broken))
})

test("base64 carries every byte, also of large files", () => {
  const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7) % 256)
  assert.deepEqual(fromBase64(toBase64(bytes)), bytes)
})

test("a file is not unpacked past what it may hold", async () => {
  const claiming = async (/** @type {number} */ width) => {
    const file = await encodePng(new Raster(5000, 1))
    new DataView(file.buffer).setUint32(16, width)
    return decodePng(file)
  }
  await assert.rejects(claiming(1), /not the 5 bytes/)
  await assert.rejects(claiming(6000), /not the 24001 bytes/)
  await assert.rejects(claiming(2 ** 31), /at most 134217728 in all/)
})
