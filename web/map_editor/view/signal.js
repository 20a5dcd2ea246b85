// @ts-check
// Signals tell listeners what happens in the editor.

/** Calls listeners in the order in which they were added. */
export class Signals {
  /** @type {Map<string, Set<(detail?: any) => void>>} */
  #listeners = new Map()

  /**
   * @param {string} names of signals, separated by spaces
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
 * @returns {() => void} requests the work, which runs once, `wait` ms after the last request
 */
export function settled(work, wait) {
  let timer = 0
  return () => {
    clearTimeout(timer)
    timer = window.setTimeout(work, wait)
  }
}
