// @ts-check
// Events, one by one.
import { addShape, lookOf } from './glyphs.js'
import { radiusOf, relation, sceneX, sceneY } from './scene.js'
import { theme } from './theme.js'

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('../types').DrawnEvent} DrawnEvent */

/** How many names are looked at, at most. */
const namesMax = 1500

/**
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 */
export function drawEvents(ctx, s) {
  const t = theme()
  const r = radiusOf(s)
  /** @type {Map<string, {path: Path2D, color: string, hollow: boolean, dim: boolean}>} */
  const batches = new Map()
  for (const e of s.state.drawn?.events || []) {
    const x = sceneX(s, e.at)
    const y = sceneY(s, e.node)
    if (x < -10 || x > s.width + 10 || y < -10 || y > s.height + 10) continue
    const look = lookOf(e)
    const dim = s.state.cone !== null && relation(s.state, e.node, e.seq) === ''
    const key = look.color + look.shape + dim
    let b = batches.get(key)
    if (!b) batches.set(key, (b = { path: new Path2D(), color: String(t[look.color]), hollow: look.shape === 'clock', dim }))
    addShape(b.path, look.shape, x, y, r)
  }
  ctx.save()
  ctx.lineJoin = 'round'
  for (const b of [...batches.values()].sort((a, c) => Number(c.dim) - Number(a.dim))) {
    ctx.globalAlpha = 1
    ctx.strokeStyle = t.panel // a halo parts what lies close
    ctx.lineWidth = 2
    if (!b.dim) ctx.stroke(b.path)
    ctx.globalAlpha = b.dim ? 0.22 : 1
    ctx.fillStyle = b.hollow ? t.panel : b.color
    ctx.fill(b.path)
    if (b.hollow) {
      ctx.strokeStyle = b.color
      ctx.lineWidth = 1.7
      ctx.stroke(b.path)
    }
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
  ctx.font = `10.5px ${t.font}`
  ctx.textAlign = 'center'
  ctx.textBaseline = 'alphabetic'
  ctx.strokeStyle = t.panel
  ctx.lineWidth = 3
  ctx.lineJoin = 'round'
  const shown = events.filter((e) => {
    const x = sceneX(s, e.at)
    return x > -40 && x < s.width + 40
  })
  // A name is where neither its neighbours' names nor they themselves would be hidden.
  const end = new Map()
  for (let i = 0; i < shown.length; i++) {
    const e = shown[i]
    const text = e.kind === 'note' ? e.name || e.kind : e.name ? e.name : e.kind
    const x = sceneX(s, e.at)
    const w = ctx.measureText(text).width
    if (x - w / 2 < (end.get(e.node) ?? -Infinity) + 7) continue
    end.set(e.node, x + w / 2)
    const dim = s.state.cone !== null && relation(s.state, e.node, e.seq) === ''
    ctx.globalAlpha = dim ? 0.3 : 1
    const y = sceneY(s, e.node) - r - 6
    ctx.strokeText(text, x, y)
    ctx.fillStyle = dim ? t.muted : t.text
    ctx.fillText(text, x, y)
  }
  ctx.restore()
}
