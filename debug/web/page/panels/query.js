// @ts-check
// The console of RQL: asks, lists the rows and marks them on the timeline.
import { html, useEffect, useMemo, useRef, useState } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { placeOf } from '../api.js'
import { problemOf, stream } from './ask.js'
import { Editor } from './editor.js'
import { kept, keep } from './kept.js'
import { download, placeName, placeText } from './place.js'
import { cellText, columnsOf, csv, examples, jsonl } from './rows.js'
import { Table } from './table.js'
import { plural, visible, visibleText } from './text.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('./rows.js').TableRow} TableRow */
/** @typedef {{rows: TableRow[], end: any, problem: import('./editor.js').Mistake|null, progress: {read: number, of: number}|null, running: boolean, statement: string}} Run */

/** @type {Run} */
const nothing = { rows: [], end: null, problem: null, progress: null, running: false, statement: '' }

/** The last run, which a change of tabs keeps. @type {WeakMap<Store, Run>} */
const lastRuns = new WeakMap()

/** @param {{store: Store}} props */
export function QueryPanel({ store }) {
  const wanted = useStore(store, (s) => s.query)
  const about = useStore(store, (s) => s.about)
  const [text, setText] = useState(wanted)
  const [asked, setAsked] = useState(kept('queries'))
  const { run, start, stop } = useRun(store)
  useEffect(() => {
    if (wanted && wanted !== text) setText(wanted)
  }, [wanted])
  const go = (/** @type {string} */ statement) => {
    if (!statement.trim() || run.running) return
    setAsked(keep('queries', statement.trim()))
    start(statement)
  }
  const choose = (/** @type {string} */ t) => t && setText(t)
  return html`<section class="p-panel p-query" aria-label="Query">
    <${Editor} store=${store} text=${text} onText=${setText} onRun=${() => go(text)} mistake=${run.statement === text ? run.problem : null} label="A statement of RQL" />
    <div class="p-row">
      ${run.running ? html`<button type="button" class="p-button strong" onClick=${stop}>Cancel</button>` : html`<button type="button" class="p-button strong" title="Ctrl-Enter" disabled=${!text.trim()} onClick=${() => go(text)}>Run</button>`}
      <button type="button" class="p-button" disabled=${run.running || !text.trim()} title="which algorithm answers it" onClick=${() => start(/^\s*explain\b/i.test(text) ? text : 'EXPLAIN ' + text)}>Explain</button>
      <${Choose} label="Examples" items=${examples(about?.variables || [])} onChoose=${choose} />
      ${asked.length ? html`<${Choose} label="History" items=${asked.map((t) => ({ title: t, text: t }))} onChoose=${choose} />` : null}
    </div>
    ${run.problem ? html`<div class="p-problem" role="alert"><pre>${visibleText(run.problem.text)}</pre>${run.problem.remedy ? html`<p>${visibleText(run.problem.remedy)}</p>` : null}</div>` : null}
    <${Outcome} store=${store} run=${run} />
  </section>`
}

/** @param {{label: string, items: {title: string, text: string}[], onChoose: (text: string) => void}} props */
function Choose({ label, items, onChoose }) {
  const chosen = (/** @type {any} */ e) => {
    onChoose(items[Number(e.target.value)]?.text || '')
    e.target.value = ''
  }
  return html`<select class="p-select" aria-label=${label} onChange=${chosen}><option value="">${label}</option>
    ${items.map((item, i) => html`<option value=${i}>${visible(item.title).slice(0, 90)}</option>`)}</select>`
}

/**
 * One query at a time; its rows come while it runs.
 * @param {Store} store
 */
function useRun(store) {
  const [run, setRun] = useState(lastRuns.get(store) || nothing)
  const ended = useRef(new AbortController())
  useEffect(() => () => ended.current.abort(), [])
  const put = (/** @type {Run} */ r) => {
    lastRuns.set(store, r)
    setRun(r)
  }
  const start = async (/** @type {string} */ statement) => {
    ended.current.abort()
    const mine = (ended.current = new AbortController())
    /** @type {Run} */
    let now = { ...nothing, running: true, statement }
    put(now)
    store.set({ query: statement })
    /** @type {TableRow[]} */
    const rows = []
    let shown = 0
    const show = (/** @type {Partial<Run>} */ more) => {
      now = { ...now, ...more, rows: rows.slice() }
      shown = performance.now()
      if (ended.current === mine) put(now)
    }
    try {
      await stream(store, 'query', { statement }, (kind, v) => {
        if (kind === 'row') rows.push(v)
        else if (kind === 'progress') now.progress = v
        else if (kind === 'end') now.end = v
        else if (kind === 'error') now.problem = { text: v.error, remedy: v.remedy, offset: v.offset }
        if (performance.now() - shown > 250) show({})
      }, mine.signal)
      show({ running: false })
    } catch (err) {
      const problem = problemOf(err)
      const body = /** @type {any} */ (err)?.body
      show({ running: false, problem: problem && { ...problem, offset: body?.offset }, end: problem ? null : { partial: 'cancelled: these are the rows found until then', rows: rows.length, cuts: 0, seconds: 0 } })
    }
    if (ended.current === mine) markRows(store, rows)
  }
  return { run, start, stop: () => ended.current.abort() }
}

/**
 * Marks rows on the timeline.
 * @param {Store} store
 * @param {TableRow[]} rows
 */
function markRows(store, rows) {
  store.set({
    hits: [],
    rows: rows.filter((r) => r.places?.length).map((r) => Object.defineProperty({ ...r.row }, 'at', { value: placeOf(r.places?.[0]) })),
  })
}

/** @param {{store: Store, run: Run}} props */
function Outcome({ store, run }) {
  const { rows, end } = run
  const columns = useMemo(() => columnsOf(rows), [rows])
  const cut = useStore(store, (s) => s.cut)
  const here = cut ? placeName(cut) : ''
  const active = useMemo(() => rows.findIndex((r) => r.places && placeName(r.places[0]) === here), [rows, here])
  if (run.running && !rows.length) return html`<${Progress} run=${run} />`
  if (!end && !rows.length) return null
  return html`<div class="p-outcome">
    ${run.running ? html`<${Progress} run=${run} />` : null}
    ${end ? html`<${Notes} end=${end} rows=${rows} store=${store} />` : null}
    ${rows.length && rows[0].row.plan !== undefined ? html`<ol class="p-plan">${rows.map((r) => html`<li>${visibleText(r.row.plan)}</li>`)}</ol>`
    : rows.length ? html`<${Table} rows=${rows} label="Rows" active=${active} columns=${columns.map((c) => ({ title: c.title, cell: (/** @type {TableRow} */ r) => cellText(c, r), text: (/** @type {TableRow} */ r) => cellText(c, r, 2000), class: c.kind || '' }))}
      onPick=${(/** @type {TableRow} */ r) => r.places?.[0] && goRow(store, r)} rowClass=${(/** @type {TableRow} */ r) => (r.places?.length ? 'leads' : '')} />` : null}
  </div>`
}

/** @param {Store} store @param {TableRow} r */
function goRow(store, r) {
  const p = /** @type {import('../types').Place} */ (r.places?.[0])
  store.act.goto(p.seq ? placeText(p) : p.time || 'START')
}

/** @param {{run: Run}} props */
function Progress({ run }) {
  const p = run.progress
  return html`<div class="p-row p-progress" role="status"><progress max=${p?.of || 1} value=${p ? Math.min(p.read, p.of) : undefined} aria-label="events read"></progress>
    <span class="p-dim">${p ? `${plural(p.read, 'event')} of ${p.of.toLocaleString('en-US')}` : 'asking…'}${run.rows.length ? `, ${plural(run.rows.length, 'row')}` : ''}</span></div>`
}

/** @param {{end: any, rows: TableRow[], store: Store}} props */
function Notes({ end, rows, store }) {
  const marked = rows.filter((r) => r.places?.length).length
  const name = 'hindcast-rows'
  return html`<div class="p-notes">
    <div class="p-row"><span role="status">${rows.length ? plural(rows.length, 'row') : 'no rows'}${end.cuts ? ` from ${plural(end.cuts, 'cut')}` : ''}${end.seconds ? ` in ${end.seconds.toFixed(3)} s` : ''}${marked ? ', marked on the timeline' : ''}</span>
      ${marked ? html`<button type="button" class="p-icon" title="the row before (p)" onClick=${() => store.act.nextHit(-1)}>‹ previous</button><button type="button" class="p-icon" title="the next row (n)" onClick=${() => store.act.nextHit(1)}>next ›</button>` : null}
      ${rows.length ? html`<button type="button" class="p-icon" onClick=${() => download(name + '.jsonl', 'application/jsonl', jsonl(rows))}>JSONL</button>
        <button type="button" class="p-icon" onClick=${() => download(name + '.csv', 'text/csv', csv(rows))}>CSV</button>` : null}</div>
    ${end.partial ? html`<p class="p-warn">partial: ${visibleText(end.partial)}</p>` : null}
    ${(end.notes || []).map((/** @type {string} */ n) => html`<p class="p-warn">note: ${visibleText(n)}</p>`)}
    ${end.incomplete?.length ? html`<p class="p-warn">the recording of ${visible(end.incomplete.join(', '))} is missing in part: rows that this could change are marked incomplete</p>` : null}
  </div>`
}
