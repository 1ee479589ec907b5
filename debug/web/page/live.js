// @ts-check
// What a running cluster adds while the page is open.
import { timeAt } from './time.js'

/** @typedef {import('./types').Store} Store */

/** How long until a connection that was lost is made again, in milliseconds. */
const retry = 3000

/** How long the place stays where it is, at least, in milliseconds. */
const pause = 400

/**
 * Hears what a running cluster adds, if one is shown.
 * @param {Store} store
 * @param {boolean} follow keeps the place at the end
 */
export function followLive(store, follow) {
  const { about } = store.get()
  if (!about?.live) return
  store.set({ live: { events: about.events, told: -1, reach: about.last, nodes: [], ended: false } })
  const listen = () => {
    const source = new EventSource(new URL('api/v1/live', document.baseURI))
    source.onmessage = (e) => void heard(store, JSON.parse(e.data), source)
    source.onerror = () => {
      const { live } = store.get()
      source.close()
      if (!live || live.ended) return
      store.set({ live: { ...live, lost: 'the connection to the debugger was lost; what is shown stays' } })
      setTimeout(listen, retry)
    }
  }
  listen()
  if (follow) void store.act.follow(true)
}

/**
 * Makes a function that moves the place to where a session is that follows the end, and
 * the view with it. It moves once at a time, and a moment later again if more has come.
 * @param {Store} store
 * @returns {() => Promise<void>}
 */
export function tailOf(store) {
  let [moving, again] = [false, false]
  const move = async () => {
    const was = store.get()
    const { answer, at } = await store.api.command('live')
    const now = store.get()
    if (!now.follow) return
    if (!answer.parts.find((/** @type {any} */ p) => p.live)?.live.following) {
      store.set({ follow: false }) // a command went elsewhere
      return
    }
    if (at.order >= (now.about?.events || 0)) await store.act.reload() // more came meanwhile: the view has to have room for it
    const same = (/** @type {any} */ a, /** @type {any} */ b) => a?.node === b?.node && a?.seq === b?.seq
    if (!same(now.cut, at)) {
      store.set({ cut: at })
      if (!now.selected || same(now.selected, was.cut)) void store.act.select(at.begin ? null : at)
    }
    if (now.live) toEnd(store, now.live.reach)
  }
  return async () => {
    again = true
    if (moving) return
    moving = true
    while (again && store.get().follow) {
      again = false
      await move().catch(() => undefined) // a server that is gone is told by others
      await new Promise((done) => setTimeout(done, pause))
    }
    moving = false
  }
}

/**
 * @param {Store} store
 * @param {any} data
 * @param {EventSource} source
 */
async function heard(store, data, source) {
  const before = store.get()
  const told = data.events + (data.forgotten || 0) // of a full memory as many go as come
  store.set({ live: { events: data.events, told, reach: data.reach, nodes: data.nodes || [], ended: Boolean(data.ended) }, offline: '' })
  if (data.ended) source.close()
  if (before.live?.told === told && !data.ended) return
  await store.act.reload().catch(() => undefined)
  if (store.get().follow) void store.act.tail()
}

/**
 * Moves the view so that what is new is at its right end.
 * @param {Store} store
 * @param {string} reach
 */
function toEnd(store, reach) {
  const { axis, view, about } = store.get()
  const span = about?.spans[axis]
  if (!span) return
  const at = axis === 'time' ? timeAt(reach, about?.first || '') : undefined
  const end = Math.max(span.to, at ?? 0)
  const wide = view.from <= span.from
  const width = view.to - view.from
  const room = width * 0.03 // behind what came last
  if (wide) store.act.setView(axis, span.from - (end - span.from) * 0.012, end + room)
  else store.act.setView(axis, end + room - width, end + room)
}
