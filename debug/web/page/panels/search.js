// @ts-check
// Searching: a text in events, the moments at which a condition begins to hold, or a
// pattern of events.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { clock } from '../time.js'
import { placeOf } from '../api.js'
import { problemOf, stream } from './ask.js'
import { kept, keep } from './kept.js'
import { kindClass, partsOf } from './parts.js'
import { SketchPad } from './sketch.js'
import { placeName, placeText, Problem } from './place.js'
import { Table } from './table.js'
import { plural, visible } from './text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Place} Place */
/** @typedef {'text'|'where'|'pattern'} Mode */
/** @typedef {{place: Place, kind?: string, name?: string, peer?: string, id?: string, to?: Place, text?: string}} Hit */
/** @typedef {{mode: Mode, text: string, hits: Hit[], end: any, problem: any, running: boolean}} Search */

/** @type {Search} */
const nothing = { mode: 'text', text: '', hits: [], end: null, problem: null, running: false }

/** @type {{mode: Mode, title: string, placeholder: string}[]} */
const modes = [
  { mode: 'text', title: 'Text', placeholder: 'in names, ids, payloads, effects and changes' },
  { mode: 'where', title: 'Condition', placeholder: 'MAX(kv.count) > 5' },
  { mode: 'pattern', title: 'Pattern', placeholder: 'a -Put-> b, no b -> a within 200ms' },
]

/** The last search, which closing the box keeps. @type {WeakMap<Store, Search>} */
const lastSearches = new WeakMap()

/** @param {{store: Store}} props */
export function SearchBox({ store }) {
  const shown = useStore(store, (s) => s.searching)
  return shown ? html`<${Box} store=${store} />` : null
}

/** @param {{store: Store}} props */
function Box({ store }) {
  const { search, start, stop } = useSearch(store)
  const [mode, setMode] = useState(search.mode)
  const [text, setText] = useState(search.text)
  const input = useRef(/** @type {HTMLInputElement|null} */ (null))
  useEffect(() => {
    const before = document.activeElement
    input.current?.focus()
    input.current?.select()
    return () => before instanceof HTMLElement && before.focus()
  }, [])
  // What was drawn stands there in writing, once it is known how that is.
  useEffect(() => {
    if (search.end?.pattern && text.startsWith('{')) setText(search.end.pattern)
  }, [search.end])
  const close = () => store.set({ searching: false })
  const submit = (/** @type {Event} */ e) => {
    e.preventDefault()
    const asked = text.trim()
    if (!asked) return
    keep('searches', asked)
    if (asked === search.text && mode === search.mode && search.hits.length) store.act.nextHit(1)
    else start(mode, asked)
  }
  const type = (/** @type {string} */ t) => {
    const as = /^\s*(where|pattern|motif)\s+/i.exec(t)
    if (as && mode === 'text') setMode(as[1].toLowerCase() === 'where' ? 'where' : 'pattern')
    setText(as && mode === 'text' ? t.slice(as[0].length) : t)
  }
  const now = modes.find((m) => m.mode === mode) || modes[0]
  return html`<div class="p-search" role="dialog" aria-label="Search" onKeyDown=${(/** @type {KeyboardEvent} */ e) => e.key === 'Escape' ? (e.stopPropagation(), close()) : e.target === input.current && e.stopPropagation()}>
    <form class="p-row" onSubmit=${submit} role="search">
      <div class="p-modes" role="radiogroup" aria-label="What is searched">${modes.map((m) => html`<button type="button" role="radio" aria-checked=${String(m.mode === mode)} class=${m.mode === mode ? 'active' : ''} onClick=${() => (setMode(m.mode), input.current?.focus())}>${m.title}</button>`)}</div>
      <input ref=${input} type="search" class="p-input wide" value=${text} list="p-searches" placeholder=${now.placeholder} aria-label=${`Search: ${now.title}`} spellcheck=${false} autocomplete="off" onInput=${(/** @type {any} */ e) => type(e.target.value)} />
      <datalist id="p-searches">${kept('searches').map((s) => html`<option value=${s}></option>`)}</datalist>
      ${search.running ? html`<button type="button" class="p-button" onClick=${stop}>Stop</button>` : html`<button type="submit" class="p-button strong">Find</button>`}
      <button type="button" class="p-close" aria-label="close the search" onClick=${close}>×</button>
    </form>
    ${mode === 'pattern' ? html`<${Patterns} store=${store} onFind=${(/** @type {string} */ t) => (setText(t), start('pattern', t))} />` : null}
    <${Found} store=${store} search=${search} />
  </div>`
}

/** Patterns that are often looked for. */
const patterns = ['request-response within 200ms', 'a -> b, no b -> a within 200ms', 'broadcast', 'gather 2 within 50ms', 'a -x b', 'a -> b -> a']

/** @param {{store: Store, onFind: (text: string) => void}} props */
function Patterns({ store, onFind }) {
  const [drawing, setDrawing] = useState(false)
  return html`<div class="p-row p-patterns">${patterns.map((p) => html`<button type="button" class="p-icon" onClick=${() => onFind(p)}><code>${p}</code></button>`)}
      <button type="button" class="p-button" aria-expanded=${String(drawing)} onClick=${() => setDrawing(!drawing)}>Draw</button></div>
    ${drawing ? html`<${SketchPad} nodes=${(store.get().about?.nodes || []).map((n) => n.name)} onFind=${onFind} />` : null}`
}

/** @param {Store} store */
function useSearch(store) {
  const [search, setSearch] = useState(lastSearches.get(store) || nothing)
  const ended = useRef(new AbortController())
  useEffect(() => () => ended.current.abort(), [])
  const start = async (/** @type {Mode} */ mode, /** @type {string} */ text) => {
    ended.current.abort()
    const mine = (ended.current = new AbortController())
    /** @type {Hit[]} */
    const hits = []
    /** @type {Search} */
    let now = { ...nothing, mode, text, running: true }
    let shown = 0
    const show = (/** @type {Partial<Search>} */ more) => {
      now = { ...now, ...more, hits: hits.slice() }
      shown = performance.now()
      if (ended.current !== mine) return
      lastSearches.set(store, now)
      setSearch(now)
    }
    show({})
    try {
      if (mode === 'pattern') Object.assign(now, await findPattern(store, text, hits, mine.signal))
      else await stream(store, 'search', { [mode]: text }, (kind, v) => {
        if (kind === 'hit') hits.push({ ...v, place: placeOf(v.place) })
        else if (kind === 'end') now.end = v
        if (performance.now() - shown > 250) show({})
      }, mine.signal)
    } catch (err) {
      now.problem = problemOf(err)
    }
    const stopped = mine.signal.aborted
    show({ running: false, ...(stopped ? { end: { partial: 'stopped before all was looked at' } } : {}) })
    if (ended.current !== mine) return
    store.act.setHits(hits.map((h) => h.place))
    if (hits.length && !stopped && mode !== 'pattern') await store.act.nextHit(1) // motif goes there itself
  }
  return { search, start, stop: () => ended.current.abort() }
}

/**
 * Looks for a pattern, written or drawn: the session goes to the first match.
 * @param {Store} store
 * @param {string} text
 * @param {Hit[]} hits
 * @param {AbortSignal} signal
 * @returns {Promise<Partial<Search>>}
 */
async function findPattern(store, text, hits, signal) {
  /** @type {any} */
  let problem = null
  const answer = await store.act.command('motif ' + text, { signal, failed: (p) => (problem = p) })
  if (!answer) return { problem }
  const motif = partsOf(answer, 'motif')[0]
  const matches = motif?.matches || []
  const places = await store.act.places(matches.map((/** @type {any} */ f) => placeText(f.parts[0])))
  matches.forEach((/** @type {any} */ f, /** @type {number} */ i) => {
    const place = places[i]
    if (place) hits.push({ place, kind: '', name: '', text: describe(f) })
  })
  const partial = [motif?.found > matches.length ? `the first of ${motif.found}` : '', motif?.until ? `the search ended at ${placeName(motif.until)}` : '', motif?.givenUp ? `${motif.givenUp} beginnings took too long` : '']
  return { end: { partial: partial.filter(Boolean).join('; '), pattern: motif?.pattern } }
}

/** A match in a line: its events, and who is who. @param {any} match */
export function describe(match) {
  const names = match.lanes.filter((/** @type {any} */ l) => l.lane !== l.node).map((/** @type {any} */ l) => `${l.lane} = ${l.node}`)
  const events = [...new Set(match.parts.map((/** @type {any} */ p) => placeText(p)))]
  return `${events.join(' ')}${names.length ? '   ' + names.join(', ') : ''}`
}

/** @param {{store: Store, search: Search}} props */
function Found({ store, search }) {
  const cut = useStore(store, (s) => s.cut)
  const here = cut ? placeName(cut) : ''
  const active = search.hits.findIndex((h) => placeName(h.place) === here)
  if (!search.text) return null
  const columns = [
    { title: 'at', class: 'place', cell: (/** @type {Hit} */ h) => placeName(h.place) },
    { title: 'time', class: 'time', cell: (/** @type {Hit} */ h) => (h.place.time ? clock(h.place.time) : '') },
    { title: 'event', cell: (/** @type {Hit} */ h) => html`${h.kind ? html`<span class=${'p-kind ' + kindClass(h.kind)}>${visible(h.kind)}</span> ` : null}<b>${visible(h.name)}</b>${h.peer ? html` <span class="p-dim">${visible(h.peer)}</span>` : null}${h.text ? visible(h.text) : null}` },
  ]
  return html`<div class="p-hits">
    <${Problem} problem=${search.problem} />
    <div class="p-row"><span role="status" class="p-dim">${search.running ? 'searching, ' : ''}${search.hits.length || search.end?.partial ? plural(search.hits.length, 'hit') : search.running ? '' : search.problem ? '' : 'nothing found'}${search.end?.partial ? `: ${visible(search.end.partial)}` : ''}${search.end?.pattern ? ` of ${visible(search.end.pattern)}` : ''}${active >= 0 ? `, this is number ${active + 1}` : ''}</span>
      ${search.hits.length ? html`<button type="button" class="p-icon" title="p" onClick=${() => store.act.nextHit(-1)}>‹ previous</button><button type="button" class="p-icon" title="n" onClick=${() => store.act.nextHit(1)}>next ›</button>` : null}</div>
    ${search.hits.length ? html`<${Table} rows=${search.hits} columns=${columns} label="Hits" active=${active} onPick=${(/** @type {Hit} */ h) => store.act.goto(h.place.seq ? placeText(h.place) : h.place.time || 'START')} />` : null}
  </div>`
}
