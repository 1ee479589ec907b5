// @ts-check
// The bar at the top: what is opened, where the session is, along which axis, how it looks.
import { html } from './vendor/htm-preact.js'
import { useStore } from './store.js'
import { placeText } from './actions.js'
import { dark } from './keys.js'
import { clock, grouped } from './time.js'
import { visible } from './panels/text.js'

/** @typedef {import('./types').Store} Store */
/** @typedef {import('./types').Axis} Axis */

/** @type {{axis: Axis, title: string, what: string}[]} */
const axes = [
  { axis: 'time', title: 'Time', what: 'by the hybrid logical clocks' },
  { axis: 'order', title: 'Order', what: 'one event after the other' },
  { axis: 'depth', title: 'Depth', what: 'by how many events each depends on' },
]

/** @param {{store: Store}} props */
function AxisSwitch({ store }) {
  const axis = useStore(store, (s) => s.axis)
  const about = useStore(store, (s) => s.about)
  return html`<div class="switch" role="radiogroup" aria-label="Axis (a)">
    ${axes.map((a) => html`<button key=${a.axis} role="radio" aria-checked=${String(a.axis === axis)} disabled=${!about?.spans[a.axis]}
      title=${`${a.title}: ${a.what} (a changes)`} onClick=${() => store.act.setAxis(a.axis)}>${a.title}</button>`)}
  </div>`
}

/** @param {{store: Store}} props */
function Position({ store }) {
  const cut = useStore(store, (s) => s.cut)
  const about = useStore(store, (s) => s.about)
  const order = cut && !cut.begin && cut.order !== undefined ? `${grouped(cut.order + 1)} of ${grouped(Math.max(cut.order + 1, about?.events || 0))}` : ''
  return html`<div class="position">
    <div class="stepper" role="group" aria-label="Steps">
      <button title="To the beginning (g)" aria-label="To the beginning" onClick=${() => store.act.goto('START')}>⇤</button>
      <button title="Back ([)" aria-label="Back" onClick=${() => store.act.step(-1)}>‹</button>
      <button title="Step (])" aria-label="Step" onClick=${() => store.act.step(1)}>›</button>
      <button title="To the end (G)" aria-label="To the end" onClick=${() => store.act.goto('END')}>⇥</button>
    </div>
    <div class="where" title=${cut?.time || ''}>
      <b>${!cut || cut.begin ? 'START' : visible(placeText(cut))}</b>
      <span class="clock">${cut && !cut.begin ? clock(cut.time) : ''}</span>
      <span class="muted order">${order}</span>
    </div>
  </div>`
}

/** @param {{store: Store}} props */
function LiveStatus({ store }) {
  const live = useStore(store, (s) => s.live)
  const follow = useStore(store, (s) => s.follow)
  if (!live) return null
  const silent = live.nodes.filter((n) => n.silent).length
  const text = live.ended ? 'ended' : live.lost ? 'connection lost' : silent ? `live · ${silent} silent` : 'live'
  return html`<button class=${'live ' + (live.ended ? 'ended' : live.lost || silent ? 'doubt' : 'on')} aria-pressed=${String(follow)}
    title=${(live.lost || `up to ${live.reach}`) + (follow ? '; click stops following (F)' : '; click follows (F)')} onClick=${() => store.act.follow(!follow)}>
    <i></i>${text}${follow && !live.ended ? ' · following' : ''}</button>`
}

/** The end of a path, which tells it from others. @param {string} title */
export function shortTitle(title) {
  const parts = title.split('/').filter(Boolean)
  return parts.length > 1 && !/\s/.test(title) ? parts[parts.length - 1] : title
}

/** @param {{store: Store, search: any}} props */
export function TopBar({ store, search }) {
  const about = useStore(store, (s) => s.about)
  useStore(store, (s) => s.theme)
  return html`<header class="topbar">
    <h1 title=${about?.title}><img src="icon.svg" alt="" width="20" height="20" /><span>${visible(shortTitle(about?.title || 'Hindcast'))}</span></h1>
    <${AxisSwitch} store=${store} />
    <${Position} store=${store} />
    <div class="grow"></div>
    <button class="find" title="Search (/)" onClick=${() => store.set({ searching: true })}>Search <kbd>/</kbd></button>
    ${search}
    <${LiveStatus} store=${store} />
    <button class="icon" title="All commands (:)" aria-label="All commands" onClick=${() => store.set({ palette: true })}>⌘</button>
    <button class="icon" title="Light or dark (t)" aria-label="Light or dark" onClick=${() => store.act.setTheme(dark() ? 'light' : 'dark')}>◐</button>
    <button class="icon" title="Keys (?)" aria-label="Keys" onClick=${() => store.set({ help: true })}>?</button>
  </header>`
}
