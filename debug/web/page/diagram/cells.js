// @ts-check
// A frame as a picture: for each lane a band as wide as there are columns, in which a
// column is the higher the more events it has.
import { theme } from './theme.js'

/** @typedef {import('../types').Frame} Frame */
/** @typedef {import('../types').LaneCells} LaneCells */

/** What a class says, as bits. */
export const classes = { recv: 1, request: 2, timer: 4, other: 8, note: 16, boot: 32, link: 64, drop: 128 }

/**
 * @typedef {object} Picture
 * @property {HTMLCanvasElement} image
 * @property {number} band how high each lane's is, in its pixels
 * @property {Frame} frame
 * @property {Map<number, number>} slots by node: which band it is
 */

/** @type {CanvasRenderingContext2D|null} */
let pen = null

/**
 * A colour as a pixel, in the order of bytes of ImageData.
 * @param {string} color
 * @param {number} [alpha]
 */
function pixel(color, alpha = 1) {
  if (!pen) {
    const one = document.createElement('canvas')
    one.width = one.height = 1
    pen = /** @type {CanvasRenderingContext2D} */ (one.getContext('2d', { willReadFrequently: true }))
  }
  pen.clearRect(0, 0, 1, 1)
  pen.fillStyle = color
  pen.fillRect(0, 0, 1, 1)
  const [r, g, b] = pen.getImageData(0, 0, 1, 1).data
  return ((Math.round(alpha * 255) << 24) | (b << 16) | (g << 8) | r) >>> 0
}

/** @type {{of: import('./theme.js').Theme, table: Uint32Array, boot: number, link: number, drop: number}|null} */
let kept = null

/** Pixels by class: that of a kind if there is but one. */
function palette() {
  const t = theme()
  if (kept?.of === t) return kept
  const table = new Uint32Array(32).fill(pixel(t.density, 0.95))
  table[classes.recv] = pixel(t.recv, 0.8)
  table[classes.request] = pixel(t.request, 0.8)
  table[classes.timer] = pixel(t.timer, 0.8)
  table[classes.other] = pixel(t.other, 0.55)
  table[classes.note] = pixel(t.note, 0.6)
  table[0] = pixel(t.note, 0.7)
  return (kept = { of: t, table, boot: pixel(t.boot), link: pixel(t.link), drop: pixel(t.drop) })
}

/** @param {Frame} frame the most events in a cell */
function fullest(frame) {
  let most = 1
  for (const lane of frame.lanes) {
    for (const n of lane.counts) if (n > most) most = n
  }
  return most
}

/**
 * Draws some nodes of a frame as a picture.
 * @param {Frame} frame
 * @param {number} band how high a lane's is, in device pixels
 * @param {(node: number) => boolean} wanted
 * @param {HTMLCanvasElement} image to draw on: to make one takes as long as to draw
 * @returns {Picture|null}
 */
export function pictureOf(frame, band, wanted, image) {
  const { columns: width } = frame
  const nodes = frame.nodes.filter(wanted)
  if (!width || !nodes.length) return null
  const height = band * nodes.length
  if (image.width !== width || image.height < height || image.height > height * 2) {
    image.width = width
    image.height = height
  }
  const ctx = image.getContext('2d')
  if (!ctx) return null
  const data = ctx.createImageData(width, height)
  const out = new Uint32Array(data.data.buffer)
  const colors = palette()
  const scale = 1 / Math.log1p(fullest(frame))
  const row = { color: new Uint32Array(width), top: new Uint8Array(width) }
  const slots = new Map()
  frame.nodes.forEach((node, i) => {
    if (!wanted(node)) return
    const slot = slots.size
    slots.set(node, slot)
    drawLane(out.subarray(slot * band * width, (slot + 1) * band * width), width, band, frame.lanes[i], colors, scale, row)
  })
  ctx.putImageData(data, 0, 0)
  return { image, band, frame, slots }
}

/**
 * Draws a lane row by row of pixels, which is several times as fast as column by column.
 * @param {Uint32Array} out a lane's pixels
 * @param {number} width
 * @param {number} band
 * @param {LaneCells} lane
 * @param {ReturnType<typeof palette>} colors
 * @param {number} scale
 * @param {{color: Uint32Array, top: Uint8Array}} row for each column, to be used again
 */
function drawLane(out, width, band, lane, colors, scale, { color, top }) {
  const n = lane.columns.length
  for (let k = 0; k < n; k++) {
    const boot = lane.classes[k] & classes.boot
    const h = boot ? band : Math.max(2, Math.round(band * (0.22 + 0.78 * Math.log1p(lane.counts[k]) * scale)))
    top[k] = (band - h) >> 1
    color[k] = boot ? colors.boot : colors.table[lane.classes[k] & 31]
  }
  for (let y = 0; y < band; y++) {
    const fromEdge = Math.min(y, band - 1 - y)
    const at = y * width
    for (let k = 0; k < n; k++) if (top[k] <= fromEdge) out[at + lane.columns[k]] = color[k]
  }
  const signal = Math.max(2, Math.round(band / 6))
  for (let k = 0; k < n; k++) {
    const c = lane.classes[k]
    if (c & classes.link) for (let y = band - signal; y < band; y++) out[y * width + lane.columns[k]] = colors.link
    if (c & classes.drop) for (let y = 0; y < signal; y++) out[y * width + lane.columns[k]] = colors.drop
  }
}

/**
 * How many events of a frame are in a part of it, nearly.
 * @param {Frame} frame
 * @param {import('../types').View} view
 */
export function countIn(frame, view) {
  const scale = frame.columns / (frame.view.to - frame.view.from + 1)
  const from = Math.floor((view.from - frame.view.from) * scale)
  const to = Math.ceil((view.to - frame.view.from) * scale)
  let n = 0
  for (const lane of frame.lanes) {
    for (let k = 0; k < lane.columns.length; k++) {
      if (lane.columns[k] >= from && lane.columns[k] <= to) n += lane.counts[k]
    }
  }
  return n
}
