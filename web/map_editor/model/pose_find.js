// @ts-check
/** Finds the skeletons in a drawn pose map: joints by their colours, then the person of each joint by the limbs. */

import { COLOURS, LIMBS } from "./openpose.js"
import { Fit } from "./pose_fit.js"

/** @typedef {import("./raster.js").Raster} Raster */
/** @typedef {import("./openpose.js").Skeleton} Skeleton */
/**
 * For every pixel its hue from 0 to 18, where a joint's hue is its number (-1: none), and its brightest channel.
 * @typedef {{hues: Float32Array, brightness: Uint8Array, width: number}} Shades
 */

/**
 * The pixels of one joint: their centre, their number, the number of pixels with exactly its colour, half their extent.
 * @typedef {{joint: number, x: number, y: number, area: number, pure: number, reach: number}} Spot
 */

/**
 * Two spots, and how clearly a limb is visible between them; `area` is that of the smaller spot.
 * @typedef {{from: Spot, to: Spot, support: number, length: number, area: number}} Link
 */

const DARK = 40 // darker pixels count as black
const BRIGHT = 170 // brighter than any limb
const TINY = 0.9 // below this radius, joints are hardly visible among their limbs
const FINE = 1.75 // from this radius in pixels on, a joint has pixels of exactly its colour

/**
 * The people in a pose map that was drawn by `drawSkeletons` or by another annotator in OpenPose's colours. Joints with
 * a radius under 1.75 pixels (in maps under 256 pixels) are found less reliably, and covered joints not at all.
 * @param {Raster} raster @returns {Required<Skeleton>[]}
 */
export function findSkeletons(raster) {
  const shades = shadesOf(raster)
  const spots = clearOf(spotsIn(raster, shades))
  return peopleOf(spots, linksBetween(spots, shades)).map((person) => {
    const points = COLOURS.map((_, joint) => {
      const spot = person.find((one) => one.joint === joint)
      return spot ? /** @type {[number, number]} */ ([spot.x, spot.y]) : null
    })
    const radius = Math.max(0.5, median(person.map(({ reach }) => reach)))
    const found = { points, radius }
    const fit = new Fit(raster, radius < FINE ? traced(found, shades) : found)
    if (radius < TINY) fit.fitPlaces()
    fit.fitRadius()
    return fit.best
  })
}

/**
 * Adds joints that are too small to be seen, at the far ends of limbs that start at known joints.
 * @param {Required<Skeleton>} skeleton @param {Shades} shades @returns {Required<Skeleton>}
 */
function traced(skeleton, shades) {
  const points = skeleton.points.slice()
  for (let isNew = true; isNew;) {
    isNew = false
    for (const [limb, [a, b]] of LIMBS.entries()) {
      const [known, missing] = points[a] ? [a, b] : [b, a]
      const start = points[known]
      if (!start || points[missing]) continue
      points[missing] = farEnd(shades, limb, start, skeleton.radius + 1.5)
      isNew ||= points[missing] !== null
    }
  }
  return { ...skeleton, points }
}

/**
 * The far end of a limb that begins near a point.
 * @param {Shades} shades @param {number} limb @param {[number, number]} start @param {number} within pixels
 * @returns {[number, number]|null}
 */
function farEnd(shades, limb, start, within) {
  const { width, hues } = shades
  const away = (/** @type {number} */ at) =>
    Math.hypot((at % width) + 0.5 - start[0], Math.floor(at / width) + 0.5 - start[1])
  const seen = new Set()
  for (let y = Math.floor(start[1] - within); y <= start[1] + within; y++) {
    for (let x = Math.floor(start[0] - within); x <= start[0] + within; x++) {
      const at = y * width + x
      const inside = x >= 0 && x < width && at >= 0 && at < hues.length
      if (inside && away(at) <= within && isLimb(shades, at, limb)) seen.add(at)
    }
  }
  let end = -1
  for (const at of seen) {
    if (end < 0 || away(at) > away(end)) end = at
    for (const next of neighbours(at, width, hues.length)) if (isLimb(shades, next, limb)) seen.add(next)
  }
  return end >= 0 && away(end) >= 2 ? [(end % width) + 0.5, Math.floor(end / width) + 0.5] : null
}

/** @param {Raster} raster @returns {Shades} */
function shadesOf({ width, data }) {
  const hues = new Float32Array(data.length).fill(-1)
  const brightness = new Uint8Array(data.length)
  for (let i = 0; i < data.length; i++) {
    const value = data[i]
    if (!(value & 0xffffff)) continue
    const [r, g, b] = [value & 255, (value >>> 8) & 255, (value >>> 16) & 255]
    const most = Math.max(r, g, b)
    const range = most - Math.min(r, g, b)
    brightness[i] = most
    if (most < DARK || range < 0.65 * most) continue
    const sixth = most === r ? (g - b) / range : most === g ? 2 + (b - r) / range : 4 + (r - g) / range
    hues[i] = (3 * sixth + 18) % 18
  }
  return { hues, brightness, width }
}

/** The spots in a map: connected bright pixels of a joint's hue. @param {Raster} raster @param {Shades} shades @returns {Spot[]} */
function spotsIn(raster, { hues, brightness }) {
  const joints = new Int8Array(hues.length).fill(-1)
  for (let i = 0; i < joints.length; i++) {
    const near = Math.round(hues[i])
    if (brightness[i] >= BRIGHT && Math.abs(hues[i] - near) <= 0.35) joints[i] = near % 18
  }
  const spots = []
  for (let i = 0; i < joints.length; i++) {
    if (joints[i] >= 0) spots.push(spotAt(i, joints, raster, brightness))
  }
  return spots
}

/**
 * @param {number} start @param {Int8Array} joints the spot's pixels are removed from it @param {Raster} raster
 * @param {Uint8Array} brightness @returns {Spot}
 */
function spotAt(start, joints, { width, data }, brightness) {
  const joint = joints[start]
  const xs = []
  const ys = []
  let [weight, x, y, pure] = [0, 0, 0, 0]
  const stack = [start]
  joints[start] = -1
  for (let at = stack.pop(); at !== undefined; at = stack.pop()) {
    const [column, row] = [at % width, Math.floor(at / width)]
    const own = Math.min(1, (brightness[at] - 153) / 102) // how much of the pixel the joint covers, over its limb
    weight += own
    x += own * (column + 0.5)
    y += own * (row + 0.5)
    pure += unlike(data[at], COLOURS[joint]) <= 36 ? 1 : 0
    xs.push(column)
    ys.push(row)
    for (const next of neighbours(at, width, joints.length)) {
      if (joints[next] !== joint) continue
      joints[next] = -1
      stack.push(next)
    }
  }
  const reach = Math.max(extent(xs), extent(ys)) / 2
  return { joint, x: x / weight, y: y / weight, area: weight, pure, reach }
}

/** The number of pixels from the first to the last of some places. @param {number[]} places */
function extent(places) {
  return places.reduce((a, b) => Math.max(a, b)) - places.reduce((a, b) => Math.min(a, b)) + 1
}

/** @param {number} at @param {number} width @param {number} count */
function neighbours(at, width, count) {
  const x = at % width
  const found = []
  for (const row of [at - width, at, at + width]) {
    if (row < 0 || row >= count) continue
    if (x > 0) found.push(row - 1)
    found.push(row)
    if (x < width - 1) found.push(row + 1)
  }
  return found
}

/** @param {Spot} a @param {Spot} b */
function distance(a, b) {
  return Math.hypot(a.x - b.x, a.y - b.y)
}

/** How much a pixel's channels differ from a colour. @param {number} value @param {number[]} colour */
function unlike(value, [r, g, b]) {
  return Math.max(
    Math.abs((value & 255) - r),
    Math.abs(((value >>> 8) & 255) - g),
    Math.abs(((value >>> 16) & 255) - b),
  )
}

/** The spots without those that are mixed from the colours of two other joints. @param {Spot[]} spots */
function clearOf(spots) {
  const usual = median(spots.filter(({ pure }) => pure).map(({ reach }) => reach))
  if (!(usual >= FINE)) return spots.filter(({ area }) => !(area <= 0.8 * usual * usual))
  return spots.filter(({ pure, area }) => pure >= 2 && area > (usual * usual) / 4)
}

/** The visible limbs between two joints, the clearest first. @param {Spot[]} spots @param {Shades} shades */
function linksBetween(spots, shades) {
  const links = []
  for (const [limb, [a, b]] of LIMBS.entries()) {
    for (const from of spots.filter(({ joint }) => joint === a)) {
      for (const to of spots.filter(({ joint }) => joint === b)) links.push(linkOf(limb, from, to, shades))
    }
  }
  return links
    .filter(({ support }) => support >= 0.4)
    .sort((a, b) => b.support * b.area - a.support * a.area || a.length - b.length)
}

/** @param {number} limb @param {Spot} from @param {Spot} to @param {Shades} shades @returns {Link} */
function linkOf(limb, from, to, shades) {
  const length = distance(from, to)
  const margin = Math.max(from.reach, to.reach)
  let [limbs, blacks, others] = [0, 0, 0]
  for (let along = margin; along <= length - margin; along += 0.5) {
    const x = Math.floor(from.x + ((to.x - from.x) * along) / length)
    const y = Math.floor(from.y + ((to.y - from.y) * along) / length)
    const at = y * shades.width + x
    if (isLimb(shades, at, limb)) limbs++
    else if (shades.brightness[at] < DARK) blacks++
    else others++ // covered by something else
  }
  const isShort = !(limbs + blacks + others) && length < 3 * margin + 2
  return {
    from,
    to,
    length,
    area: Math.min(from.area, to.area),
    support: isShort ? 0.5 : limbs / (limbs + 2 * blacks + 0.3 * others || 1),
  }
}

/** @param {Shades} shades @param {number} at a pixel's place @param {number} limb */
function isLimb({ hues, brightness }, at, limb) {
  const off = Math.abs(hues[at] - limb)
  return hues[at] >= 0 && Math.min(off, 18 - off) < 0.5 && brightness[at] >= DARK && brightness[at] < BRIGHT
}

/**
 * Groups spots to people: first spots that limbs connect, then, nearest first, single spots that a person lacks.
 * @param {Spot[]} spots @param {Link[]} links @returns {Spot[][]}
 */
function peopleOf(spots, links) {
  const people = new Map(spots.map((spot) => [spot, [spot]]))
  const join = (/** @type {Spot} */ a, /** @type {Spot} */ b) => {
    const [one, other] = [/** @type {Spot[]} */ (people.get(a)), /** @type {Spot[]} */ (people.get(b))]
    if (one === other || one.some(({ joint }) => other.some((spot) => spot.joint === joint))) return
    one.push(...other)
    for (const spot of other) people.set(spot, one)
  }
  for (const { from, to } of links) join(from, to)
  const linked = new Set(links.flatMap(({ from, to }) => [from, to]))
  const sure = linked.size ? spots.filter((spot) => linked.has(spot)) : spots
  for (const [a, b] of byDistance(sure, sure)) join(a, b)
  for (const [a, b] of byDistance(
    spots.filter((spot) => !linked.has(spot)),
    sure,
  )) {
    const person = /** @type {Spot[]} */ (people.get(b))
    if (distance(a, b) < 0.5 * Math.max(...person.map((spot) => distance(spot, b)))) join(a, b)
  }
  return withoutScraps([...new Set(sure.map((spot) => /** @type {Spot[]} */ (people.get(spot))))])
}

/**
 * People without those that are a few spots inside another person, where joints' colours mix to a third colour.
 * @param {Spot[][]} people
 */
function withoutScraps(people) {
  const isAmid = (/** @type {Spot} */ { x, y, reach }, /** @type {Spot[]} */ person) => {
    const [xs, ys] = [person.map((spot) => spot.x), person.map((spot) => spot.y)]
    const near = (/** @type {number} */ at, /** @type {number[]} */ all) =>
      at > Math.min(...all) - 3 * reach && at < Math.max(...all) + 3 * reach
    return near(x, xs) && near(y, ys)
  }
  return people.filter(
    (few) =>
      few.length > 4 ||
      !people.some((most) => most.length > 2 * few.length && few.every((spot) => isAmid(spot, most))),
  )
}

/** @param {Spot[]} some @param {Spot[]} others */
function byDistance(some, others) {
  const pairs = some.flatMap((a) => others.map((b) => ({ a, b, far: distance(a, b) })))
  return pairs.sort((p, q) => p.far - q.far).map(({ a, b }) => [a, b])
}

/** @param {number[]} numbers */
function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
}
