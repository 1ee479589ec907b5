// @ts-check
// The space-time diagram: a lane per node, events and messages or cells, the cut.
import { html, useEffect, useMemo, useRef, useState } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { sized } from './canvas.js'
import { pictureOf, countIn } from './cells.js'
import { drawLanes } from './draw.js'
import { bandOf } from './scene.js'
import { eventsShown, Fetcher } from './fetch.js'
import { arrowAt, eventAt, nodeAt } from './hit.js'
import { dragCut, listen } from './input.js'
import { layoutLanes, others, splitLanes, visibleRows } from './layout.js'
import { choose, Mirror } from './mirror.js'
import { Names, namesWidth } from './names.js'
import { Overview } from './overview.js'
import { drawRuler, rulerHeight } from './ruler.js'
import { watchTheme } from './theme.js'
import { Tooltip } from './tooltip.js'
import { Tracks } from './tracks.js'
import { Legend } from './legend.js'
import { followCut } from './cutstate.js'
import { fromX } from './view.js'
import { grouped } from '../time.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').State} State */
/** @typedef {import('./scene.js').Scene} Scene */

/** How long the view takes to follow, in milliseconds. */
const glide = 130

/** Rows whose cells are asked for above and below those in view. */
const rowsBeside = 12

/** Rows that are drawn above and below those in view. */
const rowsDrawn = 4

/** What has to change for the lanes to be drawn anew. @type {(keyof State)[]} */
const drawnOf = ['about', 'axis', 'view', 'lanes', 'collapsed', 'laneFilter', 'lane', 'cut', 'laneStates', 'selected', 'hover', 'cone', 'frame', 'drawn', 'marks', 'rows', 'hits', 'tracks']

/** The diagram without its elements: it keeps what is drawn, and draws it. */
class Stage {
  /** @param {Store} store */
  constructor(store) {
    this.store = store
    this.fetcher = new Fetcher(store)
    /** @type {HTMLCanvasElement|null} */
    this.lanes = null
    /** @type {HTMLCanvasElement|null} */
    this.ruler = null
    this.width = 0
    this.height = 0
    this.scroll = 0
    this.view = store.get().view
    /** @type {State['axis']} */
    this.axis = store.get().axis
    this.asked = 0
    this.last = 0
    /** @type {import('./cells.js').Picture|null} */
    this.picture = null
    this.image = document.createElement('canvas')
    /** @type {import('../types').Place|null} */
    this.preview = null
    /** @type {{x0: number, x1: number}|null} */
    this.rubber = null
    /** @type {import('./messages.js').Arrow[]} */
    this.arrows = []
    /** @type {Scene|null} */
    this.scene = null
    this.direct = false
    this.eventful = false
    this.splitOf = /** @type {any[]} */ ([])
    this.split = { own: /** @type {number[]} */ ([]), merged: /** @type {number[]} */ ([]) }
    this.still = matchMedia('(prefers-reduced-motion: reduce)')
    /** @type {(eventful: boolean) => void} */
    this.onMode = () => undefined
  }

  /** @param {State} s */
  layout(s) {
    const of = [s.about?.nodes, s.lanes, s.collapsed, s.laneFilter]
    if (of.some((v, i) => v !== this.splitOf[i])) {
      this.splitOf = of
      this.split = splitLanes(s)
    }
    return layoutLanes(this.split, s.about?.nodes.length || 0, this.height)
  }

  /** Draws at the next frame. */
  soon() {
    this.asked ||= requestAnimationFrame((now) => {
      this.asked = 0
      this.draw(now)
    })
  }

  /** Lets the shown view follow that of the state. @param {number} now @returns {boolean} it is still on its way */
  follow(now) {
    const { view, axis } = this.store.get()
    const dt = Math.min(50, now - this.last)
    this.last = now
    const width = view.to - view.from
    const off = Math.max(Math.abs(view.from - this.view.from), Math.abs(view.to - this.view.to)) / width
    if (this.direct || this.still.matches || axis !== this.axis || off < 0.001 || off > 60 || !Number.isFinite(off)) {
      this.view = view
      this.axis = axis
      return false
    }
    const k = 1 - Math.exp(-dt / (glide / 3))
    this.view = { from: this.view.from + (view.from - this.view.from) * k, to: this.view.to + (view.to - this.view.to) * k }
    return true
  }

  /** @param {number} now */
  draw(now) {
    if (!this.lanes || !this.ruler || this.width < 10 || this.height < 10) return
    const began = performance.now()
    const state = this.store.get()
    const moving = this.follow(now)
    const layout = this.layout(state)
    this.mode(state)
    const scene = this.sceneOf(state, layout)
    this.scene = scene
    this.paint(scene)
    this.ask(state, layout)
    Object.assign(/** @type {any} */ (window).hindcast ?? {}, {
      lastFrame: { ms: performance.now() - began, at: began, mode: this.eventful ? 'events' : 'cells', events: this.eventful ? state.drawn?.shown : state.frame?.events, lanes: layout.rows.length, width: this.width, height: this.height },
    })
    window.dispatchEvent(new Event('hindcast-drawn'))
    if (moving) this.soon()
  }

  /** Draws lanes and ruler. @param {Scene} scene */
  paint(scene) {
    if (!this.lanes || !this.ruler) return
    const lanes = sized(this.lanes, this.width, this.height)
    const ruler = sized(this.ruler, this.width, rulerHeight)
    if (lanes) this.arrows = drawLanes(lanes, scene)
    if (ruler) drawRuler(ruler, scene)
  }

  /** Whether events are drawn one by one. @param {State} s */
  mode(s) {
    const { drawn, frame } = s
    const held = drawn && drawn.axis === s.axis && drawn.view.from <= Math.max(0, this.view.to) && drawn.view.to >= this.view.from
    const inside = held && drawn.view.from <= Math.max(0, Math.floor(this.view.from)) + (this.view.to - this.view.from) * 0.4 && drawn.view.to >= this.view.to - (this.view.to - this.view.from) * 0.4
    const few = !frame || frame.axis !== s.axis || countIn(frame, s.view) <= eventsShown
    const eventful = Boolean(inside && few)
    if (eventful !== this.eventful) {
      this.eventful = eventful
      queueMicrotask(() => this.onMode(eventful))
    }
  }

  /** @param {State} state @param {import('./layout.js').Layout} layout @returns {Scene} */
  sceneOf(state, layout) {
    const scene = { state, view: this.view, layout, width: this.width, height: this.height, scroll: this.scroll, picture: this.picture, preview: this.preview, rubber: this.rubber, eventful: this.eventful }
    const band = Math.max(2, Math.round(bandOf(scene) * Math.min(2, window.devicePixelRatio || 1)))
    if (this.eventful || !state.frame) return scene
    const [from, to] = visibleRows(layout, this.scroll, this.height)
    const p = this.picture
    const missing = () => layout.rows.slice(from, to).some((n) => !p?.slots.has(n) && state.frame?.nodes.includes(n))
    if (p?.frame !== state.frame || p.band !== band || missing()) {
      const near = new Set(layout.rows.slice(Math.max(0, from - rowsDrawn), to + rowsDrawn))
      scene.picture = this.picture = pictureOf(state.frame, band, (n) => near.has(n), this.image)
    }
    return scene
  }

  /** Asks for what is missing. @param {State} s @param {import('./layout.js').Layout} layout */
  ask(s, layout) {
    if (!s.about || !s.about.spans[s.axis]) return
    const [from, to] = visibleRows(layout, this.scroll, this.height, rowsBeside)
    // In steps, so that a little scrolling asks for nothing.
    const step = rowsBeside
    const [a, b] = layout.rows.length <= 128 ? [0, layout.rows.length] : [Math.floor(from / step) * step, Math.ceil(to / step) * step]
    const nodes = layout.rows.slice(a, b).filter((n) => n !== others)
    const merged = layout.rows.slice(a, b).includes(others) ? layout.merged : []
    this.fetcher.want({ axis: s.axis, view: s.view, width: this.width, nodes, merged, key: `${s.ready}|${nodes.join(',')}|${merged.length}|${s.laneFilter}|${[...s.collapsed].join(',')}` })
  }

  end() {
    cancelAnimationFrame(this.asked)
    this.fetcher.end()
  }
}

/**
 * What the pointer does over the lanes.
 * @param {Stage} stage
 * @param {HTMLElement} scroller
 * @param {(tip: import('./tooltip.js').Tip|null) => void} setTip
 * @returns {import('./input.js').Surface}
 */
function surfaceOf(stage, scroller, setTip) {
  const { store } = stage
  const say = (/** @type {import('./tooltip.js').Tip|null} */ tip, /** @type {any} */ hover) => {
    setTip(tip)
    const was = store.get().hover
    if (was?.node !== hover?.node || was?.seq !== hover?.seq) store.set({ hover })
    if (stage.lanes) stage.lanes.style.cursor = tip?.event || tip?.arrow ? 'pointer' : 'default'
  }
  const find = (/** @type {number} */ x, /** @type {number} */ y, /** @type {boolean} */ touch) => {
    const s = stage.scene
    const event = s && eventAt(s, x, y, touch ? 16 : 5)
    const arrow = s && s.eventful && !event ? arrowAt(stage.arrows, x, y, touch ? 12 : 5) : null
    return { s, event, arrow }
  }
  /** @param {number} x @param {number} y the event nearest to a point of a lane */
  const nearest = async (x, y) => {
    const node = stage.scene ? nodeAt(stage.scene, y) : -1
    const { axis, view } = store.get()
    return node < 0 ? null : store.api.cut(axis, fromX(view, stage.width, x), node).catch(() => null)
  }
  return {
    store,
    width: () => stage.width,
    scrollBy: (px) => void (scroller.scrollTop += px),
    rubber(rubber) {
      stage.rubber = rubber
      stage.soon()
    },
    leave: () => say(null, null),
    hover(x, y, touch) {
      const { s, event, arrow } = find(x, y, touch)
      const box = stage.lanes?.getBoundingClientRect()
      const at = { x: x + (box?.left || 0), y: y + (box?.top || 0) }
      if (event) {
        const axis = store.get().axis
        return say({ ...at, event }, { node: event.node, seq: event.seq, name: '', time: '', ...(axis === 'time' ? { timeAt: event.at } : { [axis]: event.at }) })
      }
      if (arrow) return say({ ...at, arrow }, null)
      return say(s && !s.eventful ? { ...at, cell: cellAt(s, x, y) } : null, null)
    },
    async click(x, y, touch) {
      const { s, event, arrow } = find(x, y, touch)
      const end = event || arrow?.m.to || arrow?.m.from
      if (end) return choose(store, end, false)
      if (s?.eventful) return store.act.select(null)
      const p = await nearest(x, y)
      return p ? store.act.select(p) : undefined
    },
    async open(x, y) {
      const { event } = find(x, y, false)
      if (event) return choose(store, event, true)
      const p = await nearest(x, y)
      return p ? store.act.goto(store.act.placeText(p)) : undefined
    },
  }
}

/** How many events there are under a point. @param {Scene} s @param {number} x @param {number} y */
function cellAt(s, x, y) {
  const frame = s.state.frame
  const node = nodeAt(s, y)
  const i = frame ? frame.nodes.indexOf(node) : -1
  if (!frame || i < 0 || frame.axis !== s.state.axis) return null
  const at = fromX(s.view, s.width, x)
  const column = Math.floor(((at - frame.view.from) / (frame.view.to - frame.view.from + 1)) * frame.columns)
  const k = frame.lanes[i].columns.indexOf(column)
  if (k < 0) return null
  const n = frame.lanes[i].counts[k]
  return { name: s.state.about?.nodes[node]?.name || '', count: n, what: `${grouped(n)} ${n === 1 ? 'event' : 'events'} here` }
}

/** What the diagram says while it is empty. @param {{store: Store}} props */
function Hint({ store }) {
  const ready = useStore(store, (s) => s.ready)
  const events = useStore(store, (s) => s.about?.events || 0)
  if (ready === 'events') return html`<div class="hint-pill">indexing the events…</div>`
  if (!events) return html`<div class="hint-pill">nothing is recorded here yet</div>`
  return null
}

/** @param {{store: Store}} props finds lanes by name */
function LaneFilter({ store }) {
  const filter = useStore(store, (s) => s.laneFilter)
  const count = useStore(store, (s) => s.about?.nodes.length || 0)
  return html`<div class="corner">
    <input type="search" placeholder=${window.innerWidth <= 760 ? grouped(count) : count === 1 ? '1 lane' : `${grouped(count)} lanes`} aria-label="Lanes whose name has" value=${filter}
      onInput=${(/** @type {any} */ e) => store.act.setLaneFilter(e.target.value)} />
  </div>`
}

/** Keys on the cut's handle. @param {Store} store @param {KeyboardEvent} e */
function cutKeys(store, e) {
  const by = /** @type {Record<string, number>} */ ({ ArrowLeft: -1, ArrowRight: 1, PageDown: 50, PageUp: -50 })[e.key]
  if (by) void store.act.step(by)
  else if (e.key === 'Home' || e.key === 'End') void store.act.goto(e.key === 'Home' ? 'START' : 'END')
  else return
  e.preventDefault()
}

/** @param {{store: Store, ruler: {current: HTMLCanvasElement|null}}} props */
function Ruler({ store, ruler }) {
  const cut = useStore(store, (s) => s.cut)
  const events = useStore(store, (s) => s.about?.events || 0)
  const text = !cut || cut.begin ? 'the beginning' : `${store.act.placeText(cut)}, ${cut.time}`
  return html`<div class="ruler" role="slider" tabindex="0" aria-label="Cut" aria-valuemin="0" aria-valuemax=${events} aria-valuenow=${cut && !cut.begin ? (cut.order ?? 0) + 1 : 0} aria-valuetext=${text} data-arrows
    title="the cut: drag it, or click where it is to be" onKeyDown=${(/** @type {KeyboardEvent} */ e) => cutKeys(store, e)}><canvas ref=${ruler}></canvas></div>`
}

/** @param {{store: Store}} props */
export function Diagram({ store }) {
  const stage = useMemo(() => new Stage(store), [store])
  const root = useRef(/** @type {HTMLElement|null} */ (null))
  const scroller = useRef(/** @type {HTMLElement|null} */ (null))
  const lanes = useRef(/** @type {HTMLCanvasElement|null} */ (null))
  const ruler = useRef(/** @type {HTMLCanvasElement|null} */ (null))
  const [size, setSize] = useState({ width: 0, height: 0 })
  const [scroll, setScroll] = useState(0)
  const [eventful, setEventful] = useState(false)
  const [tip, setTip] = useState(/** @type {import('./tooltip.js').Tip|null} */ (null))
  const shownView = useMemo(() => ({ get current() { return stage.view } }), [stage])
  for (const key of /** @type {const} */ (['about', 'lanes', 'collapsed', 'laneFilter'])) useStore(store, (s) => s[key])
  const names = useStore(store, namesWidth)
  useEffect(() => attach(stage, { root, scroller, lanes, ruler }, { setSize, setScroll, setEventful, setTip }), [stage])
  useEffect(() => {
    Object.assign(stage, { width: size.width, height: size.height })
    stage.soon()
  }, [size])
  stage.height = size.height
  const layout = stage.layout(store.get())
  return html`<section class="diagram" ref=${root} aria-label="Space-time diagram" style=${{ '--room': `${names}px` }}>
    <${LaneFilter} store=${store} />
    <${Overview} store=${store} width=${size.width} />
    <${Legend} />
    <${Ruler} store=${store} ruler=${ruler} />
    <div class="scroller" ref=${scroller} tabindex="-1">
      <div class="inner" style=${{ height: `${Math.max(layout.height, size.height)}px` }}>
        <${Names} store=${store} layout=${layout} scroll=${scroll} room=${size.height} />
        <canvas class="lanes" ref=${lanes} aria-hidden="true"></canvas>
      </div>
    </div>
    <${Tracks} store=${store} width=${size.width} shownView=${shownView} />
    <${Hint} store=${store} />
    <${Mirror} store=${store} eventful=${eventful} />
    <${Tooltip} store=${store} tip=${tip} />
  </section>`
}

/**
 * Puts the stage on its elements.
 * @param {Stage} stage
 * @param {{root: {current: HTMLElement|null}, scroller: {current: HTMLElement|null}, lanes: {current: HTMLCanvasElement|null}, ruler: {current: HTMLCanvasElement|null}}} refs
 * @param {{setSize: (s: {width: number, height: number}) => void, setScroll: (n: number) => void, setEventful: (on: boolean) => void, setTip: (t: any) => void}} to
 */
function attach(stage, refs, to) {
  const { store } = stage
  const scroller = /** @type {HTMLElement} */ (refs.scroller.current)
  const ruler = /** @type {HTMLCanvasElement} */ (refs.ruler.current)
  stage.lanes = refs.lanes.current
  stage.ruler = ruler
  stage.onMode = to.setEventful
  const measure = () => {
    const names = scroller.querySelector('.names')?.getBoundingClientRect().width || 0
    to.setSize({ width: Math.max(0, Math.floor(scroller.clientWidth - names)), height: scroller.clientHeight })
  }
  const seen = new ResizeObserver(measure)
  seen.observe(scroller)
  const column = scroller.querySelector('.names') // gets wider for a word beside a name
  if (column) seen.observe(column)
  const scrolled = () => {
    stage.scroll = scroller.scrollTop
    to.setScroll(scroller.scrollTop)
    stage.soon()
  }
  scroller.addEventListener('scroll', scrolled, { passive: true })
  const handle = /** @type {HTMLElement} */ (ruler.parentElement)
  const preview = (/** @type {any} */ p) => {
    stage.preview = p
    stage.soon()
  }
  const ends = [
    listen(/** @type {HTMLElement} */ (stage.lanes), surfaceOf(stage, scroller, to.setTip)),
    dragCut(handle, { store, width: () => stage.width, preview }),
    store.subscribe((s, was) => {
      if (drawnOf.some((k) => s[k] !== was[k])) stage.soon()
      if (s.lane !== was.lane && s.lane >= 0) showLane(stage, scroller)
    }),
    watchTheme(() => {
      stage.picture = null
      stage.soon()
    }),
    followCut(store),
  ]
  measure()
  return () => {
    seen.disconnect()
    scroller.removeEventListener('scroll', scrolled)
    for (const end of ends) end()
    stage.end()
  }
}

/** Scrolls so that the chosen lane is seen. @param {Stage} stage @param {HTMLElement} scroller */
function showLane(stage, scroller) {
  const layout = stage.layout(stage.store.get())
  const y = layout.rowOf[stage.store.get().lane] * layout.pitch
  if (y < scroller.scrollTop) scroller.scrollTop = y
  else if (y + layout.pitch > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = y + layout.pitch - scroller.clientHeight
}
