// @ts-check
// The camera holds the map's place on the screen. Pure arithmetic, no DOM.

export const MIN_ZOOM = 0.1
export const MAX_ZOOM = 32

/** Converts between map pixels and CSS pixels of the screen: screen = zoom * map + (x, y). */
export class Camera {
  zoom = 1
  x = 0
  y = 0

  /**
   * @param {number} x screen, CSS pixels
   * @param {number} y
   * @returns {{x: number, y: number}} in the map, with fractions
   */
  toMap(x, y) {
    return { x: (x - this.x) / this.zoom, y: (y - this.y) / this.zoom }
  }

  /**
   * @param {number} x map pixels
   * @param {number} y
   * @returns {{x: number, y: number}} on the screen
   */
  toScreen(x, y) {
    return { x: x * this.zoom + this.x, y: y * this.zoom + this.y }
  }

  /** Zooms so that the map's point under (x, y) on the screen stays there. */
  zoomAt(zoom, x, y) {
    const kept = this.toMap(x, y)
    this.zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, zoom))
    this.x = x - kept.x * this.zoom
    this.y = y - kept.y * this.zoom
  }

  panBy(dx, dy) {
    this.x += dx
    this.y += dy
  }

  /** Shows the whole map in the middle of a view, with a margin around it. */
  fit(map, view, margin = 32) {
    const room = Math.min((view.width - 2 * margin) / map.width, (view.height - 2 * margin) / map.height)
    this.zoom = Math.min(MAX_ZOOM, Math.max(MIN_ZOOM, room))
    this.centre(map, view)
  }

  /** Puts the centre of the map in the centre of the view. */
  centre(map, view) {
    this.x = Math.round((view.width - map.width * this.zoom) / 2)
    this.y = Math.round((view.height - map.height * this.zoom) / 2)
  }

  /** Moves the map back so that a strip of it always stays visible. */
  keepInSight(map, view, strip = 48) {
    const within = (at, size, room) => Math.min(room - strip, Math.max(strip - size, at))
    this.x = within(this.x, map.width * this.zoom, view.width)
    this.y = within(this.y, map.height * this.zoom, view.height)
  }
}
