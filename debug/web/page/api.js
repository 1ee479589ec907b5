// @ts-check
// The server's API, as docs/debug-http.md has it.
import { parseExact } from './panels/value.js'

/** @typedef {import('./types').Axis} Axis */
/** @typedef {import('./types').View} View */
/** @typedef {import('./types').Frame} Frame */
/** @typedef {import('./types').LaneCells} LaneCells */
/** @typedef {import('./types').Place} Place */
/** @typedef {import('./types').Api} Api */

/** An error of the server, with what to do about it. */
export class ApiError extends Error {
  /**
   * @param {number} status 0: it didn't answer
   * @param {string} text
   * @param {string} [remedy]
   * @param {any} [body]
   */
  constructor(status, text, remedy, body) {
    super(text)
    this.status = status
    this.remedy = remedy
    this.body = body
  }
}

/** @param {unknown} err reports whether it only says that nobody waits any more */
export function aborted(err) {
  return err instanceof DOMException && err.name === 'AbortError'
}

/** How long the page before a reload may take to let go of its name, in milliseconds. */
const ownTime = 300

/**
 * The name of this tab's session, which a reload keeps. A tab that is duplicated has the
 * name of the other: then it gets one of its own, or each would move the other's place.
 * @param {LockManager} [locks] undefined where the browser has none
 * @returns {Promise<string>}
 */
export async function tabName(locks = globalThis.navigator?.locks) {
  const made = () => 'page-' + Math.random().toString(36).slice(2, 10)
  /** @param {string} name @returns {Promise<boolean>} nobody else had it; it is ours as long as the page is there */
  const ours = (name) => new Promise((tell) => {
    if (!locks) return tell(true)
    const hold = () => (tell(true), new Promise(() => undefined))
    locks.request('hindcast ' + name, { signal: AbortSignal.timeout(ownTime) }, hold).catch((err) => tell(err?.name !== 'TimeoutError'))
  })
  try {
    let name = sessionStorage.getItem('hindcast-tab') || made()
    while (!(await ours(name))) name = made()
    sessionStorage.setItem('hindcast-tab', name)
    return name
  } catch {
    return made()
  }
}

/**
 * @param {string} path
 * @param {RequestInit} init
 * @returns {Promise<Response>}
 */
async function ask(path, init) {
  let res
  try {
    res = await fetch(new URL(path, document.baseURI), init)
  } catch (err) {
    if (aborted(err)) throw err
    throw new ApiError(0, 'The server is gone.', 'start hindcast debug --web again; what is shown stays')
  }
  if (res.ok) return res
  /** @type {any} */
  let body = {}
  try {
    body = await res.json()
  } catch {
    body = { error: `the server answered ${res.status}` }
  }
  throw new ApiError(res.status, body.error || `the server answered ${res.status}`, body.remedy, body)
}

/** @param {Record<string, string|number|undefined>} q */
function query(q) {
  const p = new URLSearchParams()
  for (const [k, v] of Object.entries(q)) {
    if (v !== undefined) p.set(k, String(v))
  }
  return p.toString()
}

/** The last coordinate that a number holds: those of the server have 64 bits. */
const coordinateMax = 2 ** 64 - 2048

/**
 * Coordinates are asked for in whole numbers, from 0 on.
 * @param {number} at
 */
const whole = (at) => Math.max(0, Math.floor(Math.min(at, coordinateMax)))

/** @param {string} tab the name of the session @returns {Api} */
export function createApi(tab) {
  const headers = { 'Hindcast-Tab': tab }
  /** @param {string} path @param {AbortSignal} [signal] */
  const get = async (path, signal) => (await ask('api/v1/' + path, { headers, signal })).json()
  /** @param {string} path @param {any} body @param {AbortSignal} [signal] */
  const post = async (path, body, signal) =>
    (await ask('api/v1/' + path, { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify(body), signal })).json()
  /** @param {Axis} axis @param {View} view @param {number[]|null} nodes */
  const stretch = (axis, view, nodes) => ({ axis, from: whole(view.from), to: whole(Math.ceil(view.to)), lanes: nodes ? nodes.join(',') : undefined })
  return {
    tab,
    about: () => get('about'),
    async command(line, signal) {
      const res = await ask('api/v1/command', { method: 'POST', headers: { ...headers, 'Content-Type': 'application/json' }, body: JSON.stringify({ line }), signal })
      const a = parseExact(await res.text())
      return { ...a, at: placeOf(a.at) }
    },
    commands: () => get('commands'),
    complete: (line, pos) => post('complete', { line, pos }),
    async frame(axis, view, columns, nodes, signal) {
      const q = query({ ...stretch(axis, view, nodes), columns })
      const res = await ask('api/v1/frame?' + q, { headers, signal })
      const decoded = decodeFrame(await res.arrayBuffer())
      return { axis, view: { from: whole(view.from), to: whole(Math.ceil(view.to)) }, nodes: nodes || decoded.lanes.map((_, i) => i), ...decoded }
    },
    async merged(axis, view, columns, nodes, rest, signal) {
      const q = query({ ...stretch(axis, view, nodes), columns, merge: 1, rest: rest ? 1 : undefined })
      const res = await ask('api/v1/frame?' + q, { headers, signal })
      return { axis, view: { from: whole(view.from), to: whole(Math.ceil(view.to)) }, nodes: [-1], ...decodeFrame(await res.arrayBuffer()) }
    },
    async events(axis, view, nodes, signal) {
      const a = await get('events?' + query(stretch(axis, view, nodes)), signal)
      return { axis, view, nodes: nodes || [], ...a }
    },
    cone: (at, signal) => get('cone?' + query({ at }), signal),
    async cut(axis, at, node, signal) {
      return placeOf(await get('cut?' + query({ axis, at: whole(at), node }), signal))
    },
    async lanes(at, signal) {
      return (await get('lanes?' + query({ at }), signal)).nodes
    },
    async places(texts, signal) {
      /** @type {(Place|null)[]} */
      const out = []
      for (let i = 0; i < texts.length; i += placesMax) {
        const a = await post('places', { places: texts.slice(i, i + placesMax) }, signal)
        out.push(...a.places.map((/** @type {any} */ p) => p && placeOf(p)))
      }
      return out
    },
  }
}

/** How many places are asked for at once. */
const placesMax = 10000

/** What is drawn is counted with numbers: an int that JSON was read for exactly isn't one. */
const coordinates = /** @type {const} */ (['timeAt', 'order', 'depth'])

/**
 * A place as the server has it, before the first event too.
 * @param {any} p
 * @returns {Place}
 */
export function placeOf(p) {
  if (!p || p.begin || p.name === undefined) return { node: -1, name: '', seq: 0, time: '', begin: true, timeAt: 0, order: 0, depth: 0 }
  if (!coordinates.some((key) => typeof p[key] === 'bigint')) return p
  const place = { ...p }
  for (const key of coordinates) if (key in p) place[key] = Number(p[key])
  return place
}

/**
 * Decodes the cells of GET /api/v1/frame.
 * @param {ArrayBuffer} buffer
 * @returns {{columns: number, lanes: LaneCells[], events: number}}
 */
export function decodeFrame(buffer) {
  const d = new DataView(buffer)
  if (d.byteLength < 16 || d.getUint32(0, false) !== 0x48434631) throw new Error('the answer is no frame')
  let at = 4
  const u16 = () => d.getUint16((at += 2) - 2, true)
  const u32 = () => d.getUint32((at += 4) - 4, true)
  const columns = u32()
  const laneCount = u32()
  const events = u32()
  /** @type {LaneCells[]} */
  const lanes = []
  for (let i = 0; i < laneCount; i++) {
    const n = u32()
    const lane = { columns: new Uint16Array(n), classes: new Uint16Array(n), counts: new Uint32Array(n), down: /** @type {[number, number][]} */ ([]) }
    for (let k = 0; k < n; k++) {
      lane.columns[k] = u16()
      lane.classes[k] = u16()
      lane.counts[k] = u32()
    }
    for (let k = u32(); k > 0; k--) lane.down.push([u16(), u16()])
    lanes.push(lane)
  }
  return { columns, lanes, events }
}
