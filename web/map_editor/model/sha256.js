// @ts-check
/** SHA-256 that also works without crypto.subtle, which a page over plain http from another machine does not have. */

/**
 * @param {Uint8Array} bytes @param {Pick<SubtleCrypto, "digest">|undefined} [subtle] the browser's own, if it has one
 * @returns {Promise<string>} 64 hexadecimal digits
 */
export async function sha256(bytes, subtle = globalThis.crypto?.subtle) {
  const digest = subtle
    ? new Uint8Array(await subtle.digest("SHA-256", /** @type {BufferSource} */ (bytes)))
    : digestOf(bytes)
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** FIPS 180-4, section 6.2. @param {Uint8Array} bytes */
function digestOf(bytes) {
  const state = roots(8, 1 / 2)
  const rounds = roots(64, 1 / 3)
  const words = new Int32Array(64)
  const padded = withPadding(bytes)
  for (let block = 0; block < padded.byteLength; block += 64) {
    for (let i = 0; i < 16; i++) words[i] = padded.getInt32(block + 4 * i)
    mix(state, words, rounds)
  }
  const digest = new DataView(new ArrayBuffer(32))
  state.forEach((word, i) => digest.setInt32(4 * i, word))
  return new Uint8Array(digest.buffer)
}

/** The message, a set bit, zeros and its length in bits, in whole blocks of 64 bytes. @param {Uint8Array} bytes */
function withPadding(bytes) {
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setBigUint64(padded.length - 8, BigInt(bytes.length) * 8n)
  return view
}

/** @param {Int32Array} state @param {Int32Array} w @param {Int32Array} k */
function mix(state, w, k) {
  for (let i = 16; i < 64; i++) {
    const [a, b] = [w[i - 15], w[i - 2]]
    const low = turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)
    const high = turn(b, 17) ^ turn(b, 19) ^ (b >>> 10)
    w[i] = w[i - 16] + low + w[i - 7] + high
  }
  let [a, b, c, d, e, f, g, h] = state
  for (let i = 0; i < 64; i++) {
    const first = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + k[i] + w[i]
    const second = (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
    h = g
    g = f
    f = e
    e = (d + first) | 0
    d = c
    c = b
    b = a
    a = (first + second) | 0
  }
  ;[a, b, c, d, e, f, g, h].forEach((word, i) => (state[i] += word))
}

/** @param {number} word @param {number} bits */
function turn(word, bits) {
  return (word >>> bits) | (word << (32 - bits))
}

/** The first 32 fraction bits of the roots of the first primes. @param {number} count @param {number} power */
function roots(count, power) {
  /** @type {number[]} */
  const primes = []
  for (let n = 2; primes.length < count; n++) {
    if (primes.every((prime) => n % prime)) primes.push(n)
  }
  return Int32Array.from(primes, (prime) => (prime ** power % 1) * 2 ** 32)
}
