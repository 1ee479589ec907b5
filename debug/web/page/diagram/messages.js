// @ts-check
// Arrows: messages that arrived, were lost, arrived again, or are on their way, and
// timers from where they were set to where they fired.
import { addCross } from './glyphs.js'
import { dimmed, messageRelation, radiusOf, sceneX, sceneY } from './scene.js'
import { fontOf, theme } from './theme.js'
import { clip } from './events.js'
import { visible } from '../panels/text.js'

/** @typedef {import('./scene.js').Scene} Scene */
/** @typedef {import('../types').DrawnMessage} DrawnMessage */

/** @typedef {{x0: number, y0: number, x1: number, y1: number, kind: 'there'|'lost'|'away'|'again'|'arc', m: DrawnMessage}} Arrow */

/** How far the arrow of a message that never arrived goes, in pixels. */
const stubMax = 64

/**
 * Where a message is drawn; null if it isn't.
 * @param {Scene} s
 * @param {DrawnMessage} m
 * @returns {Arrow|null}
 */
export function arrowOf(s, m) {
  if (m.from && m.to) {
    const [x0, x1] = [sceneX(s, m.from.at), sceneX(s, m.to.at)]
    if (Math.max(x0, x1) < -50 || Math.min(x0, x1) > s.width + 50) return null
    const kind = s.layout.rowOf[m.from.node] === s.layout.rowOf[m.to.node] ? 'arc' : m.again ? 'again' : 'there'
    return { x0, y0: sceneY(s, m.from.node), x1, y1: sceneY(s, m.to.node), kind, m }
  }
  if (m.to) { // nobody recorded sent it: it comes from above
    const [x, y] = [sceneX(s, m.to.at), sceneY(s, m.to.node)]
    return { x0: x - 12, y0: y - s.layout.pitch * 0.42, x1: x, y1: y, kind: 'there', m }
  }
  if (!m.from) return null
  const [x, y] = [sceneX(s, m.from.at), sceneY(s, m.from.node)]
  const down = m.toward >= 0 ? Math.sign(s.layout.rowOf[m.toward] - s.layout.rowOf[m.from.node]) || 1 : 1
  const rows = m.toward >= 0 ? Math.abs(s.layout.rowOf[m.toward] - s.layout.rowOf[m.from.node]) || 0.5 : 0.5
  const dy = Math.min(rows * s.layout.pitch * 0.66, s.layout.pitch * 1.5)
  return { x0: x, y0: y, x1: x + Math.min(stubMax, dy * 0.55), y1: y + down * dy, kind: m.lost ? 'lost' : 'away', m }
}

/** @param {CanvasPath} p @param {Arrow} a @param {number} r how far before its end the line ends */
function addLine(p, a, r) {
  const [dx, dy] = [a.x1 - a.x0, a.y1 - a.y0]
  const n = Math.hypot(dx, dy) || 1
  p.moveTo(a.x0, a.y0)
  p.lineTo(a.x1 - (dx / n) * r, a.y1 - (dy / n) * r)
}

/** @param {CanvasPath} p @param {Arrow} a @param {number} r */
function addHead(p, a, r) {
  const [dx, dy] = [a.x1 - a.x0, a.y1 - a.y0]
  const n = Math.hypot(dx, dy) || 1
  const [ux, uy] = [dx / n, dy / n]
  const [x, y] = [a.x1 - ux * r, a.y1 - uy * r]
  p.moveTo(x, y)
  p.lineTo(x - ux * 7 - uy * 3, y - uy * 7 + ux * 3)
  p.lineTo(x - ux * 7 + uy * 3, y - uy * 7 - ux * 3)
  p.closePath()
}

/** A message of a node to itself, or a timer. @param {CanvasPath} p @param {Arrow} a @param {number} depth */
function addArc(p, a, depth) {
  const d = Math.min(depth, 5 + Math.abs(a.x1 - a.x0) * 0.22)
  p.moveTo(a.x0, a.y0)
  p.bezierCurveTo(a.x0 + d * 0.4, a.y0 + d * 1.3, a.x1 - d * 0.4, a.y1 + d * 1.3, a.x1, a.y1)
}

/**
 * @typedef {{lines: Path2D, heads: Path2D, lost: Path2D, crosses: Path2D, again: Path2D, arcs: Path2D, fades: Arrow[], color: string, arc: string, strong: boolean}} Batch
 * @param {string} color
 * @param {string} arc
 * @param {boolean} strong
 * @returns {Batch}
 */
const batch = (color, arc, strong) => ({ lines: new Path2D(), heads: new Path2D(), lost: new Path2D(), crosses: new Path2D(), again: new Path2D(), arcs: new Path2D(), fades: [], color, arc, strong })

/** @param {Batch} b @param {Arrow} a @param {number} r @param {number} pitch */
function add(b, a, r, pitch) {
  switch (a.kind) {
    case 'arc':
      addArc(b.arcs, a, pitch * 0.3)
      return
    case 'lost':
      addLine(b.lost, a, 0)
      addCross(b.crosses, a.x1, a.y1, 5.5, 1)
      return
    case 'away':
      b.fades.push(a)
      return
    case 'again':
      for (const o of [-1.8, 1.8]) addLine(b.again, { ...a, x0: a.x0 + o, x1: a.x1 + o }, r)
      addHead(b.heads, a, r)
      return
  }
  addLine(b.lines, a, r)
  if (Math.abs(a.y1 - a.y0) > 8) addHead(b.heads, a, r)
}

/**
 * Draws all messages; those that lead to or from what is selected over the others.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 * @returns {Arrow[]} what was drawn
 */
export function drawMessages(ctx, s) {
  const t = theme()
  const cone = s.state.cone !== null
  const batches = { '': batch(t.message, t.timerline, false), past: batch(t.past, t.past, true), future: batch(t.future, t.future, true), self: batch(t.accent, t.accent, true) }
  const r = radiusOf(s)
  /** @type {Arrow[]} */
  const arrows = []
  for (const m of s.state.drawn?.messages || []) {
    const a = arrowOf(s, m)
    if (!a) continue
    arrows.push(a)
    add(batches[cone ? messageRelation(s.state, m) : ''], a, r, s.layout.pitch)
  }
  const crowd = Math.max(0.45, Math.min(0.95, 200 / Math.max(1, arrows.length)))
  drawBatch(ctx, batches[''], cone ? Math.min(dimmed, crowd) : crowd)
  drawBatch(ctx, batches.past, Math.max(0.6, crowd))
  drawBatch(ctx, batches.future, Math.max(0.6, crowd))
  return arrows
}

/** @param {CanvasRenderingContext2D} ctx @param {Batch} b @param {number} alpha */
function drawBatch(ctx, b, alpha) {
  const t = theme()
  ctx.save()
  ctx.globalAlpha = alpha
  ctx.lineWidth = b.strong && alpha > 0.8 ? 1.6 : 1.1
  ctx.strokeStyle = b.arc
  ctx.stroke(b.arcs)
  ctx.strokeStyle = ctx.fillStyle = b.color
  ctx.stroke(b.lines)
  ctx.setLineDash([5, 3])
  ctx.stroke(b.again)
  ctx.strokeStyle = ctx.fillStyle = t.drop
  ctx.globalAlpha = b.strong ? 1 : Math.min(1, alpha * 1.5)
  ctx.setLineDash([4, 3])
  ctx.stroke(b.lost)
  ctx.setLineDash([])
  ctx.fill(b.crosses)
  ctx.globalAlpha = alpha
  ctx.fillStyle = ctx.strokeStyle = b.color
  ctx.fill(b.heads)
  drawFades(ctx, b.fades, alpha)
  ctx.restore()
}

/** What is on its way fades. @param {CanvasRenderingContext2D} ctx @param {Arrow[]} arrows @param {number} alpha */
function drawFades(ctx, arrows, alpha) {
  const parts = 5
  for (let i = 0; i < parts; i++) {
    const [p, q] = [i / parts, (i + 1) / parts]
    ctx.globalAlpha = alpha * (1 - p) ** 1.3
    ctx.beginPath()
    for (const a of arrows) {
      ctx.moveTo(a.x0 + (a.x1 - a.x0) * p, a.y0 + (a.y1 - a.y0) * p)
      ctx.lineTo(a.x0 + (a.x1 - a.x0) * q, a.y0 + (a.y1 - a.y0) * q)
    }
    ctx.stroke()
  }
}

/**
 * Where an arrow's name stands: in its middle, or beside it if a lane is there.
 * @param {Arrow} a
 * @param {number} pitch pixels from lane to lane
 */
export function namePlace(a, pitch) {
  const rows = Math.round(Math.abs(a.y1 - a.y0) / pitch)
  const part = a.kind !== 'lost' && a.kind !== 'away' && rows > 0 && rows % 2 === 0 ? (rows - 1) / 2 / rows : 0.5
  return { x: a.x0 + (a.x1 - a.x0) * part, y: a.y0 + (a.y1 - a.y0) * part }
}

/**
 * Names on the lines of messages, where there is room.
 * @param {CanvasRenderingContext2D} ctx
 * @param {Scene} s
 * @param {Arrow[]} arrows
 */
export function drawMessageNames(ctx, s, arrows) {
  const seen = arrows.filter((a) => a.m.name && a.kind !== 'arc' && Math.abs(a.y1 - a.y0) > 26)
  if (seen.length > 60) return
  const t = theme()
  ctx.font = fontOf('font', 10.5)
  ctx.textAlign = 'center'
  ctx.textBaseline = 'middle'
  ctx.lineWidth = 3
  ctx.lineJoin = 'round'
  /** @type {{x: number, y: number, w: number}[]} */
  const taken = []
  for (const a of seen) {
    const text = clip(visible(a.m.name || '')) + (a.m.lost ? ': ' + clip(visible(a.m.lost)) : '')
    const w = ctx.measureText(text).width
    const { x, y } = namePlace(a, s.layout.pitch)
    if (x < w / 2 || x > s.width - w / 2 || taken.some((o) => Math.abs(o.x - x) < (o.w + w) / 2 + 4 && Math.abs(o.y - y) < 13)) continue
    taken.push({ x, y, w })
    ctx.strokeStyle = t.panel
    ctx.strokeText(text, x, y)
    ctx.fillStyle = a.kind === 'lost' ? t.drop : s.state.cone && messageRelation(s.state, a.m) ? t.text : t.muted
    ctx.fillText(text, x, y)
  }
}
