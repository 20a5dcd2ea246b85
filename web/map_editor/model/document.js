// @ts-check
/** The document of the map editor: a map, its base, its palette, and what is done with the selected objects. */

import { fillMask } from "./draw.js"
import { filledGround, filledHole } from "./fill.js"
import { Floating, rectOf } from "./floating.js"
import { union } from "./raster.js"
import { SteppedMap } from "./stepped_map.js"
import { lift } from "./transform.js"

/** @typedef {import("./raster.js").Raster} Raster */
/** @typedef {import("./palette.js").Palette} Palette */
/** @typedef {import("./stepped_map.js").Step} Step */
/** @typedef {import("./floating.js").Patch} Patch */
/** @typedef {import("./transform.js").Piece} Piece */
/** @typedef {import("./transform.js").Transform} Transform */

export class MapDocument extends SteppedMap {
  /**
   * @param {Raster} base never changed @param {Palette|null} [palette] of a segmentation map
   * @param {Raster} [current] the base with what was drawn on it earlier
   */
  constructor(base, palette = null, current = base) {
    super(current)
    this.base = base
    this.palette = palette
    /** @type {Floating|null} */
    this.floats = null
    /** What was dropped last and what it covers. @type {{step: Step, piece: Piece, covered: Patch|null}|null} */
    this.dropped = null
  }

  /** The piece that floats, as it lies now. @returns {Piece|null} */
  get floating() {
    return this.floats && this.floats.now
  }

  /**
   * Begins to move the selected pixels; what they leave takes the nearest values, or stays if they are the whole map.
   * @param {string} [name] of the step @param {{copy?: boolean}} [how] copy: the pixels also stay where they are
   * @returns {Piece|null} null when nothing is selected
   */
  float(name = "Move", { copy = false } = {}) {
    this.settle()
    if (!this.selection) return null
    const piece = this.pickedUp?.piece ?? /** @type {Piece} */ (lift(this.raster, this.mask))
    const stays = copy || !this.mask.includes(0)
    return this.startFloating(name, piece, stays ? null : this.ground())
  }

  /** Begins to lay a piece on the map. @param {Piece} piece @param {string} [name] */
  floatPiece(piece, name = "Paste") {
    this.settle()
    return this.startFloating(name, piece, null)
  }

  /**
   * Shows the floating piece changed from how it was when it began to float. The selection follows it.
   * @param {Transform} transform @param {Set<number>} [behind] values that stay before the piece
   */
  transform(transform, behind) {
    const open = this.underWay()
    const floats = /** @type {Floating} */ (this.floats)
    this.preview((raster) => {
      const changed = floats.show(raster, transform, behind)
      const box = floats.seen
      open.selected = union(open.selected, union(this.selectionBox, box))
      this.unselect()
      floats.select(this.mask, raster)
      this.selectionBox = box
      return changed
    })
  }

  commit() {
    const floats = this.floats
    const covered = floats && floats.covered()
    this.floats = null
    const step = super.commit()
    if (step) this.dropped = floats && { step, piece: floats.now, covered }
    return step
  }

  cancel() {
    this.floats = null
    super.cancel()
  }

  /** @param {number} dx @param {number} dy pixels */
  move(dx, dy) {
    this.change("Move", { dx, dy })
  }

  /** @param {number} scaleX @param {number} [scaleY] */
  scale(scaleX, scaleY = scaleX) {
    this.change("Scale", { scaleX, scaleY })
  }

  /** @param {number} degrees clockwise */
  rotate(degrees) {
    this.change("Rotate", { degrees })
  }

  /** @param {"horizontal"|"vertical"} direction horizontal: left and right change places */
  flip(direction) {
    this.change("Flip", direction === "horizontal" ? { flipX: true } : { flipY: true })
  }

  /** Lays a copy of the selected pixels, which is then selected. @param {number} dx @param {number} dy pixels */
  duplicate(dx, dy) {
    if (!this.float("Duplicate", { copy: true })) return
    this.transform({ dx, dy })
    this.commit()
  }

  /** Lays a piece on the map, which is then selected. @param {Piece} piece */
  paste(piece) {
    this.floatPiece(piece)
    this.commit()
  }

  /** Gives the selected pixels the nearest values, and unselects them. @throws {RangeError} when they are the whole map */
  delete() {
    this.settle()
    if (!this.selection) return
    const ground = this.ground()
    this.begin("Delete")
    this.preview((raster) => {
      if (!ground) return null
      raster.put(ground.raster, ground.x, ground.y)
      return rectOf(ground)
    })
    this.choose(null)
    this.commit()
  }

  /** @param {number} value packed */
  recolour(value) {
    this.settle()
    if (this.selection) this.edit("Recolour", (raster) => fillMask(raster, this.mask, value))
  }

  /**
   * Sends what was dropped last behind pixels of some values that it covers. What an object hides that was there from
   * the start is not known, so nothing else can be sent behind anything.
   * @param {Iterable<number>} values packed @returns {boolean} whether something was dropped last
   */
  sendBehind(values) {
    this.settle()
    if (!this.pickedUp || !this.float("Send behind")) return false
    this.transform({}, new Set(values))
    this.commit()
    return true
  }

  /** What was dropped last, as long as nothing was done since. @private */
  get pickedUp() {
    return this.dropped && this.dropped.step === this.done.at(-1) ? this.dropped : null
  }

  /** What comes to light where the selected pixels are taken away. @private */
  ground() {
    if (this.pickedUp) return this.pickedUp.covered
    return this.palette ? filledGround(this.raster, this.mask) : filledHole(this.raster, this.mask)
  }

  /** @param {string} name @param {Piece} piece @param {Patch|null} hole @private */
  startFloating(name, piece, hole) {
    this.begin(name)
    this.floats = new Floating(piece, this.settled, hole)
    this.transform({})
    return piece
  }

  /** @param {string} name @param {Transform} transform @private */
  change(name, transform) {
    if (!this.float(name)) return
    this.transform(transform)
    this.commit()
  }

  /** @private */
  unselect() {
    const box = this.selectionBox
    for (let y = box?.y ?? 0; box && y < box.y + box.height; y++) {
      const start = y * this.width + box.x
      this.mask.fill(0, start, start + box.width)
    }
  }
}
