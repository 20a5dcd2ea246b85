// @ts-check
// The pose tool drags the joints and the people of a pose map.

import { COLOURS, LIMBS, findSkeletons, redrawSkeletons } from "../model/pose.js"
import { figureAt, likelyPlace, movedBy, standing, withJoint } from "./pose_figure.js"

/**
 * @typedef {import("./editor.js").Editor} Editor
 * @typedef {import("./viewport.js").Viewport} Viewport
 * @typedef {import("./viewport.js").Pointer} Pointer
 * @typedef {import("./pose_figure.js").Skeleton} Skeleton
 */

const NEAR = 12 // CSS pixels around a joint that count as it
const LONGEST_FRAME = 12 // ms; if redrawing takes longer, only the lines follow the pointer until the release

export class PoseTool {
  /** @type {Skeleton[]} */
  people = []
  /** @type {{person: number, joint: number | null} | null} */
  chosen = null

  /** @param {Editor} editor @param {Viewport} viewport */
  constructor(editor, viewport) {
    this.editor = editor
    this.viewport = viewport
    editor.on("pixels map mode", () => this.own || this.#find())
  }

  /** @param {Pointer} at */
  down(at) {
    this.chosen = figureAt(this.people, LIMBS, at, NEAR / this.viewport.camera.zoom)
    this.from = this.chosen && at
    this.before = this.people
    this.editor.emit("pose")
  }

  /** @param {Pointer[]} path */
  move(path) {
    if (!this.from || !this.chosen) return
    const at = path[path.length - 1]
    const { document } = this.editor
    if (!document.busy) document.begin(this.#whole(at) ? "Move person" : "Move joint")
    this.people = this.#dragged(at)
    if ((this.took ?? 0) <= LONGEST_FRAME) this.#redraw()
    this.editor.emit("doing", "")
  }

  up() {
    this.from = undefined
    if (!this.editor.document.busy) return
    this.#redraw()
    this.editor.document.commit()
    this.editor.emit("doing", null)
  }

  cancel() {
    this.from = undefined
    if (!this.editor.document.busy) return
    this.editor.document.cancel()
    this.#find()
  }

  twice() {}

  /** @param {Pointer | null} at */
  hover(at) {
    const under = at && figureAt(this.people, LIMBS, at, NEAR / this.viewport.camera.zoom)
    this.viewport.element.style.cursor = !under ? "default" : under.joint === null ? "move" : "grab"
  }

  addPerson() {
    const { width, height } = this.editor.raster
    const radius = this.people[0]?.radius ?? Math.max(2, Math.max(width, height) / 128)
    const person = standing(width / 2, height / 2, 0.6 * height, radius)
    this.#edit("Add person", [...this.people, person])
    this.#choose({ person: this.people.length - 1, joint: null })
  }

  /** @param {number} person */
  deletePerson(person) {
    const kept = this.people.filter((_, i) => i !== person)
    this.#choose(null)
    this.#edit("Delete person", kept)
  }

  /** Hides a joint or shows it again. @param {number} person @param {number} joint */
  toggleJoint(person, joint) {
    const { points } = this.people[person]
    const place = points[joint] ? null : likelyPlace(this.people[person], joint)
    this.#edit(
      place ? "Show joint" : "Hide joint",
      this.#with(person, withJoint(this.people[person], joint, place)),
    )
    this.#choose({ person, joint: place ? joint : null })
  }

  /** Hides the chosen joint, or deletes the chosen person. */
  deleteChosen() {
    if (!this.chosen) return
    if (this.chosen.joint === null) this.deletePerson(this.chosen.person)
    else this.toggleJoint(this.chosen.person, this.chosen.joint)
  }

  /** Moves the chosen joint or person. @param {number} dx @param {number} dy */
  nudge(dx, dy) {
    if (!this.chosen) return
    const { person, joint } = this.chosen
    const point = joint === null ? null : this.people[person].points[joint]
    const moved = point
      ? withJoint(this.people[person], /** @type {number} */ (joint), [point[0] + dx, point[1] + dy])
      : movedBy(this.people[person], dx, dy)
    this.#edit("Nudge", this.#with(person, moved))
  }

  /** @param {number} person */
  choosePerson(person) {
    this.#choose({ person, joint: null })
  }

  /** @param {{context: CanvasRenderingContext2D, px: number}} pen */
  draw({ context, px }) {
    this.people.forEach(({ points }, person) => {
      const mine = this.chosen?.person === person
      context.lineWidth = (mine ? 2 : 1.25) * px
      context.strokeStyle = mine ? "#fff" : "rgba(255, 255, 255, .45)"
      context.beginPath()
      for (const [a, b] of LIMBS) {
        const [from, to] = [points[a], points[b]]
        if (!from || !to) continue
        context.moveTo(from[0], from[1])
        context.lineTo(to[0], to[1])
      }
      context.stroke()
      points.forEach((point, joint) => point && this.#drawJoint(context, px, point, joint, mine))
    })
  }

  #drawJoint(context, px, [x, y], joint, mine) {
    const held = mine && this.chosen?.joint === joint
    context.beginPath()
    context.arc(x, y, (held ? 8 : mine ? 6 : 4.5) * px, 0, 2 * Math.PI)
    context.fillStyle = `rgb(${COLOURS[joint].join(" ")})`
    context.strokeStyle = held || mine ? "#fff" : "rgba(255, 255, 255, .7)"
    context.lineWidth = (held ? 2.5 : 1.5) * px
    context.fill()
    context.stroke()
  }

  #find() {
    if (this.editor.mode !== "pose") return
    this.people = findSkeletons(this.editor.raster)
    if (this.chosen && this.chosen.person >= this.people.length) this.chosen = null
    this.editor.emit("pose")
  }

  #choose(chosen) {
    this.chosen = chosen
    this.editor.emit("pose")
  }

  /** @param {Pointer} at */
  #whole(at) {
    return this.chosen?.joint === null || at.shift
  }

  #dragged(at) {
    const { person, joint } = /** @type {{person: number, joint: number}} */ (this.chosen)
    const { x, y } = /** @type {Pointer} */ (this.from)
    const old = /** @type {Skeleton[]} */ (this.before)[person]
    const [dx, dy] = [at.x - x, at.y - y]
    const point = joint === null ? null : old.points[joint]
    const moved =
      this.#whole(at) || !point ? movedBy(old, dx, dy) : withJoint(old, joint, [point[0] + dx, point[1] + dy])
    return this.#with(person, moved)
  }

  #with(person, changed) {
    return this.people.map((old, i) => (i === person ? changed : old))
  }

  /** Draws the people as they are now instead of those before the drag. */
  #redraw() {
    const start = performance.now()
    const { document } = this.editor
    this.own = true
    document.restore()
    document.preview((raster) =>
      redrawSkeletons(raster, /** @type {Skeleton[]} */ (this.before), this.people),
    )
    this.own = false
    this.took = performance.now() - start
  }

  #edit(name, people) {
    const before = this.people
    this.own = true
    this.people = people
    this.editor.document.edit(name, (raster) => redrawSkeletons(raster, before, people))
    this.own = false
    this.editor.emit("pose")
  }
}
