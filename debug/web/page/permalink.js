// @ts-check
// What of the state stands in the URL, after #.

/** @typedef {import('./types').State} State */
/** @typedef {import('./types').Axis} Axis */
/** @typedef {import('./types').Tab} Tab */

/**
 * What a permalink says: all of it may be missing.
 * @typedef {object} Link
 * @property {Axis} [axis]
 * @property {{from: number, to: number}} [view]
 * @property {string} [cut] as goto has it
 * @property {string} [selected] likewise
 * @property {Tab} [tab]
 * @property {number[]} [lanes] in another order than the recording's
 * @property {number[]} [collapsed]
 * @property {string} [filter]
 * @property {string[]} [pins]
 * @property {string} [query]
 */

const axes = ['time', 'order', 'depth']
const tabs = ['event', 'state', 'query', 'notebook', 'compare']

/**
 * Numbers as ranges: 0-3,7.
 * @param {number[]} numbers
 */
export function printRanges(numbers) {
  const out = []
  for (let i = 0; i < numbers.length; ) {
    let k = i
    while (k + 1 < numbers.length && numbers[k + 1] === numbers[k] + 1) k++
    out.push(k > i ? `${numbers[i]}-${numbers[k]}` : `${numbers[i]}`)
    i = k + 1
  }
  return out.join(',')
}

/**
 * @param {string} text
 * @param {number} [most]
 * @returns {number[]}
 */
export function parseRanges(text, most = 100000) {
  const out = []
  for (const part of text.split(',')) {
    const m = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(part)
    if (!m) continue
    for (let n = Number(m[1]); n <= Number(m[2] ?? m[1]) && out.length < most; n++) out.push(n)
  }
  return out
}

/** @param {number} n in as few digits as tell it */
const short = (n) => String(Math.round(n * 100) / 100)

/**
 * @param {Link} link
 * @returns {string} without #
 */
export function printLink(link) {
  const p = new URLSearchParams()
  if (link.axis) p.set('axis', link.axis)
  if (link.view) p.set('view', `${short(link.view.from)}_${short(link.view.to)}`)
  if (link.cut) p.set('cut', link.cut)
  if (link.selected) p.set('event', link.selected)
  if (link.tab) p.set('tab', link.tab)
  if (link.lanes?.length) p.set('lanes', printRanges(link.lanes))
  if (link.collapsed?.length) p.set('collapsed', printRanges(link.collapsed))
  if (link.filter) p.set('filter', link.filter)
  for (const e of link.pins || []) p.append('pin', e)
  if (link.query) p.set('query', link.query)
  return p.toString()
}

/**
 * Reads a permalink; what it can't read it leaves out.
 * @param {string} hash
 * @returns {Link}
 */
export function parseLink(hash) {
  const p = new URLSearchParams(hash.replace(/^#/, ''))
  /** @type {Link} */
  const link = {}
  const axis = p.get('axis')
  if (axis && axes.includes(axis)) link.axis = /** @type {Axis} */ (axis)
  const view = /^(-?[\d.]+(?:e[+-]?\d+)?)_(-?[\d.]+(?:e[+-]?\d+)?)$/.exec(p.get('view') || '')
  if (view && Number(view[2]) > Number(view[1])) link.view = { from: Number(view[1]), to: Number(view[2]) }
  const tab = p.get('tab')
  if (tab && tabs.includes(tab)) link.tab = /** @type {Tab} */ (tab)
  const texts = { cut: 'cut', event: 'selected', filter: 'filter', query: 'query' }
  for (const [key, field] of Object.entries(texts)) {
    const v = p.get(key)
    if (v) /** @type {any} */ (link)[field] = v
  }
  const pins = p.getAll('pin').filter(Boolean)
  if (pins.length) link.pins = pins
  for (const key of /** @type {const} */ (['lanes', 'collapsed'])) {
    const numbers = parseRanges(p.get(key) || '')
    if (numbers.length) link[key] = numbers
  }
  return link
}
