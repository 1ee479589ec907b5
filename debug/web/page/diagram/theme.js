// @ts-check
// The tokens of style.css, for the canvas.

const names = /** @type {const} */ (['ground', 'panel', 'raised', 'sunken', 'line', 'line-strong', 'text', 'muted', 'accent', 'accent-soft', 'on-accent',
  'good', 'warn', 'bad', 'recv', 'request', 'timer', 'other', 'note', 'boot', 'link', 'drop', 'lane', 'message', 'timerline',
  'hit', 'mark', 'row', 'down', 'down-line', 'unknown', 'unknown-line', 'density', 'past', 'future', 'bad-soft', 'font', 'mono'])

/** @typedef {{[name in typeof names[number]]: string} & {hatch: CanvasPattern|null, question: CanvasPattern|null, series: string[], scale: number}} Theme */

/** @type {Theme|null} */
let read = null

/** @param {number} size @param {(c: CanvasRenderingContext2D) => void} draw */
function pattern(size, draw) {
  const tile = document.createElement('canvas')
  const scale = window.devicePixelRatio || 1
  tile.width = tile.height = Math.round(size * scale)
  const c = tile.getContext('2d')
  if (!c) return null
  c.scale(tile.width / size, tile.height / size)
  draw(c)
  const p = c.createPattern(tile, 'repeat')
  p?.setTransform(new DOMMatrix().scale(size / tile.width))
  return p
}

/** @returns {Theme} */
function readTheme() {
  const style = getComputedStyle(document.documentElement)
  /** @type {any} */
  const t = { series: [], scale: Number(style.getPropertyValue('--canvas-scale')) || 1 }
  for (const n of names) t[n] = style.getPropertyValue('--' + n).trim()
  for (let i = 1; i <= 8; i++) t.series.push(style.getPropertyValue('--series-' + i).trim() || t.accent)
  t.hatch = pattern(7, (c) => {
    c.strokeStyle = t['down-line']
    c.lineWidth = 1.1
    c.beginPath()
    for (const o of [-7, 0, 7]) {
      c.moveTo(o - 1, 8)
      c.lineTo(o + 8, -1)
    }
    c.stroke()
  })
  t.question = pattern(22, (c) => {
    c.fillStyle = t['unknown-line']
    c.font = `11px ${t.font}`
    c.textAlign = 'center'
    c.textBaseline = 'middle'
    c.fillText('?', 6, 6)
    c.fillText('?', 17, 17)
  })
  return t
}

/** @returns {Theme} */
export function theme() {
  return (read ??= readTheme())
}

/**
 * A font for the canvas; larger where the page is.
 * @param {'font'|'mono'} family
 * @param {number} size pixels
 * @param {boolean} [strong]
 */
export function fontOf(family, size, strong) {
  const t = theme()
  return `${strong ? '600 ' : ''}${size * t.scale}px ${t[family]}`
}

/**
 * Tells when the colours have changed.
 * @param {() => void} changed
 * @returns {() => void} ends it
 */
export function watchTheme(changed) {
  const again = () => {
    read = null
    changed()
  }
  const media = matchMedia('(prefers-color-scheme: dark)')
  media.addEventListener('change', again)
  const large = matchMedia('(min-width: 2400px)')
  large.addEventListener('change', again)
  const seen = new MutationObserver(again)
  seen.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
  return () => {
    media.removeEventListener('change', again)
    large.removeEventListener('change', again)
    seen.disconnect()
  }
}
