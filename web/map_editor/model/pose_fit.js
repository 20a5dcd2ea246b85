// @ts-check
/** Fits a found skeleton to the map: it is drawn, and each small change that brings it closer to the map is kept. */

import { penWith } from "./pose_draw.js"
import { BLACK, Raster, clip } from "./raster.js"

/** @typedef {import("./openpose.js").Skeleton} Skeleton */
/** @typedef {Required<Skeleton>} Found */

/** Compares drawings of a skeleton with the part of the map around it. */
export class Fit {
  /** @param {Raster} raster @param {Found} skeleton the first guess, replaced by better ones */
  constructor(raster, skeleton) {
    const points = skeleton.points.filter((point) => point !== null)
    const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)]
    const margin = 2 * skeleton.radius + 4
    const [x, y] = [Math.floor(Math.min(...xs) - margin), Math.floor(Math.min(...ys) - margin)]
    const box = {
      x,
      y,
      width: Math.ceil(Math.max(...xs) + margin) - x,
      height: Math.ceil(Math.max(...ys) + margin) - y,
    }
    this.rect = clip(box, raster.width, raster.height) ?? { x: 0, y: 0, width: 1, height: 1 }
    this.target = raster.crop(this.rect)
    this.canvas = new Raster(this.rect.width, this.rect.height)
    this.best = skeleton
    this.error = this.errorOf(skeleton)
  }

  /** Finds the radius of the drawn joints, to an eighth of a pixel. */
  fitRadius() {
    for (const step of [0.5, 0.125]) {
      const { radius } = this.best
      for (const change of [-3, -2, -1, 1, 2, 3])
        this.try({ ...this.best, radius: Math.max(0.5, radius + change * step) })
    }
  }

  /** Moves each joint, by a few pixels at most, to where it is drawn. */
  fitPlaces() {
    for (const step of [1, 0.5, 0.25]) {
      for (let round = 0, before = Infinity; round < 4 && this.error < before; round++) {
        before = this.error
        this.best.points.forEach((_, joint) => this.nudge(joint, step))
      }
    }
  }

  /** @param {number} joint @param {number} step */
  nudge(joint, step) {
    for (const [dx, dy] of [
      [0, -1],
      [-1, 0],
      [1, 0],
      [0, 1],
      [-1, -1],
      [1, -1],
      [-1, 1],
      [1, 1],
    ]) {
      const point = this.best.points[joint]
      if (point)
        this.try({
          ...this.best,
          points: this.best.points.with(joint, [point[0] + dx * step, point[1] + dy * step]),
        })
    }
  }

  /** Keeps a skeleton if it is closer to the map. @param {Found} skeleton */
  try(skeleton) {
    const error = this.errorOf(skeleton)
    if (error >= this.error) return
    this.error = error
    this.best = skeleton
  }

  /** @param {Found} skeleton */
  errorOf({ points, radius }) {
    const { x, y, width, height } = this.rect
    const moved = points.map(
      (point) => point && /** @type {[number, number]} */ ([point[0] - x, point[1] - y]),
    )
    this.canvas.data.fill(BLACK)
    penWith(width, height, [{ points: moved, radius }]).reduceTo(this.canvas)
    const [a, b] = [this.canvas.bytes, this.target.bytes]
    let error = 0
    for (let i = 0; i < a.length; i++) error += Math.abs(a[i] - b[i])
    return error
  }
}
