// @ts-check
// The page: what is where, and what begins when it opens.
import { html, render, useEffect, useErrorBoundary, useMemo, useRef } from './vendor/htm-preact.js'
import { createApi, tabName } from './api.js'
import { createStore, useStore } from './store.js'
import { fail } from './actions.js'
import { bindKeys, KeyHelp } from './keys.js'
import { applyLink, keepLink } from './sync.js'
import { parseLink } from './permalink.js'
import { followLive } from './live.js'
import { TopBar } from './topbar.js'
import { Status } from './status.js'
import { Diagram } from './diagram/index.js'
import { EventPanel, StatePanel, QueryPanel, NotebookPanel, ComparePanel, Palette, SearchBox } from './panels/index.js'

/** @typedef {import('./types').Store} Store */
/** @typedef {import('./types').Tab} Tab */

/** How often it is asked how far the index is, in milliseconds. */
const askAgain = 400

/** @type {{tab: Tab, title: string, panel: any}[]} */
const panels = [
  { tab: 'event', title: 'Event', panel: EventPanel },
  { tab: 'state', title: 'State', panel: StatePanel },
  { tab: 'query', title: 'Query', panel: QueryPanel },
  { tab: 'notebook', title: 'Notebook', panel: NotebookPanel },
  { tab: 'compare', title: 'Compare', panel: ComparePanel },
]

/** Keeps what goes wrong in a part of the page in that part. @param {{children?: any}} props */
function Guarded({ children }) {
  const [error, again] = useErrorBoundary((err) => console.error(err))
  if (!error) return children
  return html`<div class="pad"><p class="bad">This panel broke: ${String(error.message || error)}</p><button onClick=${again}>Try again</button></div>`
}

/** @param {{store: Store}} props */
function Sidebar({ store }) {
  const tab = useStore(store, (s) => s.tab)
  const { panel } = panels.find((p) => p.tab === tab) || panels[0]
  /** @param {KeyboardEvent} e */
  const arrows = (e) => {
    const by = e.key === 'ArrowRight' ? 1 : e.key === 'ArrowLeft' ? -1 : 0
    if (!by) return
    e.preventDefault()
    const next = panels[(panels.findIndex((p) => p.tab === tab) + by + panels.length) % panels.length]
    store.act.openTab(next.tab)
    document.getElementById('tab-' + next.tab)?.focus()
  }
  return html`<aside class="sidebar" aria-label="Panels">
    <div class="tabs" role="tablist" onKeyDown=${arrows}>
      ${panels.map((p, i) => html`<button key=${p.tab} id=${'tab-' + p.tab} role="tab" aria-selected=${String(p.tab === tab)} aria-controls="panel"
        tabindex=${p.tab === tab ? 0 : -1} title=${`${p.title} (${i + 1})`} onClick=${() => store.act.openTab(p.tab)}>${p.title}</button>`)}
    </div>
    <div class="panel" id="panel" role="tabpanel" aria-labelledby=${'tab-' + tab} tabindex="-1">
      <${Guarded} key=${tab}><${panel} store=${store} /><//>
    </div>
  </aside>`
}

/** Moves the border between diagram and panels. */
function Splitter() {
  const bar = useRef(/** @type {HTMLElement|null} */ (null))
  /** @param {number} width */
  const set = (width) => {
    const most = Math.max(320, window.innerWidth * 0.6)
    document.documentElement.style.setProperty('--side', `${Math.round(Math.min(most, Math.max(280, width)))}px`)
  }
  /** @param {PointerEvent} e */
  const down = (e) => {
    e.preventDefault()
    bar.current?.setPointerCapture(e.pointerId)
  }
  /** @param {PointerEvent} e */
  const move = (e) => {
    if (bar.current?.hasPointerCapture(e.pointerId)) set(window.innerWidth - e.clientX)
  }
  /** @param {KeyboardEvent} e */
  const key = (e) => {
    const by = e.key === 'ArrowLeft' ? 32 : e.key === 'ArrowRight' ? -32 : 0
    if (!by) return
    e.preventDefault()
    set((document.querySelector('.sidebar')?.clientWidth || 400) + by)
  }
  return html`<div class="splitter" ref=${bar} role="separator" aria-orientation="vertical" aria-label="Width of the panels" tabindex="0" data-arrows
    onPointerDown=${down} onPointerMove=${move} onKeyDown=${key} onDblClick=${() => document.documentElement.style.removeProperty('--side')}></div>`
}

/** @param {{store: Store}} props */
function App({ store }) {
  const about = useStore(store, (s) => s.about)
  const help = useStore(store, (s) => s.help)
  const palette = useStore(store, (s) => s.palette)
  const message = useStore(store, (s) => s.message)
  if (!about) {
    return html`<main class="boot">${message ? html`<div class="boot-error"><h1>Hindcast</h1><p>${message.text}</p>${message.remedy && html`<p class="muted">${message.remedy}</p>`}
      <button onClick=${() => location.reload()}>Try again</button></div>` : html`<p>Opening…</p>`}</main>`
  }
  return html`<div class="app">
    <${TopBar} store=${store} search=${html`<${SearchBox} store=${store} />`} />
    <main class="work">
      <${Diagram} store=${store} />
      <${Splitter} />
      <${Sidebar} store=${store} />
    </main>
    <${Status} store=${store} />
    ${help && html`<${KeyHelp} store=${store} />`}
    ${palette && html`<${Palette} store=${store} />`}
  </div>`
}

/** @param {{store: Store}} props */
function Root({ store }) {
  const theme = useStore(store, (s) => s.theme)
  useEffect(() => {
    if (theme === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = theme
    try {
      if (theme !== 'auto') localStorage.setItem('hindcast-theme', theme)
    } catch { /* then it is forgotten */ }
  }, [theme])
  useMemo(() => bindKeys(store), [])
  return html`<${App} store=${store} />`
}

/**
 * What is laid out along first: a log with vector clocks alone has no times but made
 * up ones, of 1970, and they say nothing.
 * @param {import('./types').About} about
 * @returns {import('./types').Axis}
 */
const firstAxis = (about) => (about.first.startsWith('1970-') ? 'order' : 'time')

/** @param {Store} store */
async function open(store) {
  const about = await store.api.about()
  const lanes = about.nodes.map((_, i) => i)
  document.title = `${about.title} · Hindcast`
  store.set({ about, lanes, axis: firstAxis(about), ready: about.index.state })
  await indexed(store)
  store.act.fit()
  const link = parseLink(location.hash)
  await applyLink(store, link)
  const { cut, message } = store.get()
  if (!cut) await store.act.command(about.live ? 'goto END' : 'goto START')
  if (message) store.set({ message }) // why it isn't where the link says
  await store.act.loadMarks()
  keepLink(store)
  followLive(store, !link.cut)
}

/** Waits until there is something to draw; goes on asking until all of it is. @param {Store} store */
async function indexed(store) {
  const again = async () => {
    await new Promise((done) => setTimeout(done, askAgain))
    await store.act.reload().catch((err) => fail(store, err))
  }
  while (store.get().ready === 'events' && !store.get().about?.index.error) await again()
  const wait = async () => {
    while (store.get().ready !== 'ready' && !store.get().about?.index.error) await again()
    const { selected } = store.get()
    if (selected) await store.act.select(selected) // its cone is known now
  }
  if (store.get().ready !== 'ready') void wait()
}

const store = createStore(createApi(await tabName()))
try {
  const theme = localStorage.getItem('hindcast-theme')
  if (theme === 'light' || theme === 'dark') store.set({ theme })
} catch { /* nothing is kept */ }
Object.assign(window, { hindcast: { store, lastFrame: null } })
const root = /** @type {HTMLElement} */ (document.getElementById('app'))
root.textContent = ''
render(html`<${Root} store=${store} />`, root)
open(store).catch((err) => store.set({ message: { kind: 'error', text: err.message, remedy: err.remedy } }))
