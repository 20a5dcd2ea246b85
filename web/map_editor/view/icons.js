// @ts-check
// The editor's icons: strokes of 1.5 on a grid of 20.

const SHAPES = {
  select: '<path d="M5 3.2v12.6l3.4-3.2 2.2 4.6 2-.9-2.2-4.6h4.6z"/>',
  lasso:
    '<path d="M10 4c4 0 7 1.9 7 4.4s-3 4.4-7 4.4-7-1.9-7-4.4S6 4 10 4z" stroke-dasharray="2.6 1.8"/><path d="M6.2 12.4c-1.4.6-1.6 2.4-.2 2.8 1.2.3 1.6 1.3.6 2.3"/>',
  box: '<rect x="3.5" y="4.5" width="13" height="11" rx="1" stroke-dasharray="2.8 2"/>',
  wand: '<path d="M4 16.5 12 8.5"/><path d="m11 7.5 1.8 1.8"/><path d="M14.5 2.8v3M13 4.3h3M16.3 9.5v2.2M15.2 10.6h2.2M8.3 3.6v2.2M7.2 4.7h2.2"/>',
  brush:
    '<path d="M16.8 3.2c-3.6 1.8-6.4 4.5-8.3 7.5l1.8 1.8c3-1.9 5.7-4.7 7.5-8.3z"/><path d="M7.6 11.7c-2 .1-2.7 1.4-2.9 3.1-.1.9-.6 1.4-1.5 1.7 3.1.8 6 .1 6.2-2.9z"/>',
  eraser:
    '<path d="m8 16.2-4-4a1.2 1.2 0 0 1 0-1.7l6.7-6.7a1.2 1.2 0 0 1 1.7 0l4 4a1.2 1.2 0 0 1 0 1.7L9.7 16.2z"/><path d="m7.3 7.2 5.7 5.7M6 16.2h11"/>',
  line: '<path d="M5.3 14.7 14.7 5.3"/><circle cx="4" cy="16" r="1.6"/><circle cx="16" cy="4" r="1.6"/>',
  fill: '<path d="m9.5 3.5 6 6-6 5.5a1 1 0 0 1-1.4 0l-4.4-4.4a1 1 0 0 1 0-1.4z"/><path d="M7.2 2.2 10 5M3.6 10h11.6"/><path d="M17 12.5c.9 1.3 1.3 2 1.3 2.7a1.3 1.3 0 0 1-2.6 0c0-.7.4-1.4 1.3-2.7z"/>',
  eyedropper:
    '<path d="m11 6 3 3"/><path d="m12.3 7.3-7 7-1.8 2.2 2.2-1.8 7-7"/><path d="m10.2 5.2 4.6 4.6M12.6 6l2-2a1.5 1.5 0 0 1 2.1 0 1.5 1.5 0 0 1 0 2.1l-2 2"/>',
  text: '<path d="M4.5 6V4h11v2M10 4v12M7.8 16h4.4"/>',
  gradient:
    '<rect x="3" y="4" width="14" height="12" rx="1.5"/><path d="M6.2 4v12M9 4v12M11.4 4v12M13.4 4v12M15 4v12" stroke-width="1"/>',
  joints: '<circle cx="10" cy="3.8" r="1.7"/><path d="M10 5.5v5M4.5 8 10 6.7 15.5 8M7 17l3-6.5 3 6.5"/>',
  hand: '<path d="M6.5 10V5.2a1.1 1.1 0 0 1 2.2 0V9M8.7 8.5V3.8a1.1 1.1 0 0 1 2.2 0v4.7M10.9 8.5V4.7a1.1 1.1 0 0 1 2.2 0V9.5M13.1 9V6.7a1.1 1.1 0 0 1 2.2 0V12c0 3.2-1.6 5.2-4.6 5.2-2.6 0-3.6-1.2-5.6-4.5l-1-1.7c-.6-1.1.8-2 1.6-1l.8.9"/>',
  undo: '<path d="M7 4.5 3.5 8 7 11.5"/><path d="M3.5 8h8a4.5 4.5 0 0 1 0 9H8"/>',
  redo: '<path d="M13 4.5 16.5 8 13 11.5"/><path d="M16.5 8h-8a4.5 4.5 0 0 0 0 9H12"/>',
  minus: '<path d="M5 10h10"/>',
  plus: '<path d="M5 10h10M10 5v10"/>',
  fit: '<path d="M3.5 7V3.5H7M13 3.5h3.5V7M16.5 13v3.5H13M7 16.5H3.5V13"/>',
  compare:
    '<rect x="3" y="4" width="14" height="12" rx="1.5"/><path d="M10 2.5v15"/><path d="M10 5.5h5.5v9H10z" fill="currentColor" stroke="none" opacity=".45"/>',
  overlay:
    '<path d="m10 3 7 3.8-7 3.8-7-3.8z"/><path d="m3.5 10.5 6.5 3.5 6.5-3.5M3.5 13.7 10 17.2l6.5-3.5" opacity=".75"/>',
  help: '<circle cx="10" cy="10" r="7"/><path d="M7.9 8c.2-2.8 4.3-2.5 4.2 0 0 1.6-2.1 1.6-2.1 3.3"/><path d="M10 13.7v.1" stroke-width="1.9"/>',
  search: '<circle cx="9" cy="9" r="5"/><path d="m12.8 12.8 3.7 3.7"/>',
  close: '<path d="m5.5 5.5 9 9M14.5 5.5l-9 9"/>',
  check: '<path d="m4.5 10.5 3.7 3.7 7.3-8.4"/>',
  flipX: '<path d="M10 3v14" stroke-dasharray="2 1.7"/><path d="M7.5 6v8H2.8zM12.5 6v8h4.7z"/>',
  flipY: '<path d="M3 10h14" stroke-dasharray="2 1.7"/><path d="M6 7.5h8V2.8zM6 12.5h8v4.7z"/>',
  duplicate:
    '<rect x="7" y="7" width="9.5" height="9.5" rx="1.5"/><path d="M13 4.8V4a.9.9 0 0 0-.9-.9H4.4a.9.9 0 0 0-.9.9v7.7c0 .5.4.9.9.9h.7"/>',
  trash: '<path d="M4 5.5h12M8 5.5V3.5h4v2M5.5 5.5l.8 11h7.4l.8-11M8.5 8.5v5M11.5 8.5v5"/>',
  recolour:
    '<path d="M10 3.2c3 3.4 4.6 5.9 4.6 8.3a4.6 4.6 0 0 1-9.2 0c0-2.4 1.6-4.9 4.6-8.3z"/><path d="M10 8v7.8a4.3 4.3 0 0 0 4.3-4.3C14.3 10 13.5 8.3 12 6.5z" fill="currentColor" stroke="none" opacity=".45"/>',
  front:
    '<rect x="3.5" y="3.5" width="9" height="9" rx="1" fill="currentColor" fill-opacity=".45"/><path d="M15 7.5h1.5v9h-9V15"/>',
  back: '<path d="M12.5 3.5h-9v9H5"/><path d="M12.5 3.5V5"/><rect x="7.5" y="7.5" width="9" height="9" rx="1" opacity=".5" stroke-dasharray="2 1.5"/><path d="M3.5 3.5h9v4h-5v5h-4z" fill="currentColor" fill-opacity=".25" stroke="none"/>',
  paste:
    '<rect x="4.5" y="4.5" width="11" height="12.5" rx="1.5"/><path d="M7.5 4.5V3h5v1.5M7.5 10h5M10 7.5v5"/>',
  all: '<circle cx="6" cy="6.5" r="2.5"/><circle cx="14.3" cy="7" r="1.8"/><circle cx="11.5" cy="14" r="3"/>',
  person: '<circle cx="10" cy="5" r="2.3"/><path d="M4.8 16.5c.4-4 2.4-6 5.2-6s4.8 2 5.2 6"/>',
  addPerson:
    '<circle cx="8" cy="5" r="2.3"/><path d="M2.8 16.5c.4-4 2.4-6 5.2-6 1.4 0 2.6.5 3.5 1.4M15 11.5v5M12.5 14h5"/>',
  hide: '<path d="M3 10c1.8-3.3 4.2-5 7-5s5.2 1.7 7 5c-1.8 3.3-4.2 5-7 5s-5.2-1.7-7-5z"/><circle cx="10" cy="10" r="2.2"/><path d="m4 16.5 12-13"/>',
  nearer: '<circle cx="10" cy="10" r="6.5"/><path d="M10 13.5V7M7.3 9.5 10 6.8l2.7 2.7"/>',
  previous: '<path d="m12 5-5 5 5 5"/>',
  next: '<path d="m8 5 5 5-5 5"/>',
  file: '<path d="M5 3h6.5L15.5 7v10h-10.5z"/><path d="M11.5 3v4h4"/>',
}

/** @typedef {keyof typeof SHAPES} IconName */

/**
 * @param {IconName} name
 * @returns {SVGElement} with the size and colour of the text around it
 */
export function icon(name) {
  const box = document.createElement("div")
  box.innerHTML =
    '<svg class="icon" viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.5"' +
    ` stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${SHAPES[name]}</svg>`
  return /** @type {SVGElement} */ (box.firstElementChild)
}
