// @ts-check
// Guesses from its pixels what kind of condition map a picture without palette is.

/** @typedef {"segmentation" | "sketch" | "depth" | "pose" | "normal"} Mode */

const SAMPLES = 100000

/**
 * @param {Uint32Array} data packed pixels, 0xAABBGGRR
 * @returns {Mode}
 */
export function guessMode(data) {
  const step = Math.max(1, Math.floor(data.length / SAMPLES)) | 1
  let [count, extreme, grey, dark, vivid] = [0, 0, 0, 0, 0]
  for (let i = 0; i < data.length; i += step) {
    const [r, g, b] = [data[i] & 255, (data[i] >> 8) & 255, (data[i] >> 16) & 255]
    const [low, high] = [Math.min(r, g, b), Math.max(r, g, b)]
    count++
    if (high - low <= 8) grey++
    if (high <= 24) dark++
    if (high <= 24 || low >= 231) extreme++
    if (high - low > 90 && low < 40) vivid++
  }
  if (dark >= 0.5 * count && vivid > 0.3 * (count - dark)) return "pose"
  if (extreme >= 0.96 * count && grey >= 0.98 * count) return "sketch"
  return grey >= 0.98 * count ? "depth" : "normal"
}

/**
 * The colours of a sketch: its ground is black or white, whichever covers more of it.
 * @param {Uint32Array} data packed pixels
 * @returns {{ground: number, line: number}} packed
 */
export function sketchColours(data) {
  const step = Math.max(1, Math.floor(data.length / SAMPLES)) | 1
  let balance = 0
  for (let i = 0; i < data.length; i += step) balance += (data[i] & 255) < 128 ? 1 : -1
  const [black, white] = [0xff000000, 0xffffffff]
  return balance > 0 ? { ground: black, line: white } : { ground: white, line: black }
}
