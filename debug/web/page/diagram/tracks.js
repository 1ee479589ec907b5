// @ts-check
// What expressions were over time, under the lanes: as steps, or as strips of colour.
import { html, useEffect, useRef } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { sized } from './canvas.js'
import { clock } from '../time.js'
import { fontOf, theme } from './theme.js'
import { cutAt } from './scene.js'
import { toX } from './view.js'
import { clip } from '../panels/text.js'
import { toText } from '../panels/value.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').State} State */
/** @typedef {import('../types').Track} Track */
/** @typedef {import('../types').TrackPoint} TrackPoint */
/** @typedef {import('../types').View} View */

/** How high a track is, in pixels. */
const trackHeight = 58

/** How many nodes get a line of their own colour. */
const linesMax = 40

/** @param {Track} track points by whose value they are */
function byNode(track) {
  /** @type {Map<string, TrackPoint[]>} */
  const map = new Map()
  for (const p of track.points) {
    const list = map.get(p.node)
    if (list) list.push(p)
    else map.set(p.node, [p])
  }
  return map
}

/** @param {any} v @returns {number|null} */
export const numberOf = (v) => (typeof v === 'number' ? v : typeof v === 'boolean' || typeof v === 'bigint' ? Number(v) : null)

/** @param {Track} t the least and the largest number */
function range(t) {
  let [lo, hi] = [Infinity, -Infinity]
  for (const p of t.points) {
    const n = numberOf(p.value)
    if (n === null) continue
    lo = Math.min(lo, n)
    hi = Math.max(hi, n)
  }
  return lo > hi ? null : { lo, hi }
}

/** @param {TrackPoint} p @param {State['axis']} axis */
const pointAt = (p, axis) => (axis === 'time' ? p.at : p[axis])

/** @param {any} v a value, in a few letters */
export function brief(v) {
  if (v === null || v === undefined) return '–'
  if (typeof v === 'number') return Number.isInteger(v) ? String(v) : v.toPrecision(5)
  if (typeof v === 'object' && typeof v.$ts === 'string' && Object.keys(v).length === 1) return clock(v.$ts)
  return clip(typeof v === 'string' ? v : toText(v), 26)
}

/** A colour of the series for a value that is no number. @param {any} v */
function hueOf(v) {
  const text = toText(v)
  let h = 0
  for (let i = 0; i < text.length; i++) h = (h * 31 + text.charCodeAt(i)) | 0
  const { series } = theme()
  return series[Math.abs(h) % series.length]
}

/**
 * @typedef {{ctx: CanvasRenderingContext2D, width: number, view: View, axis: State['axis'], end: number}} Chart
 * @param {Chart} c @param {TrackPoint[]} points
 * @param {(x0: number, x1: number, p: TrackPoint) => void} each of the stretches in view
 */
function stretches(c, points, each) {
  const list = points.filter((p) => pointAt(p, c.axis) !== undefined)
  for (let i = 0; i < list.length; i++) {
    const x0 = toX(c.view, c.width, pointAt(list[i], c.axis) ?? 0)
    const x1 = i + 1 < list.length ? toX(c.view, c.width, pointAt(list[i + 1], c.axis) ?? 0) : toX(c.view, c.width, c.end)
    if (x1 < -2 || x0 > c.width + 2) continue
    each(Math.max(-2, x0), Math.min(c.width + 2, x1), list[i])
  }
}

/** @param {Chart} c @param {Track} track */
function drawSteps(c, track) {
  const t = theme()
  const r = range(track)
  if (!r) return
  const [top, bottom] = [8, trackHeight - 8]
  const yOf = (/** @type {number} */ n) => (r.hi === r.lo ? (top + bottom) / 2 : bottom - ((n - r.lo) / (r.hi - r.lo)) * (bottom - top))
  const nodes = [...byNode(track)]
  nodes.slice(0, linesMax).forEach(([, points], i) => {
    c.ctx.beginPath()
    let before = false
    stretches(c, points, (x0, x1, p) => {
      const n = numberOf(p.value)
      if (n === null) {
        before = false
        return
      }
      const y = yOf(n)
      if (before) c.ctx.lineTo(x0, y)
      else c.ctx.moveTo(x0, y)
      c.ctx.lineTo(x1, y)
      before = true
    })
    c.ctx.strokeStyle = t.series[i % t.series.length]
    c.ctx.globalAlpha = nodes.length > 8 ? 0.6 : 0.95
    c.ctx.lineWidth = 1.6
    c.ctx.stroke()
  })
  c.ctx.globalAlpha = 1
}

/** @param {Chart} c @param {Track} track */
function drawHeat(c, track) {
  const t = theme()
  const r = range(track)
  const nodes = [...byNode(track)]
  const h = (trackHeight - 10) / Math.max(1, nodes.length)
  nodes.forEach(([, points], i) => {
    const y = 5 + i * h
    stretches(c, points, (x0, x1, p) => {
      const n = numberOf(p.value)
      if (p.value === null) return
      c.ctx.fillStyle = n === null ? hueOf(p.value) : t.accent
      c.ctx.globalAlpha = n === null || !r ? 0.75 : r.hi === r.lo ? 0.5 : 0.12 + 0.85 * ((n - r.lo) / (r.hi - r.lo))
      c.ctx.fillRect(x0, y, Math.max(1, x1 - x0), Math.max(1, h - 1))
      c.ctx.globalAlpha = 1
      const text = n === null ? brief(p.value) : ''
      if (text && x1 - x0 > 40 && h > 13) {
        c.ctx.fillStyle = t.panel
        if (c.ctx.measureText(text).width <= x1 - x0 - 6) c.ctx.fillText(text, x0 + 4, y + h / 2)
      }
    })
  })
}

/** @param {HTMLCanvasElement} canvas @param {Store} store @param {Track} track @param {number} width @param {View} view */
function drawTrack(canvas, store, track, width, view) {
  const ctx = sized(canvas, width, trackHeight)
  const s = store.get()
  if (!ctx) return
  ctx.clearRect(0, 0, width, trackHeight)
  const t = theme()
  ctx.font = fontOf('font', 10.5)
  ctx.textBaseline = 'middle'
  const c = { ctx, width, view, axis: s.axis, end: s.about?.spans[s.axis]?.to ?? view.to }
  if (track.kind === 'step') drawSteps(c, track)
  else drawHeat(c, track)
  const cut = s.cut ? cutAt(s, s.cut) : undefined
  if (cut === undefined || s.axis === 'depth') return
  ctx.fillStyle = t.accent
  ctx.fillRect(Math.round(toX(view, width, cut)) - 0.75, 0, 1.5, trackHeight)
}

/** What a track's values are at the cut. @param {State} s @param {Track} track @returns {[string, any][]} */
function valuesAt(s, track) {
  const at = s.cut?.begin ? -1 : s.cut?.timeAt
  if (at === undefined) return []
  return [...byNode(track)].map(([node, points]) => {
    let [lo, hi] = [0, points.length]
    while (lo < hi) {
      const mid = (lo + hi) >> 1
      if (points[mid].at <= at) lo = mid + 1
      else hi = mid
    }
    return /** @type {[string, any]} */ ([node, lo ? points[lo - 1].value : undefined])
  })
}

/** @param {{store: Store, track: Track, index: number, width: number, shownView: {current: View}}} props */
function TrackRow({ store, track, index, width, shownView }) {
  const canvas = useRef(/** @type {HTMLCanvasElement|null} */ (null))
  const cut = useStore(store, (s) => s.cut)
  const s = store.get()
  const values = valuesAt({ ...s, cut }, track)
  useEffect(() => {
    const draw = () => canvas.current && drawTrack(canvas.current, store, track, width, shownView.current)
    draw()
    window.addEventListener('hindcast-drawn', draw)
    return () => window.removeEventListener('hindcast-drawn', draw)
  }, [track, width])
  const r = range(track)
  return html`<div class="track">
    <div class="track-name">
      <div class="track-title"><b title=${track.expr}>${track.title}</b>
        <button class="quiet" title=${track.kind === 'step' ? 'as a strip of colours' : 'as steps'} aria-label="another form" onClick=${() => store.act.setTrackKind(index, track.kind === 'step' ? 'heat' : 'step')}>${track.kind === 'step' ? '▤' : '⌁'}</button>
        <button class="quiet" title="take away" aria-label=${'take away ' + track.title} onClick=${() => store.act.unpin(index)}>✕</button></div>
      <div class="track-values">${values.slice(0, 6).map(([node, v], i) => html`<span key=${node} title=${node}><i class=${'series-' + ((i % 8) + 1)}></i>${node && html`<u>${node}</u> `}${brief(v)}</span>`)}</div>
    </div>
    <div class="track-chart">
      <canvas ref=${canvas} role="img" aria-label=${`${track.expr}: ${track.points.length} changes${r ? `, from ${brief(r.lo)} to ${brief(r.hi)}` : ''}`}></canvas>
      ${r && track.kind === 'step' && html`<span class="scale top">${brief(r.hi)}</span>${r.hi !== r.lo && html`<span class="scale bottom">${brief(r.lo)}</span>`}`}
      ${track.loading ? html`<span class="track-note">asking…</span>` : track.error ? html`<span class="track-note bad">${track.error}</span>` : track.partial ? html`<span class="track-note">not all of it</span>` : null}
    </div>
  </div>`
}

/** @param {{store: Store, width: number, shownView: {current: View}}} props */
export function Tracks({ store, width, shownView }) {
  const tracks = useStore(store, (s) => s.tracks)
  if (!tracks.length) return null
  return html`<div class="tracks" role="group" aria-label="Tracks">
    ${tracks.map((t, i) => html`<${TrackRow} key=${t.expr} store=${store} track=${t} index=${i} width=${width} shownView=${shownView} />`)}
  </div>`
}
