// @ts-check
/** A map whose pixels and selection change in steps that can be undone and redone without limit. */

import { applyDelta, deltaOf } from "./delta.js"
import { Raster, copyRect, maskBox, union } from "./raster.js"

/** @typedef {import("./raster.js").Mask} Mask */
/** @typedef {import("./raster.js").Rect} Rect */
/** @typedef {import("./delta.js").Delta} Delta */
/** @typedef {{name: string, pixels: Delta|null, selected: Delta|null}} Step */

export class SteppedMap {
  /** @param {Raster} raster the map at the start, not changed here */
  constructor(raster) {
    this.width = raster.width
    this.height = raster.height
    /** The map as it is now. Change it only in `edit` and `preview`. */
    this.raster = raster.clone()
    /** The map without the open step. */
    this.settled = raster.clone()
    this.mask = new Uint8Array(raster.data.length)
    this.settledMask = this.mask.slice()
    /** The rectangle around the selection. @type {Rect|null} */
    this.selectionBox = null
    /** @type {Step[]} */
    this.done = []
    /** @type {Step[]} */
    this.undone = []
    /**
     * The open step, and where it changed pixels and selection.
     * @type {{name: string, rect: Rect|null, selected: Rect|null}|null}
     */
    this.open = null
    /** @type {Set<(rect: Rect|null) => void>} */
    this.listeners = new Set()
  }

  /** The selected pixels (do not change them); null if there are none. @returns {Mask|null} */
  get selection() {
    return this.selectionBox && this.mask
  }

  /**
   * Calls a listener after every change, with the rectangle whose pixels changed, or null if only the selection or the
   * history did.
   * @param {(rect: Rect|null) => void} listener @returns {() => void} stops the calls
   */
  onChange(listener) {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  get canUndo() {
    return this.done.length > 0
  }

  get canRedo() {
    return this.undone.length > 0
  }

  /** The name of the step that `undo` takes back, "" if there is none. */
  get undoName() {
    return this.done.at(-1)?.name ?? ""
  }

  /** The name of the step that `redo` repeats, "" if there is none. */
  get redoName() {
    return this.undone.at(-1)?.name ?? ""
  }

  /** Whether a step is open. */
  get busy() {
    return this.open !== null
  }

  /** Takes back the last step, also an open one. Returns whether there was one. */
  undo() {
    this.settle()
    return this.replay(this.done, this.undone)
  }

  /** Repeats the step that was taken back last. Returns whether there was one. */
  redo() {
    this.settle()
    return this.replay(this.undone, this.done)
  }

  /**
   * Changes the map in one step.
   * @param {string} name for undo and redo
   * @param {(raster: Raster) => Rect|null|void} change works in place and returns the rectangle that it changed; if it
   * returns nothing, the whole map is compared
   */
  edit(name, change) {
    this.begin(name)
    try {
      this.preview(change)
    } catch (error) {
      this.open = { ...this.underWay(), rect: this.whole }
      this.cancel()
      throw error
    }
    this.commit()
  }

  /** Opens a step that is shown while it grows. An open step is committed first. @param {string} name */
  begin(name) {
    this.settle()
    this.open = { name, rect: null, selected: null }
  }

  /** Continues a step from where the last preview ended. @param {(raster: Raster) => Rect|null|void} change */
  preview(change) {
    const open = this.underWay()
    const changed = change(this.raster)
    const rect = changed === undefined ? this.whole : changed
    open.rect = union(open.rect, rect)
    if (rect) this.notify(rect)
  }

  /** Takes back the previews of the open step. */
  restore() {
    const open = this.underWay()
    const { rect } = open
    if (!rect) return
    copyRect(rect, this.settled, this.raster)
    open.rect = null
    this.notify(rect)
  }

  /** Ends a step, which can then be undone. @returns {Step|null} null if it changed nothing and was dropped */
  commit() {
    const { name, rect, selected } = this.underWay()
    const pixels = rect && deltaOf(this.settled.data, this.raster.data, this.width, rect)
    const choice = selected && deltaOf(this.settledMask, this.mask, this.width, selected)
    this.open = null
    if (pixels) applyDelta(this.settled.data, this.width, pixels)
    if (choice) applyDelta(this.settledMask, this.width, choice)
    if (selected) this.selectionBox = maskBox(this.mask, this.width)
    if (!pixels && !choice) return null
    const step = { name, pixels, selected: choice }
    this.done.push(step)
    this.undone = []
    this.notify(null)
    return step
  }

  /** Ends a step and takes it back without a trace. */
  cancel() {
    this.restore()
    const { selected } = this.underWay()
    this.open = null
    if (!selected) return
    this.mask.set(this.settledMask)
    this.selectionBox = maskBox(this.mask, this.width)
    this.notify(null)
  }

  /**
   * Selects pixels, in a step of its own.
   * @param {Mask|null} mask null for none @param {string} [name]
   */
  setSelection(mask, name = "Select") {
    this.begin(name)
    this.choose(mask)
    this.commit()
  }

  /** Selects pixels in the open step. @param {Mask|null} mask @protected */
  choose(mask) {
    const open = this.underWay()
    const box = mask && maskBox(mask, this.width)
    open.selected = union(open.selected, union(this.selectionBox, box))
    if (mask) this.mask.set(mask)
    else this.mask.fill(0)
    this.selectionBox = box
  }

  /** Commits the open step. @protected */
  settle() {
    if (this.busy) this.commit()
  }

  /** @protected */
  underWay() {
    if (!this.open) throw new Error("no step is under way; begin one first")
    return this.open
  }

  /** @protected */
  get whole() {
    return { x: 0, y: 0, width: this.width, height: this.height }
  }

  /** @param {Rect|null} rect @protected */
  notify(rect) {
    for (const listener of this.listeners) listener(rect)
  }

  /** @param {Step[]} from @param {Step[]} to @private */
  replay(from, to) {
    const step = from.pop()
    if (!step) return false
    to.push(step)
    const { pixels, selected } = step
    if (pixels) for (const { data } of [this.raster, this.settled]) applyDelta(data, this.width, pixels)
    if (selected) for (const mask of [this.mask, this.settledMask]) applyDelta(mask, this.width, selected)
    if (selected) this.selectionBox = maskBox(this.mask, this.width)
    this.notify(pixels?.rect ?? null)
    return true
  }
}
