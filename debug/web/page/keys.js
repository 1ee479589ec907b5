// @ts-check
// The one table of keys: what is pressed, what it does, and what help says of it.
import { html } from './vendor/htm-preact.js'
import { useEffect, useRef } from './vendor/htm-preact.js'

/** @typedef {import('./types').Store} Store */

/**
 * @typedef {object} Key
 * @property {string[]} keys as KeyboardEvent.key has them, with Ctrl+ and Alt+ before it
 * @property {string} what for help
 * @property {string} group
 * @property {(store: Store) => any} do
 */

/** The lane that is meant. @param {Store} store */
const lane = (store) => {
  const { lane, selected } = store.get()
  return lane >= 0 ? lane : selected && !selected.begin ? selected.node : -1
}

/** @param {Store} store @param {number} by */
const stepLane = (store, by) => {
  const n = lane(store)
  if (n < 0) store.act.say('choose a lane first: Tab to its name, or select an event of it')
  else void store.act.step(by, n)
}

/** @param {Store} store @param {number} by selects the lane above or below */
const nextLane = (store, by) => {
  const { lanes, collapsed } = store.get()
  const shown = lanes.filter((n) => !collapsed.has(n))
  const i = shown.indexOf(lane(store))
  const next = shown[Math.min(shown.length - 1, Math.max(0, i + by))]
  if (next !== undefined) store.set({ lane: next })
}

/** @type {Key[]} */
export const keys = [
  { group: 'Time', keys: [']'], what: 'step: one event on, of the whole system', do: (s) => s.act.step(1) },
  { group: 'Time', keys: ['['], what: 'back: one event back', do: (s) => s.act.step(-1) },
  { group: 'Time', keys: ['}'], what: 'step on in the chosen lane', do: (s) => stepLane(s, 1) },
  { group: 'Time', keys: ['{'], what: 'step back in the chosen lane', do: (s) => stepLane(s, -1) },
  { group: 'Time', keys: ['c'], what: 'go to the cause of the event', do: (s) => s.act.command('cause') },
  { group: 'Time', keys: ['n'], what: 'next hit, row of the query, or mark', do: (s) => s.act.nextHit(1) },
  { group: 'Time', keys: ['p'], what: 'the one before', do: (s) => s.act.nextHit(-1) },
  { group: 'Time', keys: ['g'], what: 'go to the beginning', do: (s) => s.act.goto('START') },
  { group: 'Time', keys: ['G'], what: 'go to the end', do: (s) => s.act.goto('END') },
  { group: 'Time', keys: ['u'], what: 'undo', do: (s) => s.act.command('undo') },
  { group: 'Time', keys: ['U'], what: 'redo', do: (s) => s.act.command('redo') },
  { group: 'View', keys: ['+', '='], what: 'zoom in', do: (s) => zoom(s, 1.6) },
  { group: 'View', keys: ['-', '_'], what: 'zoom out', do: (s) => zoom(s, 1 / 1.6) },
  { group: 'View', keys: ['0', 'f'], what: 'the whole run', do: (s) => s.act.fit() },
  { group: 'View', keys: ['h', 'ArrowLeft'], what: 'move to earlier', do: (s) => s.act.pan(-0.15) },
  { group: 'View', keys: ['l', 'ArrowRight'], what: 'move to later', do: (s) => s.act.pan(0.15) },
  { group: 'View', keys: ['j', 'ArrowDown'], what: 'the lane below', do: (s) => nextLane(s, 1) },
  { group: 'View', keys: ['k', 'ArrowUp'], what: 'the lane above', do: (s) => nextLane(s, -1) },
  { group: 'View', keys: ['a'], what: 'another axis: time, order, depth', do: (s) => nextAxis(s) },
  { group: 'View', keys: ['z'], what: 'bring the cut into view, near', do: (s) => near(s) },
  { group: 'View', keys: ['x'], what: 'merge the chosen lane with the others, or show it again', do: (s) => { const n = lane(s); if (n >= 0) s.act.collapse(n, !s.get().collapsed.has(n)) } },
  { group: 'View', keys: ['t'], what: 'light or dark', do: (s) => s.act.setTheme(dark() ? 'light' : 'dark') },
  { group: 'View', keys: ['F'], what: 'follow a running cluster', do: (s) => s.act.follow(!s.get().follow) },
  { group: 'Panels', keys: ['1'], what: 'Event', do: (s) => s.act.openTab('event') },
  { group: 'Panels', keys: ['2'], what: 'State', do: (s) => s.act.openTab('state') },
  { group: 'Panels', keys: ['3'], what: 'Query', do: (s) => s.act.openTab('query') },
  { group: 'Panels', keys: ['4'], what: 'Notebook', do: (s) => s.act.openTab('notebook') },
  { group: 'Panels', keys: ['5'], what: 'Compare', do: (s) => s.act.openTab('compare') },
  { group: 'Panels', keys: ['/'], what: 'search', do: (s) => s.set({ searching: true }) },
  { group: 'Panels', keys: [':', 'Ctrl+k'], what: 'all commands', do: (s) => s.set({ palette: true }) },
  { group: 'Panels', keys: ['?'], what: 'these keys', do: (s) => s.set({ help: !s.get().help }) },
  { group: 'Panels', keys: ['Escape'], what: 'close what is open; select nothing', do: escape },
]

/** What the pointer does, for help. */
export const gestures = [
  ['wheel, pinch', 'zoom around the pointer'],
  ['drag', 'move; over the ruler, the cut'],
  ['Shift + drag', 'zoom to what is dragged over'],
  ['Shift + wheel', 'move in time'],
  ['wheel over the names', 'scroll the lanes'],
  ['click', 'select the event, and see what it depends on and what depends on it'],
  ['double click', 'go there: the cut moves to the event'],
]

/** @param {Store} store @param {number} factor zooms around the cut if that is in view */
function zoom(store, factor) {
  const { selected, cut, axis, view } = store.get()
  for (const p of [selected, cut]) {
    const at = p && (axis === 'time' ? p.timeAt : p[axis])
    if (at !== null && at !== undefined && at >= view.from && at <= view.to) return store.act.zoom(factor, at)
  }
  store.act.zoom(factor)
}

/** @param {Store} store */
function near(store) {
  const { cut, axis, view, about } = store.get()
  const at = cut && (axis === 'time' ? cut.timeAt : cut[axis])
  const span = about?.spans[axis]
  if (at === null || at === undefined || !span) return
  const least = axis === 'time' ? (about?.second || 2 ** 32) / 50 : 60
  const width = Math.min(view.to - view.from, Math.max(least, (span.to - span.from) / 200))
  store.act.setView(axis, at - width / 2, at + width / 2)
}

/** @param {Store} store */
function nextAxis(store) {
  const axes = /** @type {const} */ (['time', 'order', 'depth'])
  store.act.setAxis(axes[(axes.indexOf(store.get().axis) + 1) % axes.length])
}

/** Reports whether the page is dark now. */
export const dark = () => {
  const set = document.documentElement.dataset.theme
  return set === 'dark' || (set !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches)
}

/** @param {Store} store */
function escape(store) {
  const s = store.get()
  if (s.help || s.palette || s.searching) store.set({ help: false, palette: false, searching: false })
  else if (s.message) store.set({ message: null })
  else if (s.selected) void store.act.select(null)
  else if (s.hits.length || s.rows.length) store.set({ hits: [], rows: [] })
}

/** @param {EventTarget|null} target reports whether letters are typed there */
function typing(target) {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}

/** @param {KeyboardEvent} e */
const nameOf = (e) => (e.ctrlKey || e.metaKey ? 'Ctrl+' : '') + (e.altKey ? 'Alt+' : '') + e.key

/**
 * Carries out the table.
 * @param {Store} store
 * @returns {() => void} ends it
 */
export function bindKeys(store) {
  /** @param {KeyboardEvent} e */
  const press = (e) => {
    if (e.defaultPrevented || e.isComposing) return
    const name = nameOf(e)
    if (typing(e.target) && name !== 'Escape' && name !== 'Ctrl+k') return
    const s = store.get()
    if ((s.help || s.palette || s.searching) && name !== 'Escape' && name !== '?') return
    // Within trees, tables and tab lists arrows have a meaning of their own.
    if (name.startsWith('Arrow') && e.target instanceof HTMLElement && e.target.closest('[role=tree],[role=tablist],[role=grid],[role=listbox],[data-arrows]')) return
    const key = keys.find((k) => k.keys.includes(name))
    if (!key) return
    e.preventDefault()
    key.do(store)
  }
  window.addEventListener('keydown', press)
  return () => window.removeEventListener('keydown', press)
}

/** The keys, for people. @param {{store: Store}} props */
export function KeyHelp({ store }) {
  const dialog = useRef(/** @type {HTMLDialogElement|null} */ (null))
  useEffect(() => {
    dialog.current?.showModal()
  }, [])
  const close = () => store.set({ help: false })
  const groups = [...new Set(keys.map((k) => k.group))]
  const names = /** @type {Record<string, string>} */ ({ ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', Escape: 'Esc' })
  return html`<dialog class="help" ref=${dialog} onClose=${close} onClick=${(/** @type {MouseEvent} */ e) => e.target === dialog.current && close()} aria-label="Keys">
    <header><h2>Keys</h2><button class="quiet" onClick=${close} aria-label="Close">✕</button></header>
    <div class="help-groups">
      ${groups.map((g) => html`<section key=${g}><h3>${g}</h3><dl>
        ${keys.filter((k) => k.group === g).map((k) => html`<div key=${k.keys[0]}>
          <dt>${k.keys.map((n) => html`<kbd key=${n}>${names[n] || n.replace('Ctrl+', 'Ctrl ')}</kbd>`)}</dt><dd>${k.what}</dd></div>`)}
      </dl></section>`)}
      <section><h3>Pointer</h3><dl>${gestures.map(([k, what]) => html`<div key=${k}><dt><span class="gesture">${k}</span></dt><dd>${what}</dd></div>`)}</dl></section>
    </div>
  </dialog>`
}
