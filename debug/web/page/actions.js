// @ts-check
// What can be done: every change of the state that asks the server goes through here.
import { aborted, ApiError, placeOf } from './api.js'
import { carried } from './carry.js'
import { tailOf } from './live.js'
import { timeAt } from './time.js'
import { clampView, coordinate, spanOf, whole } from './diagram/view.js'

/** @typedef {import('./types').Store} Store */
/** @typedef {import('./types').State} State */
/** @typedef {import('./types').Place} Place */
/** @typedef {import('./types').AnswerPlace} AnswerPlace */
/** @typedef {import('./types').Answer} Answer */
/** @typedef {import('./types').Actions} Actions */
/** @typedef {import('./types').Axis} Axis */
/** @typedef {import('./types').Track} Track */
/** @typedef {import('./types').TrackPoint} TrackPoint */

/** How many points of a track get places along the other axes. */
const pointsMax = 20000

/** How many events a run has of which a track shows but what is in view. */
const wholeMax = 1_000_000

/** @param {string} line reports whether the command changes marks */
const changesMarks = (line) => /^\s*(mark|m|note|unmark|undo|u|redo)\b/.test(line)

/**
 * The text that goto understands.
 * @param {Place|AnswerPlace|null} p
 */
export function placeText(p) {
  if (!p || !p.seq) return 'START'
  const name = typeof p.node === 'string' ? p.node : 'name' in p ? p.name : '' // of an event in an answer name is its own
  return `${name}:${p.seq}`
}

/**
 * An error as people read it.
 * @param {unknown} err
 * @returns {import('./types').Problem}
 */
const problemOf = (err) => ({ text: /** @type {any} */ (err)?.message || String(err), remedy: /** @type {any} */ (err)?.remedy })

/**
 * Puts a mistake of the server, or of the page, where it is read.
 * @param {Store} store
 * @param {unknown} err
 */
export function fail(store, err) {
  if (aborted(err)) return
  if (err instanceof ApiError && err.status === 0) {
    store.set({ offline: err.message })
    return
  }
  store.set({ message: { kind: 'error', ...problemOf(err) } })
}

/**
 * @param {Store} store
 * @returns {Actions}
 */
export function createActions(store) {
  return {
    placeText,
    places: (texts) => store.api.places(texts),
    say: (text, kind = 'info', remedy) => store.set({ message: { kind, text, remedy } }),
    openTab: (tab) => store.set({ tab }),
    setTheme: (theme) => store.set({ theme }),
    tail: tailOf(store),
    async follow(on) {
      if (!store.get().live) return store.act.say('this is a recording: there is nothing to follow')
      store.set({ follow: on })
      try {
        await store.api.command(on ? 'follow on' : 'follow off')
        if (on) await store.act.tail()
      } catch (err) {
        store.set({ follow: false })
        fail(store, err)
      }
    },
    setHits: (hits) => store.set({ hits }),
    ...sessionActions(store),
    ...viewActions(store),
    ...laneActions(store),
    ...findActions(store),
    ...trackActions(store),
    ...markActions(store),
  }
}

/** @param {Store} store */
function sessionActions(store) {
  /** @type {Actions['command']} */
  const command = async (line, { quiet = false, signal, failed } = {}) => {
    store.set({ busy: store.get().busy + 1 })
    /** @type {any} */
    let a
    try {
      a = await store.api.command(line, signal)
      store.set({ offline: '' })
    } catch (err) {
      if (failed && !aborted(err)) failed(problemOf(err))
      fail(store, err)
      return null
    } finally {
      store.set({ busy: store.get().busy - 1 })
    }
    if (quiet) return a.answer
    store.set({ message: null })
    moveTo(a)
    if (changesMarks(line)) await store.act.loadMarks()
    return a.answer
  }
  /** @param {any} a an answer that says where the session is */
  const moveTo = (a) => {
    const cut = placeOf(a.at)
    const was = store.get().cut
    if (was && placeText(was) === placeText(cut) && !a.answer.moved) return
    store.set({ cut })
    store.act.select(cut.begin ? null : cut)
    store.act.reveal(cut)
  }
  let selecting = new AbortController()
  /** @type {Actions['select']} */
  const select = async (selected) => {
    selecting.abort()
    selecting = new AbortController()
    store.set({ selected, cone: null, ...(selected ? { lane: selected.node } : {}) })
    if (!selected || selected.begin || store.get().ready !== 'ready') return
    try {
      const { nodes } = await store.api.cone(placeText(selected), selecting.signal)
      if (store.get().selected === selected) store.set({ cone: { of: selected, nodes } })
    } catch (err) {
      fail(store, err)
    }
  }
  const step = stepper(store, command)
  let [reloads, reloaded] = [0, 0]
  return {
    command, select, step,
    /** @type {Actions['goto']} */
    goto: async (place) => void (await command('goto ' + place)),
    /** @type {Actions['reload']} */
    reload: async () => {
      const mine = ++reloads
      const about = await store.api.about()
      if (mine < reloaded) return // a later one was answered first
      reloaded = mine
      const { offline } = store.get()
      store.set({ about, ready: about.index.state, offline: '', ...carried(store.get(), about) })
      const { cut } = store.get()
      if (offline && cut && !cut.begin) await command('goto ' + placeText(cut), { quiet: true }) // a session begun anew
    },
  }
}

/**
 * Steps, one after the other; those that wait for one are made at once where they are
 * of the same lane, as of a key that is held down.
 * @param {Store} store
 * @param {Actions['command']} command
 * @returns {Actions['step']}
 */
function stepper(store, command) {
  let stepping = false
  /** @type {{by: number, node: number}[]} */
  const waiting = []
  return async (by, node = -1) => {
    const last = waiting.at(-1)
    if (last?.node === node) last.by += by
    else waiting.push({ by, node })
    if (stepping) return
    stepping = true
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      if (!next.by) continue
      const name = next.node < 0 ? '' : ' ' + (store.get().about?.nodes[next.node]?.name || '')
      await command(`${next.by > 0 ? 'step' : 'back'}${name} ${Math.abs(next.by)}`)
    }
    stepping = false
  }
}

/** @param {Store} store */
function viewActions(store) {
  /** @type {Actions['setView']} */
  const setView = (axis, from, to) => {
    const s = store.get()
    const view = clampView({ from, to }, spanOf(s.about, axis), axis)
    if (axis === s.axis && view.from === s.view.from && view.to === s.view.to) return
    store.set({ axis, view })
    if (axis !== s.axis) locateTracks(store)
  }
  const middle = (/** @type {State} */ s) => (s.view.from + s.view.to) / 2
  return {
    setView,
    /** @type {Actions['setAxis']} */
    setAxis(axis) {
      const s = store.get()
      if (axis === s.axis) return
      const span = spanOf(s.about, axis)
      const old = spanOf(s.about, s.axis)
      if (!span || !old) {
        store.act.say('the messages are being indexed: this axis can be had in a moment')
        return
      }
      // As wide a part as before, around what is selected.
      const part = Math.min(1, (s.view.to - s.view.from) / Math.max(1, old.to - old.from))
      const here = s.selected || s.cut
      const at = here && coordinate(here, axis)
      const width = Math.max(1, span.to - span.from) * part
      if (part > 0.98 || at === undefined || at === null) setView(axis, ...whole(span))
      else setView(axis, at - width / 2, at + width / 2)
    },
    fit() {
      const s = store.get()
      const span = spanOf(s.about, s.axis)
      if (span) setView(s.axis, ...whole(span))
    },
    /** @type {Actions['zoom']} */
    zoom(factor, at = middle(store.get())) {
      const { axis, view } = store.get()
      setView(axis, at - (at - view.from) / factor, at + (view.to - at) / factor)
    },
    /** @type {Actions['pan']} */
    pan(fraction) {
      const { axis, view } = store.get()
      const by = (view.to - view.from) * fraction
      setView(axis, view.from + by, view.to + by)
    },
    /** @type {Actions['reveal']} */
    reveal(place) {
      const { axis, view, about } = store.get()
      const at = coordinate(place, axis)
      const span = spanOf(about, axis)
      const width = view.to - view.from
      const edge = width * 0.03
      if (at === undefined || !span || (at >= view.from + edge && at <= view.to - edge)) return
      if (at >= view.from && at <= view.to && (view.from < span.from + edge || view.to > span.to - edge)) return // it is at the very end
      setView(axis, at - width / 2, at + width / 2)
    },
  }
}

/** @param {Store} store */
function laneActions(store) {
  return {
    /** @type {Actions['collapse']} */
    collapse(node, collapsed) {
      const set = new Set(store.get().collapsed)
      if (collapsed) set.add(node)
      else set.delete(node)
      store.set({ collapsed: set })
    },
    /** @type {Actions['setLaneFilter']} */
    setLaneFilter: (laneFilter) => store.set({ laneFilter }),
    /** @type {Actions['moveLane']} */
    moveLane(node, by) {
      const lanes = [...store.get().lanes]
      const i = lanes.indexOf(node)
      const to = i + by
      if (i < 0 || to < 0 || to >= lanes.length) return
      lanes.splice(i, 1)
      lanes.splice(to, 0, node)
      store.set({ lanes })
    },
  }
}

/** @param {Store} store */
function findActions(store) {
  /** @type {Actions['nextHit']} */
  const nextHit = async (by) => {
    const s = store.get()
    const rows = /** @type {Place[]} */ (s.rows.map((r) => r.at).filter(Boolean))
    const marks = /** @type {Place[]} */ (s.marks.map((m) => m.at).filter(Boolean))
    const among = s.hits.length ? s.hits : rows.length ? rows : marks
    const order = (/** @type {Place} */ p) => p.order ?? p.timeAt ?? 0
    const here = s.cut ? order(s.cut) : -1
    const sorted = [...among].sort((a, b) => order(a) - order(b))
    const next = by > 0 ? sorted.find((p) => order(p) > here || (s.cut?.begin && order(p) >= here)) : sorted.reverse().find((p) => order(p) < here)
    if (next) await store.act.goto(placeText(next))
    else store.act.say(among.length ? `no ${by > 0 ? 'more' : 'earlier'} one: there are ${among.length}` : 'nothing is marked: / searches, a query or a mark marks')
  }
  return { nextHit }
}

/**
 * What a track is of: of a very long run what is in view, for all of it would take long.
 * @param {Store} store
 */
async function stretchOf(store) {
  const { about, axis, view } = store.get()
  if ((about?.events || 0) < wholeMax || axis === 'depth') return ''
  const [a, b] = await Promise.all([store.api.cut(axis, view.from), store.api.cut(axis, view.to)])
  return ` over ${placeText(a)} to ${placeText(b)}`
}

/** @param {Store} store */
function trackActions(store) {
  /** @param {string} expr @param {Partial<Track>} change */
  const change = (expr, change) => store.set({ tracks: store.get().tracks.map((t) => (t.expr === expr ? { ...t, ...change } : t)) })
  return {
    /** @type {Actions['pin']} */
    async pin(expr) {
      if (store.get().tracks.some((t) => t.expr === expr)) return
      store.set({ tracks: [...store.get().tracks, { expr, title: expr, points: [], kind: 'step', loading: true }] })
      let problem = ''
      const stretch = await stretchOf(store)
      const a = await store.act.command('print ' + expr + stretch, { quiet: true, failed: (p) => (problem = p.text) })
      const track = a?.parts.find((p) => p.track)?.track
      if (!track) {
        change(expr, { loading: false, error: problem.split('\n')[0].replace(/^print: (\d+:\d+: )?/, '') || 'it has no value at any cut' })
        return
      }
      const first = store.get().about?.first || ''
      /** @type {TrackPoint[]} */
      const points = track.points.map((/** @type {any} */ p) => ({ at: timeAt(p.at, first) ?? 0, node: p.node || '', event: p.event || '', value: p.value ?? null }))
      const numbers = points.every((p) => p.value === null || typeof p.value === 'number' || typeof p.value === 'bigint')
      change(expr, { loading: false, points, partial: track.partial || stretch !== '', kind: numbers ? 'step' : 'heat', ...(points.length ? {} : { error: 'it has no value at any cut' }) })
      await locateTracks(store)
    },
    /** @type {Actions['unpin']} */
    unpin: (i) => store.set({ tracks: store.get().tracks.filter((_, k) => k !== i) }),
    /** @type {Actions['setTrackKind']} */
    setTrackKind: (i, kind) => store.set({ tracks: store.get().tracks.map((t, k) => (k === i ? { ...t, kind } : t)) }),
  }
}

/**
 * Asks where the points of tracks are along axes other than that of time.
 * @param {Store} store
 */
async function locateTracks(store) {
  const { axis, tracks } = store.get()
  if (axis === 'time') return
  for (const t of tracks) {
    const points = t.points.slice(0, pointsMax).filter((p) => p.event && p[axis] === undefined)
    if (!points.length) continue
    try {
      const places = await store.api.places(points.map((p) => p.event))
      places.forEach((p, i) => p && Object.assign(points[i], { order: p.order, depth: p.depth }))
    } catch (err) {
      fail(store, err)
      return
    }
    store.set({ tracks: store.get().tracks.map((o) => (o.expr === t.expr ? { ...o } : o)) })
  }
}

/** @param {Store} store */
function markActions(store) {
  /** @type {Actions['loadMarks']} */
  const loadMarks = async () => {
    const a = await store.act.command('marks', { quiet: true })
    if (!a) return
    const marks = a.parts.filter((p) => p.mark).map((p) => p.mark)
    const places = await store.api.places(marks.map((m) => placeText(m.place))).catch(() => [])
    store.set({ marks: marks.map((m, i) => ({ ...m, at: places[i] || null })) })
  }
  return {
    loadMarks,
    /** @type {Actions['unmark']} */
    unmark: async (name) => void (await store.act.command('unmark ' + name)),
  }
}
