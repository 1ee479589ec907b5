// @ts-check
// Events, one by one.
import { addShape, lookOf } from './glyphs.js'
import { dimmed, eventY, radiusOf, relation, sceneX, sceneY } from './scene.js'
import { fontOf, theme } from './theme.js'
import { visible } from '../panels/text.js'

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('../types').DrawnEvent} DrawnEvent */

/** How many names are looked at, at most. */
const namesMax = 1500

/** What many events are, which is drawn as thin lines where they would hide each other. */
const plain = ['circle', 'diamond', 'clock', 'square']

/** How close they are then, in pixels. */
const denseGap = 3

/** How many are so close at least: fewer can be told from their shapes' edges. */
const denseRun = 4

/** How wide a stretch of them is at least, in pixels: a narrower one is as one shape. */
const denseWidth = 8

/**
 * The events that hide their neighbours on the lane, were they drawn as shapes: the edges
 * of a hundred shapes in a place would leave nothing to be seen of any.
 * @param {Scene} s
 * @param {DrawnEvent[]} events those of a lane from left to right
 */
export function denseEvents(s, events) {
  /** @type {Map<number, {events: DrawnEvent[], thin: boolean}>} */
  const runs = new Map()
  const dense = new Set()
  const pixel = (s.view.to - s.view.from) / s.width
  for (const e of events) {
    const row = s.layout.rowOf[e.node]
    let run = runs.get(row)
    if (!run || e.at - run.events[run.events.length - 1].at >= denseGap * pixel) runs.set(row, (run = { events: [], thin: false }))
    run.events.push(e)
    if (run.thin) dense.add(e)
    else if (run.events.length >= denseRun && e.at - run.events[0].at >= denseWidth * pixel) {
      run.thin = true
      for (const o of run.events) dense.add(o)
    }
  }
  return dense
}

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 */
export function drawEvents(ctx, s) {
  const t = theme()
  const r = radiusOf(s)
  /** @type {Map<string, {path: Path2D, color: string, hollow: boolean, edge: boolean, dim: boolean}>} */
  const batches = new Map()
  const dense = denseEvents(s, s.state.drawn?.events || [])
  for (const e of s.state.drawn?.events || []) {
    const x = sceneX(s, e.at)
    const look = lookOf(e)
    const y = eventY(s, e, look)
    if (x < -10 || x > s.width + 10 || y < -10 || y > s.height + 10) continue
    const dim = s.state.cone !== null && relation(s.state, e.node, e.seq) === ''
    const thin = dense.has(e) && plain.includes(look.shape)
    const key = look.color + look.shape + dim + thin
    let b = batches.get(key)
    if (!b) batches.set(key, (b = { path: new Path2D(), color: String(t[look.color]), hollow: look.shape === 'clock' && !thin, edge: look.below !== true && !thin, dim }))
    if (thin) b.path.rect(x - 0.75, y - r, 1.5, r * 2)
    else addShape(b.path, look.shape, x, y, look.below ? r * 0.8 : r)
  }
  ctx.save()
  ctx.lineJoin = 'round'
  for (const b of [...batches.values()].sort((a, c) => Number(c.dim) - Number(a.dim))) {
    ctx.globalAlpha = b.dim ? dimmed : 1
    ctx.fillStyle = b.hollow ? t.panel : b.color
    ctx.fill(b.path)
    ctx.strokeStyle = b.hollow ? b.color : t.panel // an edge parts what lies close
    ctx.lineWidth = b.hollow ? 1.7 : 1
    if (b.hollow || b.edge) ctx.stroke(b.path)
  }
  ctx.restore()
}

/**
 * Names beside events, where there is room.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 */
export function drawEventNames(ctx, s) {
  const events = s.state.drawn?.events || []
  if (s.layout.pitch < 30 || events.length > namesMax) return
  const t = theme()
  const r = radiusOf(s)
  ctx.save()
  ctx.font = fontOf('font', 10.5)
  ctx.textAlign = 'center'
  ctx.textBaseline = 'alphabetic'
  ctx.strokeStyle = t.panel
  ctx.lineWidth = 3
  ctx.lineJoin = 'round'
  const shown = events.filter((e) => {
    const x = sceneX(s, e.at)
    return x > -40 && x < s.width + 40
  })
  if (s.state.axis === 'depth') shown.sort((a, b) => a.at - b.at)
  // A name is where it hides neither its neighbours nor their names.
  const crowded = neighbours(s, shown)
  const end = new Map()
  for (const e of shown) {
    if (crowded.has(e) || (lookOf(e).below && shown.length > 200)) continue
    const text = clip(visible(e.name || e.kind))
    const x = sceneX(s, e.at)
    const w = ctx.measureText(text).width
    const row = s.layout.rowOf[e.node]
    if (x - w / 2 < Math.max(2, (end.get(row) ?? -Infinity) + 7)) continue
    end.set(row, x + w / 2)
    const dim = s.state.cone !== null && relation(s.state, e.node, e.seq) === ''
    const y = sceneY(s, e.node) - r - 6
    ctx.strokeText(text, x, y)
    ctx.fillStyle = dim ? t.muted : t.text
    ctx.fillText(text, x, y)
  }
  ctx.restore()
}

/** As much of a name as is drawn. @param {string} name */
export const clip = (name) => (name.length > 28 ? name.slice(0, 27) + '…' : name)

/** How near another event of the lane takes an event's name, in pixels. */
const near = 13

/** The events that have another close by. @param {Scene} s @param {DrawnEvent[]} events from left to right */
function neighbours(s, events) {
  /** @type {Map<number, DrawnEvent>} */
  const last = new Map()
  const crowded = new Set()
  const least = (near / s.width) * (s.view.to - s.view.from)
  for (const e of events) {
    const row = s.layout.rowOf[e.node]
    const before = last.get(row)
    last.set(row, e)
    if (before && e.at - before.at < least) crowded.add(e).add(before)
  }
  return crowded
}
