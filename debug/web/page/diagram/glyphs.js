// @ts-check
// How an event looks: a shape and a colour by its kind, so that neither is needed alone.

/** @typedef {import('./theme.js').Theme} Theme */
/** @typedef {import('../types').DrawnEvent} DrawnEvent */

/** @typedef {'circle'|'diamond'|'clock'|'square'|'tick'|'up'|'cross'|'chain'|'drop'} Shape */

/** below: it lies under the lane's line, for it reaches no machine. @typedef {{shape: Shape, color: keyof Theme, what: string, below?: boolean}} Look */

/** @type {Record<string, Look>} */
const byKind = {
  recv: { shape: 'circle', color: 'recv', what: 'a message arrives' },
  request: { shape: 'diamond', color: 'request', what: 'a request from outside' },
  timer: { shape: 'clock', color: 'timer', what: 'a timer fires' },
  other: { shape: 'square', color: 'other', what: 'anything else' },
  note: { shape: 'tick', color: 'note', what: 'a note', below: true },
  boot: { shape: 'up', color: 'boot', what: 'the node starts' },
  stop: { shape: 'cross', color: 'bad', what: 'the node stops or crashes' },
  link: { shape: 'chain', color: 'link', what: 'a link goes up or down', below: true },
  drop: { shape: 'drop', color: 'drop', what: 'a message is dropped', below: true },
}

/** What there is to know of them, for the legend. */
export const looks = byKind

/** @param {{kind: string, name?: string}} e @returns {Look} */
export function lookOf(e) {
  if (e.kind !== 'note') return byKind[e.kind] || (e.kind === 'start' ? byKind.boot : byKind.other)
  switch (e.name) {
    case 'boot': return byKind.boot
    case 'stop':
    case 'crash': return byKind.stop
    case 'link': return byKind.link
    case 'drop': return byKind.drop
  }
  return byKind.note
}

/**
 * Adds a shape to a path.
 * @param {CanvasPath} p
 * @param {Shape} shape
 * @param {number} x
 * @param {number} y
 * @param {number} r
 */
export function addShape(p, shape, x, y, r) {
  switch (shape) {
    case 'circle':
    case 'clock':
      p.moveTo(x + r, y)
      p.arc(x, y, r, 0, 2 * Math.PI)
      return
    case 'diamond': {
      const d = r * 1.25
      p.moveTo(x, y - d)
      p.lineTo(x + d, y)
      p.lineTo(x, y + d)
      p.lineTo(x - d, y)
      p.closePath()
      return
    }
    case 'square':
      p.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8)
      return
    case 'tick':
      p.rect(x - 1, y - r * 1.3, 2, r * 2.6)
      return
    case 'up':
      p.moveTo(x, y - r * 1.35)
      p.lineTo(x + r * 1.2, y + r)
      p.lineTo(x - r * 1.2, y + r)
      p.closePath()
      return
    case 'chain':
      p.rect(x - r, y - r * 1.1, 1.8, r * 2.2)
      p.rect(x + r - 1.8, y - r * 1.1, 1.8, r * 2.2)
      p.rect(x - r, y - 0.9, r * 2, 1.8)
      return
    case 'cross':
    case 'drop':
      addCross(p, x, y, r * 1.1, shape === 'cross' ? 1.5 : 1.1)
  }
}

/**
 * A cross of two bars.
 * @param {CanvasPath} p
 * @param {number} x
 * @param {number} y
 * @param {number} r
 * @param {number} w half of a bar's width
 */
export function addCross(p, x, y, r, w) {
  const d = w * Math.SQRT1_2
  const a = r * Math.SQRT1_2
  const corners = [[-a - d, -a + d], [-a + d, -a - d], [a + d, a - d], [a - d, a + d]]
  const other = corners.map(([u, v]) => [u, -v]).reverse() // wound the same way, or the middle is a hole
  for (const bar of [corners, other]) {
    bar.forEach(([u, v], i) => (i ? p.lineTo(x + u, y + v) : p.moveTo(x + u, y + v)))
    p.closePath()
  }
}
