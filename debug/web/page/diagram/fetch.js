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

/** How long nothing is asked for after something failed, in milliseconds. */
const patience = 2000

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

/**
 * What there is, as a text: of a cluster whose oldest events are forgotten the number alone may stay.
 * @param {import('../types').About|null} about
 */
const knownOf = (about) => `${about?.events} ${about?.first} ${about?.last}`

/** Loads one thing at a time, and then what is wanted by then. */
export class Fetcher {
  /** @param {Store} store */
  constructor(store) {
    this.store = store
    /** @type {Want|null} */
    this.wanted = null
    /** @type {AbortController|null} while something is asked for */
    this.asking = null
    this.what = '' // of which lanes
    this.failedAt = -Infinity
    this.frameKey = ''
    this.drawnKey = ''
    this.known = '' // what there was when the frame was asked for
  }

  /** @param {Want} w */
  want(w) {
    const was = this.wanted
    const same = was && was.axis === w.axis && was.key === w.key && was.view.from === w.view.from && was.view.to === w.view.to && was.width === w.width
    if (same && this.frameServes(w)) return
    this.wanted = w
    if (this.what !== w.axis + w.key) this.stop()
    void this.next()
  }

  stop() {
    this.asking?.abort()
    this.asking = null
  }

  end() {
    this.wanted = null
    this.stop()
  }

  async next() {
    const { store, wanted: w } = this
    if (!w || this.asking || performance.now() - this.failedAt < patience || store.get().ready === 'events') return
    this.what = w.axis + w.key
    const asking = (this.asking = new AbortController())
    try {
      if (!this.frameServes(w)) await this.loadFrame(w, asking.signal)
      if (w === this.wanted && !this.eventsServe(w)) await this.loadEvents(w, asking.signal)
    } catch (err) {
      if (!aborted(err)) {
        this.failedAt = performance.now()
        fail(store, err)
      }
    }
    if (this.asking !== asking) return
    this.asking = null
    if (w !== this.wanted) void this.next()
  }

  /** The nodes that a request names: null are all. @param {Want} w */
  nodes(w) {
    return w.nodes.length === (this.store.get().about?.nodes.length || 0) ? null : w.nodes
  }

  /** @param {Want} w reports whether the frame that is there will do */
  frameServes(w) {
    const { frame: f, about } = this.store.get()
    if (!f || f.axis !== w.axis || this.frameKey !== w.key || this.known !== knownOf(about)) return false
    const perPixel = (f.view.to - f.view.from) / f.columns / ((w.view.to - w.view.from) / w.width)
    return covers(f.view, w.view) && (perPixel <= 1.3 || f.view.to - f.view.from < f.columns) && perPixel >= 0.3
  }

  /** @param {Want} w @param {AbortSignal} signal */
  async loadFrame(w, signal) {
    const { api, get, set } = this.store
    const view = widened(w.view, beside)
    const lanes = w.nodes.length + (w.merged.length ? 1 : 0)
    const columns = Math.max(1, Math.min(columnsMax, Math.ceil(w.width * (1 + 2 * beside)), Math.floor(cellsMax / Math.max(1, lanes))))
    const known = knownOf(get().about)
    const frame = await api.frame(w.axis, view, columns, this.nodes(w), signal)
    if (w.merged.length) {
      const rest = w.merged.length > w.nodes.length // named by what they aren't, if that is shorter
      const m = await api.merged(w.axis, view, columns, rest ? get().lanes.filter((n) => !w.merged.includes(n)) : w.merged, rest, signal)
      frame.nodes = [...frame.nodes, others]
      frame.lanes = [...frame.lanes, ...m.lanes]
      frame.events += m.events
    }
    this.known = known
    this.frameKey = w.key
    set({ frame })
  }

  /** @param {Want} w reports whether the events that are there will do */
  eventsServe(w) {
    const d = this.store.get().drawn
    return d !== null && d.axis === w.axis && this.drawnKey === w.key + this.known && covers(d.view, w.view)
  }

  /** @param {Want} w @param {AbortSignal} signal */
  async loadEvents(w, signal) {
    const { api, get, set } = this.store
    const { frame } = get()
    if (!frame || countIn(frame, w.view) > eventsShown) {
      if (get().drawn) set({ drawn: null })
      return
    }
    const wide = [0.4, 0.15, 0].map((p) => widened(w.view, p)).find((v) => countIn(frame, v) < eventsMax * 0.8) || w.view
    const drawn = await api.events(w.axis, wide, w.merged.length ? null : this.nodes(w), signal)
    this.drawnKey = w.key + this.known
    set({ drawn: drawn.count > drawn.shown ? null : drawn })
  }
}
