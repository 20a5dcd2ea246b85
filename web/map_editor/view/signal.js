// @ts-check
// Things that happen in the editor, and who wants to know.

/** Tells listeners, in the order they came. */
export class Signals {
  /** @type {Map<string, Set<(detail?: any) => void>>} */
  #listeners = new Map()

  /**
   * @param {string} names of signals, with spaces between
   * @param {(detail?: any) => void} listener
   */
  on(names, listener) {
    for (const name of names.split(" ")) {
      if (!this.#listeners.has(name)) this.#listeners.set(name, new Set())
      this.#listeners.get(name)?.add(listener)
    }
  }

  /**
   * @param {string} name
   * @param {any} [detail]
   */
  emit(name, detail) {
    this.#listeners.get(name)?.forEach((listener) => listener(detail))
  }
}

/**
 * @param {() => void} work
 * @param {number} wait ms
 * @returns {() => void} asks for the work; it is done once, `wait` after the last time it was asked for
 */
export function settled(work, wait) {
  let timer = 0
  return () => {
    clearTimeout(timer)
    timer = window.setTimeout(work, wait)
  }
}
