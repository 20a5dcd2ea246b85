// @ts-check
// The layers of the stage, one canvas each: a map, the tint of the selection, and a dragged piece.

import { element } from "../../lib/dom.js"
import { outlineSegments } from "./outline.js"

/**
 * @typedef {import("../model/raster.js").Raster} Raster
 * @typedef {{x: number, y: number, width: number, height: number}} Rect
 */

const TINT = 0x5fff9a3d // packed 0xAABBGGRR, the accent's blue

/** A canvas that shows a raster, and can redraw a part of it. */
export class RasterLayer {
  /** @param {string} className */
  constructor(className) {
    this.canvas = element("canvas", { class: className })
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"))
  }

  /** @param {Raster} raster */
  show(raster) {
    this.canvas.width = raster.width
    this.canvas.height = raster.height
    this.refresh(raster, { x: 0, y: 0, width: raster.width, height: raster.height })
  }

  /** @param {Raster} raster @param {Rect} rect */
  refresh(raster, rect) {
    if (this.buffer !== raster.data.buffer) {
      this.buffer = raster.data.buffer
      this.image = imageOver(raster.data, raster.width, raster.height)
    }
    this.context.putImageData(
      /** @type {ImageData} */ (this.image),
      0,
      0,
      rect.x,
      rect.y,
      rect.width,
      rect.height,
    )
  }
}

/** The tint over the selected pixels and the outline around them. */
export class SelectionLayer {
  constructor() {
    this.canvas = element("canvas", { class: "tint" })
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"))
    /** @type {Path2D | null} */
    this.outline = null
  }

  /** @param {Uint8Array | null} mask @param {Rect | null} box of its set pixels @param {number} width of the map */
  show(mask, box, width) {
    this.outline = null
    this.canvas.hidden = !mask || !box
    if (!mask || !box) return
    const tint = new Uint32Array(box.width * box.height)
    for (let y = 0; y < box.height; y++) {
      const from = (box.y + y) * width + box.x
      for (let x = 0; x < box.width; x++) if (mask[from + x]) tint[y * box.width + x] = TINT
    }
    this.canvas.width = box.width
    this.canvas.height = box.height
    Object.assign(this.canvas.style, { left: `${box.x}px`, top: `${box.y}px` })
    this.context.putImageData(imageOver(tint, box.width, box.height), 0, 0)
    const segments = outlineSegments(mask, width, box)
    if (segments) this.outline = pathOf(segments)
  }
}

/** A piece that is dragged over the map; the browser moves it. */
export class PieceLayer {
  constructor() {
    this.canvas = element("canvas", { class: "piece", hidden: true })
    this.context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"))
  }

  /** @param {import("../model/transform.js").Piece} piece */
  show({ x, y, width, height, mask, data }) {
    const shown = data.map((value, i) => (mask[i] ? value : 0))
    this.canvas.width = width
    this.canvas.height = height
    Object.assign(this.canvas.style, { left: `${x}px`, top: `${y}px`, transform: "" })
    this.context.putImageData(imageOver(shown, width, height), 0, 0)
    this.canvas.hidden = false
  }

  /** @param {import("./transform_box.js").Placement} placement */
  place({ dx, dy, degrees, scaleX, scaleY }) {
    this.canvas.style.transform = `translate(${dx}px, ${dy}px) rotate(${degrees}deg) scale(${scaleX}, ${scaleY})`
  }

  hide() {
    this.canvas.hidden = true
  }
}

/** @param {Int32Array} segments @returns {Path2D} */
function pathOf(segments) {
  const path = new Path2D()
  for (let i = 0; i < segments.length; i += 4) {
    path.moveTo(segments[i], segments[i + 1])
    path.lineTo(segments[i + 2], segments[i + 3])
  }
  return path
}

/** @param {Uint32Array} data packed pixels @returns {ImageData} that shares their memory */
function imageOver(data, width, height) {
  return new ImageData(new Uint8ClampedArray(/** @type {ArrayBuffer} */ (data.buffer)), width, height)
}
