import assert from "node:assert/strict"
import { test } from "node:test"
import { stroke } from "../../../web/map_editor/model/draw.js"
import { MapDocument } from "../../../web/map_editor/model/document.js"
import { Raster } from "../../../web/map_editor/model/raster.js"
import { allOf, box, regionAt } from "../../../web/map_editor/model/select.js"
import { drawn, ink, letters, marks, pieceOf, randomFrom } from "./helpers.js"

const SCENE = ["sssss", "scccs", "gcccg", "ggggg"]

function documentOf(rows, selected) {
  const document = new MapDocument(drawn(rows))
  if (selected) document.setSelection(allOf(document.raster, ink(selected)))
  return document
}

function selected(document) {
  return document.selection ? marks(document.selection, document.width) : null
}

test("a step is done, undone and redone, with its name", () => {
  const document = documentOf(["...", "..."])
  assert.ok(!document.canUndo && !document.undo())
  document.edit("Brush", (raster) => stroke(raster, [[1, 1]], 1, ink("x")))
  assert.deepEqual([document.canUndo, document.undoName, document.canRedo], [true, "Brush", false])
  assert.ok(document.undo())
  assert.deepEqual(letters(document.raster), ["...", "..."])
  assert.deepEqual([document.undoName, document.redoName], ["", "Brush"])
  assert.ok(document.redo())
  assert.deepEqual(letters(document.raster), ["...", ".x."])
})

test("after an undo another edit ends what could be redone", () => {
  const document = documentOf(["..."])
  for (const x of [0, 1]) document.edit(`at ${x}`, (raster) => stroke(raster, [[x, 0]], 1, ink("x")))
  document.undo()
  document.edit("other", (raster) => stroke(raster, [[2, 0]], 1, ink("y")))
  assert.ok(!document.redo())
  assert.deepEqual(letters(document.raster), ["x.y"])
})

test("a step that changes nothing leaves no trace, and keeps what can be redone", () => {
  const document = documentOf(["..."])
  document.edit("Brush", (raster) => stroke(raster, [[0, 0]], 1, ink("x")))
  document.undo()
  document.edit("Same", (raster) => stroke(raster, [[0, 0]], 1, ink(".")))
  document.setSelection(null)
  assert.deepEqual([document.canUndo, document.redoName], [false, "Brush"])
})

test("an edit that does not tell where it was is found out", () => {
  const document = documentOf(["....", "....", "...."])
  const rects = []
  document.edit("Somewhere", ({ data }) => void (data[6] = ink("x")))
  document.onChange((rect) => rects.push(rect))
  document.undo()
  assert.deepEqual(rects, [{ x: 2, y: 1, width: 1, height: 1 }])
})

test("an edit that fails leaves the map as it was", () => {
  const document = documentOf(["..."])
  const failing = (raster) => {
    raster.data[0] = ink("x")
    throw new Error("no")
  }
  assert.throws(() => document.edit("Bad", failing), /no/)
  assert.deepEqual([letters(document.raster), document.busy, document.canUndo], [["..."], false, false])
})

test("a stroke grows live and is one step", () => {
  const document = documentOf(["......"])
  document.begin("Brush")
  for (const x of [1, 2, 4]) document.preview((raster) => stroke(raster, [[x, 0]], 1, ink("x")))
  assert.ok(document.busy)
  document.commit()
  assert.deepEqual(letters(document.raster), [".xx.x."])
  document.undo()
  assert.deepEqual([letters(document.raster), document.canUndo], [["......"], false])
})

test("previews can be taken back, for a line that follows the mouse, or all be cancelled", () => {
  const document = documentOf(["......"])
  document.begin("Line")
  document.preview((raster) =>
    stroke(
      raster,
      [
        [0, 0],
        [5, 0],
      ],
      1,
      ink("x"),
    ),
  )
  document.restore()
  document.preview((raster) =>
    stroke(
      raster,
      [
        [0, 0],
        [1, 0],
      ],
      1,
      ink("x"),
    ),
  )
  assert.deepEqual(letters(document.raster), ["xx...."])
  document.cancel()
  assert.deepEqual([letters(document.raster), document.canUndo, document.busy], [["......"], false, false])
})

test("an undo in the middle of a stroke takes the stroke back", () => {
  const document = documentOf(["..."])
  document.begin("Brush")
  document.preview((raster) => stroke(raster, [[1, 0]], 1, ink("x")))
  assert.ok(document.undo())
  assert.deepEqual([letters(document.raster), document.redoName], [["..."], "Brush"])
})

test("listeners hear of pixels by their rectangle and of a selection by null", () => {
  const document = documentOf(["....", "...."])
  const heard = []
  const stop = document.onChange((rect) => heard.push(rect && rect.x))
  document.edit("Brush", (raster) => stroke(raster, [[2, 0]], 1, ink("x")))
  assert.ok(heard.some((x) => x !== null && x <= 2))
  heard.length = 0
  document.setSelection(box(4, 2, { x: 0, y: 0, width: 2, height: 1 }))
  assert.deepEqual(heard, [null])
  stop()
  document.undo()
  assert.equal(heard.length, 1)
})

test("selecting is a step too", () => {
  const document = documentOf(SCENE, "c")
  document.setSelection(null)
  assert.equal(selected(document), null)
  document.undo()
  assert.deepEqual(selected(document), [".....", ".###.", ".###.", "....."])
  assert.deepEqual(document.selectionBox, { x: 1, y: 1, width: 3, height: 2 })
  document.undo()
  assert.equal(selected(document), null)
})

test("a moved object leaves the nearest colours and stays selected", () => {
  const document = documentOf(SCENE, "c")
  document.move(1, 1)
  assert.deepEqual(letters(document.raster), ["sssss", "sssss", "ggccc", "ggccc"])
  assert.deepEqual(selected(document), [".....", ".....", "..###", "..###"])
  document.undo()
  assert.deepEqual(letters(document.raster), SCENE)
  assert.deepEqual(selected(document), [".....", ".###.", ".###.", "....."])
})

test("a drag shows every place and is one step", () => {
  const document = documentOf(["c.....", "......"], "c")
  document.float()
  for (const dx of [1, 4, 2]) {
    document.transform({ dx })
    assert.deepEqual(letters(document.raster)[0].indexOf("c"), dx)
    assert.equal(letters(document.raster).join("").split("c").length, 2)
  }
  assert.equal(document.floating.x, 2)
  document.commit()
  assert.deepEqual(
    [letters(document.raster)[0], document.undoName, document.floating],
    ["..c...", "Move", null],
  )
  document.undo()
  assert.equal(letters(document.raster)[0], "c.....")
})

test("a cancelled drag leaves pixels and selection as they were", () => {
  const document = documentOf(SCENE, "c")
  document.float()
  document.transform({ dx: 2, degrees: 90 })
  document.cancel()
  assert.deepEqual(letters(document.raster), SCENE)
  assert.deepEqual(selected(document), [".....", ".###.", ".###.", "....."])
  assert.equal(document.undoName, "Select")
})

test("what an object was dropped on comes back when it is picked up again", () => {
  const document = documentOf(["a.b..", "a.b.."], "a")
  document.move(2, 0)
  assert.deepEqual(letters(document.raster), ["..a..", "..a.."])
  document.move(1, 0)
  assert.deepEqual(letters(document.raster), ["..ba.", "..ba."])
  document.delete()
  assert.deepEqual(letters(document.raster), ["..b..", "..b.."])
})

test("what was done in between makes a dropped object part of the map", () => {
  const document = documentOf(["a.b..", "a.b.."], "a")
  document.move(2, 0)
  document.edit("Brush", (raster) => stroke(raster, [[4, 0]], 1, ink("x")))
  document.move(1, 0)
  assert.deepEqual(letters(document.raster), ["...ax", "...a."])
})

test("an object dragged over the edge comes back whole", () => {
  const document = documentOf(["....", ".ab.", "...."])
  document.setSelection(box(4, 3, { x: 1, y: 1, width: 2, height: 1 }))
  document.move(-2, 0)
  assert.deepEqual(letters(document.raster)[1], "b...")
  document.move(2, 0)
  assert.deepEqual(letters(document.raster)[1], ".ab.")
})

test("a dropped object can be sent behind what it covers, another one cannot", () => {
  const document = documentOf(["a.b..", "a.b.."], "a")
  assert.ok(!document.sendBehind([ink("b")]))
  document.paste(pieceOf(drawn(["pppp"]), 0, 1))
  assert.deepEqual(letters(document.raster), ["a.b..", "pppp."])
  assert.ok(document.sendBehind([ink("b")]))
  assert.deepEqual(letters(document.raster), ["a.b..", "ppbp."])
  assert.deepEqual(selected(document), [".....", "##.#."])
})

test("a duplicate leaves the object where it is and is selected", () => {
  const document = documentOf(["ab..", "...."], "a")
  document.duplicate(2, 1)
  assert.deepEqual(letters(document.raster), ["ab..", "..a."])
  assert.deepEqual(selected(document), ["....", "..#."])
})

test("objects are mirrored, turned, scaled, deleted and recoloured", () => {
  const pair = () => {
    const document = documentOf(["......", "..ab..", "......", "......"])
    document.setSelection(box(6, 4, { x: 2, y: 1, width: 2, height: 1 }))
    return document
  }
  const expected = {
    flip: [["horizontal"], ["......", "..ba..", "......", "......"]],
    rotate: [[90], ["......", "..a...", "..b...", "......"]],
    scale: [
      [2, 1],
      ["......", ".aabb.", "......", "......"],
    ],
    delete: [[], ["......", "......", "......", "......"]],
    recolour: [[ink("z")], ["......", "..zz..", "......", "......"]],
  }
  for (const [name, [given, rows]] of Object.entries(expected)) {
    const document = pair()
    document[name](...given)
    assert.deepEqual(letters(document.raster), rows, name)
    assert.ok(document.undo())
    assert.deepEqual(letters(document.raster), letters(document.base), name)
  }
})

test("without a selection nothing is done", () => {
  const document = documentOf(["ab"])
  document.move(1, 0)
  document.delete()
  document.recolour(ink("x"))
  assert.ok(!document.canUndo && !document.sendBehind([ink("a")]))
})

test("the whole map can be mirrored but not deleted", () => {
  const document = documentOf(["ab"])
  document.setSelection(new Uint8Array(2).fill(1))
  document.flip("horizontal")
  assert.deepEqual(letters(document.raster), ["ba"])
  document.undo()
  assert.throws(() => document.delete(), /whole map/)
  assert.ok(!document.busy)
})

test("a document starts from what was drawn earlier", () => {
  const document = new MapDocument(drawn(["aa"]), null, drawn(["ab"]))
  assert.deepEqual([letters(document.raster), document.canUndo], [["ab"], false])
  assert.deepEqual(letters(document.base), ["aa"])
})

test("thousands of edits are undone to the base and redone to the end, with every selection", () => {
  const random = randomFrom(4)
  const whole = (below) => Math.floor(random() * below)
  const [width, height] = [48, 40]
  const base = new Raster(
    width,
    height,
    Uint32Array.from({ length: width * height }, () => ink("abc"[whole(3)])),
  )
  const document = new MapDocument(base)
  const edits = [
    () =>
      document.edit("Brush", (raster) =>
        stroke(
          raster,
          [
            [whole(50), whole(40)],
            [whole(50), whole(40)],
          ],
          1 + whole(6),
          ink("d"),
        ),
      ),
    () => document.setSelection(regionAt(document.raster, whole(width), whole(height))),
    () =>
      document.setSelection(
        box(width, height, { x: whole(40), y: whole(30), width: 1 + whole(12), height: 1 + whole(12) }),
      ),
    () => document.setSelection(null),
    () => document.move(whole(21) - 10, whole(21) - 10),
    () => document.rotate(whole(360)),
    () => document.scale(0.5 + random(), 0.5 + random()),
    () => document.flip("vertical"),
    () => document.duplicate(whole(9), whole(9)),
    () => document.delete(),
    () => document.recolour(ink("efg"[whole(3)])),
    () => document.paste(pieceOf(drawn(["xy", "zx"]), whole(width), whole(height))),
    () => document.edit("Anywhere", ({ data }) => void (data[whole(data.length)] = ink("q"))),
    () => document.undo(),
  ]
  const state = () => [document.raster.data.slice(), document.selection?.slice() ?? null, document.undoName]
  for (let i = 0; i < 4000; i++) edits[whole(edits.length)]()
  const end = state()
  const steps = document.done.length
  assert.ok(steps > 1000, `${steps} steps`)

  const middle = []
  for (let i = 0; document.undo(); i++) if (i % 400 === 0) middle.push(state())
  assert.ok(document.raster.equals(base) && document.selection === null)
  let redone = 0
  for (; document.redo(); redone++) {
    const left = steps - redone - 1
    if (left % 400 === 1) assert.deepEqual(state(), middle[(left - 1) / 400])
  }
  assert.equal(redone, steps)
  assert.deepEqual(state(), end)
})
