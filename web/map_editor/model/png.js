// @ts-check
/** Reads and writes PNG files without a canvas, which would convert colours and multiply them by their alpha. */

import { Raster } from "./raster.js"

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10]
const MOST_PIXELS = 2 ** 27 // 16384 x 8192, for example; a small file can claim any size
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } // by colour type: grey, RGB, palette, grey + alpha, RGBA

/**
 * An RGBA file of 8 bits per channel with exactly these pixels, including those with alpha 0.
 * @param {Raster} raster @returns {Promise<Uint8Array>}
 */
export async function encodePng({ width, height, bytes }) {
  const header = new DataView(new ArrayBuffer(13))
  header.setUint32(0, width)
  header.setUint32(4, height)
  header.setUint8(8, 8)
  header.setUint8(9, 6)
  const packed = await deflated(filtered(bytes, 4 * width, height))
  return joined([
    Uint8Array.from(SIGNATURE),
    chunk("IHDR", new Uint8Array(header.buffer)),
    chunk("IDAT", packed),
    chunk("IEND", new Uint8Array(0)),
  ])
}

/**
 * The pixels of a file that is grey, RGB or has a palette, with or without alpha, has up to 8 bits and is not interlaced.
 * @param {Uint8Array} bytes @returns {Promise<Raster>} alpha as in the file, 255 if it has none
 * @throws {Error} for other files, and for broken ones
 */
export async function decodePng(bytes) {
  const parts = chunksOf(bytes)
  const header = new DataView(parts.IHDR.buffer, parts.IHDR.byteOffset)
  const [width, height] = [header.getUint32(0), header.getUint32(4)]
  const [depth, type, interlaced] = [header.getUint8(8), header.getUint8(9), header.getUint8(12)]
  const channels = CHANNELS[/** @type {keyof typeof CHANNELS} */ (type)]
  if (!channels || depth > 8 || interlaced) {
    const kind = `${depth} bits, type ${type}${interlaced ? ", interlaced" : ""}`
    throw new Error(`the PNG has ${kind}; save it with 8 bits, not interlaced`)
  }
  if (!(width * height <= MOST_PIXELS))
    throw new Error(`the PNG has ${width} × ${height} pixels; give one of at most ${MOST_PIXELS} in all`)
  const stride = Math.ceil((width * channels * depth) / 8)
  const data = await inflated(parts.IDAT, (stride + 1) * height)
  const rows = unfiltered(data, stride, height, Math.max(1, channels * (depth >> 3)))
  const samples = depth === 8 ? rows : spread(rows, width * channels, height, depth)
  return new Raster(width, height, packedPixels(samples, type, depth, parts))
}

/** @param {Uint8Array} samples @param {number} type @param {number} depth @param {Record<string, Uint8Array>} parts */
function packedPixels(samples, type, depth, { PLTE = new Uint8Array(0), tRNS = new Uint8Array(0) }) {
  const step = CHANNELS[/** @type {keyof typeof CHANNELS} */ (type)]
  const data = new Uint32Array(samples.length / step)
  const grey = 255 / (2 ** depth - 1)
  for (let i = 0, at = 0; i < data.length; i++, at += step) {
    const first = samples[at]
    let [red, green, blue, alpha] = [first, samples[at + 1], samples[at + 2], 255]
    if (type === 3) {
      ;[red, green, blue, alpha] = [
        PLTE[3 * first],
        PLTE[3 * first + 1],
        PLTE[3 * first + 2],
        tRNS[first] ?? 255,
      ]
    } else if (step < 3) {
      if (type === 4) alpha = green
      red = green = blue = first * grey
    } else if (type === 6) {
      alpha = samples[at + 3]
    }
    data[i] = ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0
  }
  return data
}

/** The chunks by name; those with pixels are joined. @param {Uint8Array} bytes @returns {Record<string, Uint8Array>} */
function chunksOf(bytes) {
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) throw new Error("this is no PNG file; choose one")
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  /** @type {Record<string, Uint8Array>} */
  const parts = {}
  const pixels = []
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at)
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    const content = bytes.subarray(at + 8, at + 8 + length)
    if (name === "IDAT") pixels.push(content)
    else parts[name] = content
    at += length + 12
  }
  if (!parts.IHDR || !parts.IEND || !pixels.length) throw new Error("the PNG file ends early; save it again")
  return { ...parts, IDAT: joined(pixels) }
}

/** @param {string} name @param {Uint8Array} content */
function chunk(name, content) {
  const whole = new Uint8Array(content.length + 12)
  const view = new DataView(whole.buffer)
  view.setUint32(0, content.length)
  whole.set(
    Array.from(name, (letter) => letter.charCodeAt(0)),
    4,
  )
  whole.set(content, 8)
  view.setUint32(content.length + 8, crc(whole.subarray(4, content.length + 8)))
  return whole
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
  return n
})

/** @param {Uint8Array} bytes */
function crc(bytes) {
  let sum = -1
  for (const byte of bytes) sum = CRC_TABLE[(sum ^ byte) & 255] ^ (sum >>> 8)
  return ~sum >>> 0
}

/**
 * Rows with filter 2, the difference to the row above, which is 0 in most of a map.
 * @param {Uint8ClampedArray} bytes @param {number} stride @param {number} height
 */
function filtered(bytes, stride, height) {
  const rows = new Uint8Array((stride + 1) * height)
  for (let y = 0, to = 0, from = 0; y < height; y++) {
    rows[to++] = 2
    if (!y) rows.set(bytes.subarray(0, stride), to)
    for (let x = 0; x < stride; x++, from++, to++) if (y) rows[to] = bytes[from] - bytes[from - stride]
  }
  return rows
}

/**
 * Undoes a file's filters (PNG specification, section 9).
 * @param {Uint8Array} data @param {number} stride @param {number} height @param {number} step bytes of a pixel
 */
function unfiltered(data, stride, height, step) {
  const rows = new Uint8Array(stride * height)
  let above = new Uint8Array(stride)
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1)
    const row = rows.subarray(y * stride, (y + 1) * stride)
    row.set(data.subarray(start + 1, start + 1 + stride))
    const undo = UNDO[data[start]]
    if (!undo) throw new Error(`the PNG has rows of filter ${data[start]}; save it again`)
    undo(row, above, step)
    above = row
  }
  return rows
}

/**
 * For each filter, the function that restores a row from its differences.
 * @type {((row: Uint8Array, above: Uint8Array, step: number) => void)[]}
 */
const UNDO = [
  () => {},
  (row, _, step) => {
    for (let i = step; i < row.length; i++) row[i] += row[i - step]
  },
  (row, above) => {
    for (let i = 0; i < row.length; i++) row[i] += above[i]
  },
  (row, above, step) => {
    for (let i = 0; i < row.length; i++) row[i] += ((i < step ? 0 : row[i - step]) + above[i]) >> 1
  },
  (row, above, step) => {
    for (let i = 0; i < step; i++) row[i] += above[i]
    for (let i = step; i < row.length; i++) row[i] += paeth(row[i - step], above[i], above[i - step])
  },
]

/** @param {number} left @param {number} up @param {number} corner */
function paeth(left, up, corner) {
  const toLeft = Math.abs(up - corner)
  const toUp = Math.abs(left - corner)
  const toCorner = Math.abs(left + up - 2 * corner)
  if (toLeft <= toUp && toLeft <= toCorner) return left
  return toUp <= toCorner ? up : corner
}

/**
 * Expands samples of 1, 2 or 4 bits to one byte each.
 * @param {Uint8Array} rows @param {number} width samples in a row @param {number} height @param {number} depth
 */
function spread(rows, width, height, depth) {
  const samples = new Uint8Array(width * height)
  const stride = rows.length / height
  const perByte = 8 / depth
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      const byte = rows[y * stride + Math.floor(x / perByte)]
      samples[to] = (byte >> (8 - depth * ((x % perByte) + 1))) & (2 ** depth - 1)
    }
  }
  return samples
}

/** @param {Uint8Array} bytes */
async function deflated(bytes) {
  const packed = streamOf(bytes).pipeThrough(new CompressionStream("deflate"))
  return new Uint8Array(await new Response(packed).arrayBuffer())
}

/** @param {Uint8Array} bytes @param {number} size of their content; no more of it is unpacked */
async function inflated(bytes, size) {
  const reader = streamOf(bytes).pipeThrough(new DecompressionStream("deflate")).getReader()
  const whole = new Uint8Array(size)
  let length = 0
  for (let { value } = await reader.read(); value; { value } = await reader.read()) {
    if (length + value.length <= size) whole.set(value, length)
    else await reader.cancel()
    length += value.length
  }
  if (length !== size)
    throw new Error(`the PNG's pixels are not the ${size} bytes of its size; save it again`)
  return whole
}

/** @param {Uint8Array} bytes */
function streamOf(bytes) {
  return /** @type {ReadableStream} */ (new Response(/** @type {Uint8Array<ArrayBuffer>} */ (bytes)).body)
}

/** @param {Uint8Array[]} parts */
function joined(parts) {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
