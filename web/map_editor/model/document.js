// @ts-check
/** The document of the map editor: a map, its base, its palette, and the actions on selected objects. */

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
   * @param {Raster} [current] the base with an earlier drawing on it
   */
  constructor(base, palette = null, current = base) {
    super(current)
    this.base = base
    this.palette = palette
    /** @type {Floating|null} */
    this.floats = null
    /** The piece that was dropped last and what it covers. @type {{step: Step, piece: Piece, covered: Patch|null}|null} */
    this.dropped = null
  }

  /** The floating piece at its present place. @returns {Piece|null} */
  get floating() {
    return this.floats && this.floats.now
  }

  /**
   * Starts to move the selected pixels. Their hole takes the nearest values, or stays if they are the whole map.
   * @param {string} [name] of the step @param {{copy?: boolean}} [how] copy: the pixels also stay in place
   * @returns {Piece|null} null if nothing is selected
   */
  float(name = "Move", { copy = false } = {}) {
    this.settle()
    if (!this.selection) return null
    const piece = this.pickedUp?.piece ?? /** @type {Piece} */ (lift(this.raster, this.mask))
    const stays = copy || !this.mask.includes(0)
    return this.startFloating(name, piece, stays ? null : this.ground())
  }

  /** Starts to put a piece on the map. @param {Piece} piece @param {string} [name] */
  floatPiece(piece, name = "Paste") {
    this.settle()
    return this.startFloating(name, piece, null)
  }

  /**
   * Shows the floating piece with a transform of its original. The selection follows it.
   * @param {Transform} transform @param {Set<number>} [behind] values that stay in front of the piece
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

  /** Puts a copy of the selected pixels on the map and selects it. @param {number} dx @param {number} dy pixels */
  duplicate(dx, dy) {
    if (!this.float("Duplicate", { copy: true })) return
    this.transform({ dx, dy })
    this.commit()
  }

  /** Puts a piece on the map and selects it. @param {Piece} piece */
  paste(piece) {
    this.floatPiece(piece)
    this.commit()
  }

  /** Fills the selected pixels with the nearest values, unselects them. @throws {RangeError} if they are the whole map */
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
   * Sends the piece that was dropped last behind pixels of some values that it covers. What is behind other objects is
   * not known, so nothing else can be sent back.
   * @param {Iterable<number>} values packed @returns {boolean} whether the last step dropped a piece
   */
  sendBehind(values) {
    this.settle()
    if (!this.pickedUp || !this.float("Send behind")) return false
    this.transform({}, new Set(values))
    this.commit()
    return true
  }

  /** The piece that was dropped last, if nothing was done since. @private */
  get pickedUp() {
    return this.dropped && this.dropped.step === this.done.at(-1) ? this.dropped : null
  }

  /** The pixels that appear if the selected ones are removed. @private */
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
