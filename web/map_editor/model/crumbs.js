// @ts-check
/** Finds the crumbs around a hole, as `crumbs_around` in core/maps/objects.py does. */

/** @typedef {import("./raster.js").Mask} Mask */
/** @typedef {import("./raster.js").Raster} Raster */

const [UNSEEN, HOLE, UNDER_WAY, CRUMB, LARGE] = [0, 1, 2, 3, 4]

/**
 * Crumbs: objects smaller than a tenth of the hole that touch it or another crumb. Sampled maps have crumbs around
 * their objects; spread over the hole they would become large patches.
 * @param {Raster} raster @param {Mask} hole @returns {Mask}
 */
export function crumbsAround({ width, height, data }, hole) {
  const marks = hole.slice()
  const places = new Int32Array(8)
  // the pixels whose neighbours are visited; the present region is at the end, and stays there if it is a crumb
  const queue = new Int32Array(data.length)
  let end = 0
  for (let i = hole.indexOf(HOLE); i >= 0; i = hole.indexOf(HOLE, i + 1)) queue[end++] = i
  const enough = Math.ceil(end / 10)

  /** Follows a region until it ends, is too large, or meets one that was too large. @param {number} seed */
  function follow(seed) {
    const start = end
    let large = false
    queue[end++] = seed
    marks[seed] = UNDER_WAY
    for (let next = start; next < end && !large; next++) {
      const count = around(queue[next], width, height, places)
      for (let i = 0; i < count; i++) {
        const at = places[i]
        if (data[at] !== data[seed]) continue
        if (marks[at] === LARGE) large = true
        if (marks[at] !== UNSEEN) continue
        queue[end++] = at
        marks[at] = UNDER_WAY
      }
      large ||= end - start >= enough
    }
    for (let i = start; i < end; i++) marks[queue[i]] = large ? LARGE : CRUMB
    if (large) end = start
  }

  const near = new Int32Array(8)
  for (let next = 0; next < end; next++) {
    const count = around(queue[next], width, height, near)
    for (let i = 0; i < count; i++) if (marks[near[i]] === UNSEEN) follow(near[i])
  }
  for (let i = 0; i < marks.length; i++) marks[i] = marks[i] === CRUMB ? 1 : 0
  return marks
}

/**
 * Writes the places of a pixel's neighbours, at most eight, into `places`.
 * @param {number} at @param {number} width @param {number} height @param {Int32Array} places
 * @returns {number} their number
 */
function around(at, width, height, places) {
  const x = at % width
  const y = (at - x) / width
  const [left, right] = [Math.max(x - 1, 0), Math.min(x + 1, width - 1)]
  const bottom = Math.min(y + 1, height - 1)
  let count = 0
  for (let row = Math.max(y - 1, 0); row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const place = row * width + column
      if (place !== at) places[count++] = place
    }
  }
  return count
}
