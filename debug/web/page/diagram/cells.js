// @ts-check
// A frame as a picture: for each lane a band as wide as there are columns, in which a
// column is the higher the more events it has.
import { theme } from './theme.js'

/** @typedef {import('../types').Frame} Frame */
/** @typedef {import('../types').LaneCells} LaneCells */

/** What a class says, as bits. */
export const classes = { recv: 1, request: 2, timer: 4, other: 8, note: 16, boot: 32, link: 64, drop: 128 }

/** @typedef {{image: HTMLCanvasElement, band: number, frame: Frame}} Picture */

const one = document.createElement('canvas')
one.width = one.height = 1
const pen = /** @type {CanvasRenderingContext2D} */ (one.getContext('2d', { willReadFrequently: true }))

/**
 * A colour as a pixel, in the order of bytes of ImageData.
 * @param {string} color
 * @param {number} [alpha]
 */
function pixel(color, alpha = 1) {
  pen.clearRect(0, 0, 1, 1)
  pen.fillStyle = color
  pen.fillRect(0, 0, 1, 1)
  const [r, g, b] = pen.getImageData(0, 0, 1, 1).data
  return ((Math.round(alpha * 255) << 24) | (b << 16) | (g << 8) | r) >>> 0
}

/** Pixels by class: that of a kind if there is but one. */
function palette() {
  const t = theme()
  const table = new Uint32Array(32).fill(pixel(t.density, 0.95))
  table[classes.recv] = pixel(t.recv, 0.8)
  table[classes.request] = pixel(t.request, 0.8)
  table[classes.timer] = pixel(t.timer, 0.8)
  table[classes.other] = pixel(t.other, 0.55)
  table[classes.note] = pixel(t.note, 0.6)
  table[0] = pixel(t.note, 0.7)
  return { table, boot: pixel(t.boot), link: pixel(t.link), drop: pixel(t.drop) }
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
 * Draws a frame as a picture.
 * @param {Frame} frame
 * @param {number} band how high a lane's is, in device pixels
 * @returns {Picture|null}
 */
export function pictureOf(frame, band) {
  const { columns: width, lanes } = frame
  if (!width || !lanes.length) return null
  const image = document.createElement('canvas')
  image.width = width
  image.height = band * lanes.length
  const ctx = image.getContext('2d')
  if (!ctx) return null
  const data = ctx.createImageData(image.width, image.height)
  const out = new Uint32Array(data.data.buffer)
  const colors = palette()
  const scale = 1 / Math.log1p(fullest(frame))
  lanes.forEach((lane, i) => drawLane(out.subarray(i * band * width, (i + 1) * band * width), width, band, lane, colors, scale))
  ctx.putImageData(data, 0, 0)
  return { image, band, frame }
}

/**
 * @param {Uint32Array} out a lane's pixels
 * @param {number} width
 * @param {number} band
 * @param {LaneCells} lane
 * @param {ReturnType<typeof palette>} colors
 * @param {number} scale
 */
function drawLane(out, width, band, lane, colors, scale) {
  const signal = Math.max(2, Math.round(band / 6))
  for (let k = 0; k < lane.columns.length; k++) {
    const x = lane.columns[k]
    const c = lane.classes[k]
    const h = Math.max(2, Math.round(band * (0.22 + 0.78 * Math.log1p(lane.counts[k]) * scale)))
    const color = colors.table[c & 31]
    let y = (band - h) >> 1
    for (const end = y + h; y < end; y++) out[y * width + x] = color
    if (c < classes.boot) continue
    if (c & classes.boot) for (y = 0; y < band; y++) out[y * width + x] = colors.boot
    if (c & classes.link) for (y = band - signal; y < band; y++) out[y * width + x] = colors.link
    if (c & classes.drop) for (y = 0; y < signal; y++) out[y * width + x] = colors.drop
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
