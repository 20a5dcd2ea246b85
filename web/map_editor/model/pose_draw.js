// @ts-check
/** Draws skeletons as training/data/skeletons.py does. */

import { COLOURS, LIMBS } from "./openpose.js"
import { FINER, Pen } from "./pen.js"
import { Raster, clip, union } from "./raster.js"

/** @typedef {import("./raster.js").Rect} Rect */
/** @typedef {import("./openpose.js").Skeleton} Skeleton */

/**
 * Draws skeletons on black.
 * @param {number} width @param {number} height @param {Skeleton[]} skeletons
 */
export function drawSkeletons(width, height, skeletons) {
  const raster = new Raster(width, height)
  penWith(width, height, skeletons).reduceTo(raster)
  return raster
}

/** @param {number} width @param {number} height @param {Skeleton[]} skeletons @param {Rect} [window] */
export function penWith(width, height, skeletons, window) {
  const pen = new Pen(width, height, window)
  for (const { points, radius = usualRadius(width, height) } of skeletons) {
    // half a pixel less, because places count from edges and pixels from their centres
    const finer = points.map((point) => point && point.map((at) => at * FINER - 0.5))
    const size = FINER * radius
    LIMBS.forEach(([a, b], limb) => {
      const [from, to] = [finer[a], finer[b]]
      const shade = /** @type {[number, number, number]} */ (
        COLOURS[limb].map((part) => Math.trunc(0.6 * part))
      )
      if (from && to) pen.line(from, to, 1.6 * size, shade)
    })
    finer.forEach((point, joint) => {
      if (point) pen.disc(point, size + 0.5, COLOURS[joint])
    })
  }
  return pen
}

/**
 * The usual radius of a joint: 4 pixels in a map of 512, as in ControlNet's annotator.
 * @param {number} width @param {number} height
 */
function usualRadius(width, height) {
  return Math.max(width, height) / 128
}

/**
 * Draws skeletons again where they changed; the lists have the same people in the same order. There the old drawing is
 * erased with one pixel around it, because found skeletons are not exact. The rest of the map, such as hands and faces,
 * stays.
 * @param {Raster} raster changed in place @param {Skeleton[]} before @param {Skeleton[]} after
 * @returns {Rect|null} what may have changed
 */
export function redrawSkeletons(raster, before, after) {
  const { width, height } = raster
  const window = changedBetween(before, after, width, height)
  if (!window) return null
  const cleared = penWith(width, height, before, window).erase(raster)
  return union(cleared, penWith(width, height, after, window).reduceTo(raster))
}

/**
 * The rectangle around the changed joints and the limbs that move with them.
 * @param {Skeleton[]} before @param {Skeleton[]} after @param {number} width @param {number} height
 */
function changedBetween(before, after, width, height) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity]
  for (let i = 0; i < Math.max(before.length, after.length); i++) {
    for (const joint of movedJoints(before[i], after[i])) {
      for (const { points, radius = usualRadius(width, height) } of [before[i], after[i]].filter(Boolean)) {
        const point = points[joint]
        if (!point) continue
        const margin = 2 * radius + 3
        ;[left, right] = [Math.min(left, point[0] - margin), Math.max(right, point[0] + margin)]
        ;[top, bottom] = [Math.min(top, point[1] - margin), Math.max(bottom, point[1] + margin)]
      }
    }
  }
  if (left > right) return null
  const [x, y] = [Math.floor(left), Math.floor(top)]
  return clip({ x, y, width: Math.ceil(right) - x, height: Math.ceil(bottom) - y }, width, height)
}

/** The joints that moved, and those that a limb connects to them. @param {Skeleton|undefined} a @param {Skeleton|undefined} b */
function movedJoints(a, b) {
  const joints = COLOURS.map((_, joint) => joint)
  if (!a || !b || a.radius !== b.radius) return new Set(joints)
  const moved = joints.filter((joint) => String(a.points[joint]) !== String(b.points[joint]))
  return new Set([...moved, ...LIMBS.filter((limb) => limb.some((joint) => moved.includes(joint))).flat()])
}
