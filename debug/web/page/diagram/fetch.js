// @ts-check
// Asks the server for what is in view and isn't there yet: cells always, and events
// one by one where there are few.
import { fail } from '../actions.js'
import { aborted } from '../api.js'
import { countIn } from './cells.js'
import { others } from './layout.js'
import { covers, widened } from './view.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Frame} Frame */
/** @typedef {import('../types').View} View */

/** What is asked for beside the view, as a part of it on either side. */
const beside = 0.35

/** How many events in view are drawn one by one, at most, and how many the server gives. */
export const eventsShown = 2500
const eventsMax = 5000

/** The server's bound on columns, and on lanes × columns. */
const columnsMax = 8192
const cellsMax = 4_000_000

/**
 * What has to be there.
 * @typedef {object} Want
 * @property {import('../types').Axis} axis
 * @property {View} view
 * @property {number} width pixels
 * @property {number[]} nodes of lanes in view
 * @property {number[]} merged
 * @property {string} key changes when nodes do
 */

/** @param {Store} store */
export function createFetcher(store) {
  /** @type {Want|null} */
  let want = null
  const asking = { frame: /** @type {AbortController|null} */ (null), events: /** @type {AbortController|null} */ (null), what: '', failedAt: -Infinity }
  let frameKey = ''
  let drawnKey = ''
  let known = 0

  /** @param {Want} w what of the nodes a request names */
  const ask = (w) => {
    const all = store.get().about?.nodes.length || 0
    return w.nodes.length + w.merged.length >= all && w.nodes.length === all ? null : w.nodes
  }

  /** @param {Want} w */
  const frameServes = (w) => {
    const f = store.get().frame
    if (!f || f.axis !== w.axis || frameKey !== w.key || known !== (store.get().about?.events || 0)) return false
    const perPixel = (f.view.to - f.view.from) / f.columns / ((w.view.to - w.view.from) / w.width)
    return covers(f.view, w.view) && (perPixel <= 1.3 || f.view.to - f.view.from < f.columns) && perPixel >= 0.3
  }

  /** @param {Want} w */
  const loadFrame = async (w) => {
    asking.frame = new AbortController()
    const view = widened(w.view, beside)
    const lanes = w.nodes.length + (w.merged.length ? 1 : 0)
    const columns = Math.max(1, Math.min(columnsMax, Math.ceil(w.width * (1 + 2 * beside)), Math.floor(cellsMax / Math.max(1, lanes))))
    known = store.get().about?.events || 0
    const frame = await store.api.frame(w.axis, view, columns, ask(w), asking.frame.signal)
    if (w.merged.length) {
      const m = await store.api.merged(w.axis, view, columns, w.merged.length <= w.nodes.length ? w.merged : store.get().lanes.filter((n) => !w.merged.includes(n)), w.merged.length > w.nodes.length, asking.frame.signal)
      frame.nodes = [...frame.nodes, others]
      frame.lanes = [...frame.lanes, ...m.lanes]
      frame.events += m.events
    }
    frameKey = w.key
    store.set({ frame })
  }

  /** @param {Want} w */
  const eventsServe = (w) => {
    const d = store.get().drawn
    return d !== null && d.axis === w.axis && drawnKey === w.key + known && covers(d.view, w.view)
  }

  /** @param {Want} w */
  const loadEvents = async (w) => {
    const { frame } = store.get()
    if (!frame || countIn(frame, w.view) > eventsShown) {
      if (store.get().drawn) store.set({ drawn: null })
      return
    }
    asking.events = new AbortController()
    const wide = [0.4, 0.15, 0].map((p) => widened(w.view, p)).find((v) => countIn(frame, v) < eventsMax * 0.8) || w.view
    const nodes = w.merged.length ? null : ask(w)
    const drawn = await store.api.events(w.axis, wide, nodes, asking.events.signal)
    drawnKey = w.key + known
    store.set({ drawn: drawn.count > drawn.shown ? null : drawn })
  }

  const failed = (/** @type {unknown} */ err) => {
    if (aborted(err)) return
    asking.failedAt = performance.now()
    fail(store, err)
  }

  const next = async () => {
    if (!want || asking.frame || asking.events || performance.now() - asking.failedAt < 2000 || store.get().ready === 'events') return
    const w = want
    asking.what = w.axis + w.key
    try {
      if (!frameServes(w)) await loadFrame(w)
      asking.frame = null
      if (w === want && !eventsServe(w)) await loadEvents(w)
    } catch (err) {
      failed(err)
    }
    asking.frame = asking.events = null
    if (w !== want) void next()
  }

  return {
    /** @param {Want} w */
    want(w) {
      const same = want && want.axis === w.axis && want.key === w.key && want.view.from === w.view.from && want.view.to === w.view.to && want.width === w.width
      if (same && frameServes(w)) return
      want = w
      if (asking.what !== w.axis + w.key) {
        asking.frame?.abort()
        asking.events?.abort()
        asking.frame = asking.events = null
      }
      void next()
    },
    end() {
      want = null
      asking.frame?.abort()
      asking.events?.abort()
    },
  }
}
