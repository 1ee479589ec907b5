// @ts-check
// Searching: a text in events, the moments at which a condition begins to hold, or a
// pattern of events.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { clock } from '../time.js'
import { placeOf } from '../api.js'
import { problemOf, stream } from './ask.js'
import { kept, keep } from './kept.js'
import { kindClass } from './parts.js'
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
  { mode: 'pattern', title: 'Pattern', placeholder: 'a pattern of events' },
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
    <${Found} store=${store} search=${search} />
  </div>`
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
      await stream(store, 'search', { [mode]: text }, (kind, v) => {
        if (kind === 'hit') hits.push({ ...v, place: placeOf(v.place) })
        else if (kind === 'end') now.end = v
        if (performance.now() - shown > 250) show({})
      }, mine.signal)
    } catch (err) {
      now.problem = problemOf(err)
    }
    show({ running: false })
    if (ended.current !== mine) return
    store.act.setHits(hits.map((h) => h.place))
    if (hits.length) await store.act.nextHit(1)
  }
  return { search, start, stop: () => ended.current.abort() }
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
    { title: 'event', cell: (/** @type {Hit} */ h) => html`<span class=${'p-kind ' + kindClass(h.kind || '')}>${visible(h.kind)}</span> <b>${visible(h.name)}</b>${h.peer ? html` <span class="p-dim">${visible(h.peer)}</span>` : null}${h.text ? html` ${visible(h.text)}` : null}` },
  ]
  return html`<div class="p-hits">
    <${Problem} problem=${search.problem} />
    <div class="p-row"><span role="status" class="p-dim">${search.running ? 'searching, ' : ''}${search.hits.length ? plural(search.hits.length, 'hit') : search.running ? '' : search.problem ? '' : 'nothing found'}${search.end?.partial ? `: ${visible(search.end.partial)}` : ''}${active >= 0 ? `, this is number ${active + 1}` : ''}</span>
      ${search.hits.length ? html`<button type="button" class="p-icon" title="p" onClick=${() => store.act.nextHit(-1)}>‹ previous</button><button type="button" class="p-icon" title="n" onClick=${() => store.act.nextHit(1)}>next ›</button>` : null}</div>
    ${search.hits.length ? html`<${Table} rows=${search.hits} columns=${columns} label="Hits" active=${active} onPick=${(/** @type {Hit} */ h) => store.act.goto(h.place.seq ? placeText(h.place) : h.place.time || 'START')} />` : null}
  </div>`
}
