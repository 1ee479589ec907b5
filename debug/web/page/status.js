// @ts-check
// What the page has to say: the line at the bottom, what a screen reader is told, and
// the banner over a server that is gone.
import { html, useEffect, useState } from './vendor/htm-preact.js'
import { useStore } from './store.js'
import { placeText } from './actions.js'
import { clock, grouped } from './time.js'
import { visible, visibleText } from './panels/text.js'
import { countIn } from './diagram/cells.js'
import { eventsShown } from './diagram/fetch.js'
import { covers } from './diagram/view.js'

/** @typedef {import('./types').Store} Store */
/** @typedef {import('./types').State} State */

/** How long until a server that is gone is asked again, in milliseconds. */
const retry = 3000

/** How often it is looked whether the server is there, in milliseconds. */
const beat = 4000

/** Notices a server that is gone before somebody needs it. @param {Store} store */
function useHeartbeat(store) {
  useEffect(() => {
    const look = async () => {
      if (document.hidden || store.get().offline || store.get().busy) return
      try {
        await fetch(new URL('icon.svg', document.baseURI), { method: 'HEAD', cache: 'no-store' })
      } catch {
        store.set({ offline: 'The server is gone.' })
      }
    }
    const t = setInterval(look, beat)
    return () => clearInterval(t)
  }, [])
}

/** @param {{store: Store}} props */
function Offline({ store }) {
  useHeartbeat(store)
  const offline = useStore(store, (s) => s.offline)
  const [left, setLeft] = useState(retry / 1000)
  const ask = () => store.act.reload().catch((err) => {
    setLeft(retry / 1000)
    if (err.status === 401) store.set({ offline: 'Another server answers here now, which doesn’t know this page.' })
  })
  useEffect(() => {
    if (!offline) return undefined
    setLeft(retry / 1000)
    const t = setInterval(() => setLeft((n) => {
      if (n > 1) return n - 1
      void ask()
      return retry / 1000
    }), 1000)
    return () => clearInterval(t)
  }, [offline])
  if (!offline) return null
  return html`<div class="offline" role="alert"><b>${offline}</b> What is shown stays; start it again at the same address to go on, or open the URL that it prints.
    <span class="muted">Trying again in ${left} s.</span><button onClick=${ask}>Now</button></div>`
}

/** @param {State} s what a screen reader is told */
function spoken(s) {
  const at = (/** @type {State['cut']} */ p) => (!p || p.begin ? 'the beginning' : `${visible(placeText(p))}, ${clock(p.time)}`)
  if (s.selected && s.cut && placeText(s.selected) !== placeText(s.cut)) return `selected ${at(s.selected)}; the cut is at ${at(s.cut)}`
  return `at ${at(s.cut)}`
}

/** @type {{frame: any, drawn: any, view: any, count: number}} */
let counted = { frame: null, drawn: null, view: null, count: 0 }

/** @param {State} s counted once for each view */
function eventsInView(s) {
  const { frame, drawn, view, axis } = s
  if (counted.frame === frame && counted.drawn === drawn && counted.view === view) return counted.count
  const exact = drawn && drawn.axis === axis && covers(drawn.view, view) && s.lanes.length <= 128
  const count = exact ? drawn.events.filter((e) => e.at >= view.from && e.at <= view.to).length : frame && frame.axis === axis ? countIn(frame, view) : counted.count
  counted = { frame, drawn, view, count }
  return count
}

/** @param {{store: Store}} props */
export function Status({ store }) {
  const message = useStore(store, (s) => s.message)
  const busy = useStore(store, (s) => s.busy > 0)
  const about = useStore(store, (s) => s.about)
  const ready = useStore(store, (s) => s.ready)
  const say = useStore(store, spoken)
  const count = useStore(store, eventsInView)
  const index = about?.index
  return html`<footer class="status">
    <${Offline} store=${store} />
    <div class=${'message ' + (message?.kind || '')} role=${message?.kind === 'error' ? 'alert' : 'status'}>
      ${message && html`<pre>${visibleText(message.text)}</pre>${message.remedy && html`<span class="muted">${visibleText(message.remedy)}</span>`}
        <button class="quiet" aria-label="Close" onClick=${() => store.set({ message: null })}>✕</button>`}
    </div>
    <div class="facts">
      ${index?.error ? html`<span class="bad">the index failed: ${index.error}</span>`
        : ready !== 'ready' && html`<span>indexing ${ready === 'events' ? 'events' : 'messages'} <progress value=${index?.done || 0}></progress></span>`}
      ${busy && html`<span class="busy" aria-hidden="true"></span>`}
      <span>${grouped(count)} of ${grouped(Math.max(count, about?.events || 0))} events in view${count > eventsShown && html`<span class="muted zoom-hint">: zoom in to see each and its messages</span>`}</span>
      <span>${grouped(about?.nodes.length || 0)} ${about?.nodes.length === 1 ? 'node' : 'nodes'}</span>
      ${(about?.warnings || []).length > 0 && html`<span class="warn" title=${(about?.warnings || []).join('\n')}>⚠ ${about?.warnings?.length} ${about?.warnings?.length === 1 ? 'warning' : 'warnings'}</span>`}
      <span class="hint"><kbd>?</kbd> keys</span>
    </div>
    <div class="unseen" aria-live="polite">${say}</div>
  </footer>`
}
