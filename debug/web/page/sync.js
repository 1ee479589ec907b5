// @ts-check
// Keeps the URL and the state the same, so that what is shown can be sent as a link
// and the browser's Back leads back.
import { parseLink, printLink } from './permalink.js'
import { fail, placeText } from './actions.js'
import { visible } from './panels/text.js'

/** @typedef {import('./types').Store} Store */
/** @typedef {import('./types').State} State */
/** @typedef {import('./permalink.js').Link} Link */

/** How long the view has to rest before it is written, in milliseconds. */
const rest = 250

/**
 * What of the state a permalink has.
 * @param {State} s
 * @returns {Link}
 */
export function linkOf(s) {
  const moved = s.lanes.some((n, i) => n !== i)
  return {
    axis: s.axis, view: s.follow ? undefined : s.view, tab: s.tab, filter: s.laneFilter, query: s.query,
    cut: s.cut && !s.follow ? placeText(s.cut) : undefined, // what follows the end does so again
    selected: s.selected && placeText(s.selected) !== (s.cut && placeText(s.cut)) ? placeText(s.selected) : undefined,
    lanes: moved ? s.lanes : [], collapsed: [...s.collapsed].sort((a, b) => a - b), pins: s.tracks.map((t) => t.expr),
  }
}

/**
 * Brings the state to what a permalink says.
 * @param {Store} store
 * @param {Link} link
 */
export async function applyLink(store, link) {
  const { about } = store.get()
  const count = about?.nodes.length || 0
  const all = Array.from({ length: count }, (_, i) => i)
  const listed = [...new Set((link.lanes || []).filter((n) => n < count))]
  const lanes = listed.length ? [...listed, ...all.filter((n) => !listed.includes(n))] : all
  store.set({ tab: link.tab || store.get().tab, lanes, collapsed: new Set((link.collapsed || []).filter((n) => n < count)), laneFilter: link.filter || '', query: link.query || store.get().query })
  const cut = store.get().cut
  if (link.cut && link.cut !== (cut ? placeText(cut) : '')) await store.act.goto(link.cut)
  if (link.selected) {
    const [p] = await store.api.places([link.selected]).catch(() => [null])
    if (p) await store.act.select(p)
    else store.act.say(`the link leads to ${visible(link.selected)}, which isn’t here`, 'error', 'it is of another recording, or forgotten')
  } else if (link.cut) {
    const now = store.get().cut
    if (now && !now.begin) await store.act.select(now)
  }
  if (link.view) store.act.setView(link.axis || 'time', link.view.from, link.view.to)
  const pins = link.pins || []
  store.set({ tracks: store.get().tracks.filter((t) => pins.includes(t.expr)) })
  for (const e of pins) void store.act.pin(e)
}

/**
 * Writes the URL as the state changes, and the state as the URL does.
 * @param {Store} store
 * @returns {() => void} ends it
 */
export function keepLink(store) {
  let timer = 0
  let applying = 0
  let pushed = stepOf(store.get())
  const write = () => {
    timer = 0
    const s = store.get()
    if (!s.about || applying) return
    const hash = '#' + printLink(linkOf(s))
    const step = stepOf(s)
    if (hash === location.hash) return
    if (step === pushed) history.replaceState(null, '', hash)
    else history.pushState(null, '', hash)
    pushed = step
  }
  const end = store.subscribe(() => {
    if (!timer) timer = window.setTimeout(write, rest)
  })
  let reading = Promise.resolve()
  const read = () => {
    applying++
    // One after the other: of steps back in a row the last is where they lead.
    reading = reading.then(() => (applying > 1 ? undefined : applyLink(store, parseLink(location.hash)))).catch((err) => fail(store, err)).finally(() => {
      applying--
      pushed = stepOf(store.get())
    })
  }
  window.addEventListener('popstate', read)
  return () => {
    end()
    clearTimeout(timer)
    window.removeEventListener('popstate', read)
  }
}

/**
 * What Back goes over step by step; the rest of the URL changes in place.
 * @param {State} s
 */
const stepOf = (s) => [s.axis, s.tab, s.follow, ...(s.follow ? [] : [s.cut, s.selected].map((p) => p && placeText(p)))].join(' ')
