// @ts-check
// The geometry of a person's skeleton: a standing figure, hit tests, moves. No DOM.

/**
 * @typedef {[number, number]} Point
 * @typedef {{points: (Point | null)[], radius: number}} Skeleton of OpenPose's 18 keypoints, see model/pose.js
 * @typedef {{x: number, y: number}} Place
 */

// A person who stands, seen from the front: across and down in heights of the person, from the neck.
const STANDING = [
  [0, -0.12],
  [0, 0],
  [-0.1, 0.01],
  [-0.15, 0.17],
  [-0.17, 0.32],
  [0.1, 0.01],
  [0.15, 0.17],
  [0.17, 0.32],
  [-0.06, 0.34],
  [-0.07, 0.58],
  [-0.08, 0.82],
  [0.06, 0.34],
  [0.07, 0.58],
  [0.08, 0.82],
  [-0.02, -0.14],
  [0.02, -0.14],
  [-0.05, -0.13],
  [0.05, -0.13],
]
const TOP = 0.16 // from the neck to the top of the head

/**
 * @param {number} x of the centre
 * @param {number} y of the centre
 * @param {number} height map pixels
 * @param {number} radius of its joints
 * @returns {Skeleton}
 */
export function standing(x, y, height, radius) {
  const neck = y - height / 2 + TOP * height
  const points = STANDING.map(([u, v]) => /** @type {Point} */ ([x + u * height, neck + v * height]))
  return { points, radius }
}

/** @param {Skeleton} person @param {number} dx @param {number} dy @returns {Skeleton} */
export function movedBy(person, dx, dy) {
  return { ...person, points: person.points.map((point) => point && [point[0] + dx, point[1] + dy]) }
}

/** @param {Skeleton} person @param {number} joint @param {Point | null} point null hides it @returns {Skeleton} */
export function withJoint(person, joint, point) {
  return { ...person, points: person.points.map((old, i) => (i === joint ? point : old)) }
}

/**
 * A place for a hidden joint: where it is on a standing figure that is fitted to the visible joints.
 * @param {Skeleton} person
 * @param {number} joint
 * @returns {Point}
 */
export function likelyPlace(person, joint) {
  const shown = person.points.flatMap((point, i) => (point ? [{ point, model: STANDING[i] }] : []))
  if (!shown.length) return [0, 0]
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / shown.length
  const [x, y] = [0, 1].map((axis) => mean(shown.map(({ point }) => point[axis])))
  const [u, v] = [0, 1].map((axis) => mean(shown.map(({ model }) => model[axis])))
  const spread = mean(shown.map(({ point }) => Math.hypot(point[0] - x, point[1] - y)))
  const reach = mean(shown.map(({ model }) => Math.hypot(model[0] - u, model[1] - v)))
  const height = reach > 0 && spread > 0 ? spread / reach : 20 * person.radius
  return [x + (STANDING[joint][0] - u) * height, y + (STANDING[joint][1] - v) * height]
}

/**
 * @param {Skeleton[]} people
 * @param {number[][]} limbs pairs of joints
 * @param {Place} at
 * @param {number} near map pixels
 * @returns {{person: number, joint: number | null} | null} the nearest joint, or else the person whose limb is there
 */
export function figureAt(people, limbs, at, near) {
  let best = { distance: near, person: -1, joint: -1 }
  people.forEach(({ points }, person) =>
    points.forEach((point, joint) => {
      const distance = point ? Math.hypot(point[0] - at.x, point[1] - at.y) : Infinity
      if (distance <= best.distance) best = { distance, person, joint }
    }),
  )
  if (best.person >= 0) return { person: best.person, joint: best.joint }
  for (const [person, { points, radius }] of people.entries()) {
    for (const [a, b] of limbs) {
      const [from, to] = [points[a], points[b]]
      if (from && to && fromLine(at, from, to) <= Math.max(near * 0.7, radius)) return { person, joint: null }
    }
  }
  return null
}

/** @param {Place} at @param {Point} from @param {Point} to */
function fromLine(at, from, to) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]]
  const along = ((at.x - from[0]) * dx + (at.y - from[1]) * dy) / (dx * dx + dy * dy || 1)
  const kept = Math.max(0, Math.min(1, along))
  return Math.hypot(at.x - from[0] - kept * dx, at.y - from[1] - kept * dy)
}
