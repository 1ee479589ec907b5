// @ts-check
// Asking the server what only panels ask.
import { useEffect, useState } from '../vendor/htm-preact.js'
import { aborted, ApiError } from '../api.js'
import { parseExact } from './value.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Answer} Answer */

/** A remembered answer of the last questions: going back and forth asks once. */
const keptMax = 64

/**
 * @param {Store} store
 * @param {string} path below api/v1/
 * @param {any} body undefined: a GET
 * @param {AbortSignal} [signal]
 * @returns {Promise<Response>}
 */
async function request(store, path, body, signal) {
  /** @type {Record<string, string>} */
  const headers = { 'Hindcast-Tab': store.api.tab }
  /** @type {RequestInit} */
  const init = { headers, signal }
  if (body !== undefined) {
    headers['Content-Type'] = 'application/json'
    init.method = 'POST'
    init.body = JSON.stringify(body)
  }
  let res
  try {
    res = await fetch(new URL('api/v1/' + path, document.baseURI), init)
  } catch (err) {
    if (!aborted(err)) throw new ApiError(0, 'the server is gone', 'start hindcast debug --web again; what is shown stays')
    throw err
  }
  if (res.ok) return res
  const failed = await res.json().catch(() => ({}))
  throw new ApiError(res.status, failed.error || `the server answered ${res.status}`, failed.remedy, failed)
}

/**
 * An answer in JSON, ints exact.
 * @param {Store} store
 * @param {string} path
 * @param {any} [body]
 * @param {AbortSignal} [signal]
 * @returns {Promise<any>}
 */
export async function get(store, path, body, signal) {
  return parseExact(await (await request(store, path, body, signal)).text())
}

/**
 * Carries out a command as if the session were at a place, where it doesn't stay.
 * @param {Store} store
 * @param {string} line
 * @param {string} at
 * @param {AbortSignal} [signal]
 * @returns {Promise<Answer>}
 */
export async function askAt(store, line, at, signal) {
  return (await get(store, 'command', { line, at }, signal)).answer
}

/**
 * An answer that comes line by line: JSON objects of one key, their kind.
 * @param {Store} store
 * @param {string} path
 * @param {any} body
 * @param {(kind: string, value: any) => void} each
 * @param {AbortSignal} [signal]
 */
export async function stream(store, path, body, each, signal) {
  const res = await request(store, path, body, signal)
  const reader = /** @type {ReadableStream<Uint8Array>} */ (res.body).getReader()
  const decoder = new TextDecoder()
  const cut = lineCutter((line) => {
    for (const [kind, value] of Object.entries(parseExact(line))) each(kind, value)
  })
  for (;;) {
    const { done, value } = await reader.read()
    cut(decoder.decode(value, { stream: !done }))
    if (done) return
  }
}

/**
 * Cuts what comes in pieces into lines; empty ones are left out.
 * @param {(line: string) => void} each
 * @returns {(piece: string) => void}
 */
export function lineCutter(each) {
  let rest = ''
  return (piece) => {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) if (line) each(line)
  }
}

/**
 * What went wrong, for a panel to show.
 * @param {unknown} err
 * @returns {{text: string, remedy?: string}|null} null: nobody waits any more
 */
export function problemOf(err) {
  if (aborted(err)) return null
  const e = /** @type {any} */ (err)
  return { text: e?.message || String(err), remedy: e?.remedy }
}

/** @typedef {{answer: Answer|null, problem: {text: string, remedy?: string}|null, loading: boolean}} Asked */
/** What came last, and of which question. @typedef {{key: string, answer: Answer|null, problem: Asked['problem']}} Came */

/** @type {Map<string, Answer>} */
const kept = new Map()

/**
 * The answer to a command at a place, asked anew when either changes; while it is
 * loading the last one is there. A line or place of '' asks nothing.
 * @param {Store} store
 * @param {string} line
 * @param {string} at
 * @returns {Asked}
 */
export function useAnswer(store, line, at) {
  const key = line && at ? JSON.stringify([store.api.tab, line, at]) : ''
  const [came, set] = useState(/** @type {Came} */ ({ key: '', answer: null, problem: null }))
  useEffect(() => {
    if (!key || kept.has(key)) return
    const ended = new AbortController()
    askAt(store, line, at, ended.signal).then(
      (answer) => {
        if (!growing(store)) keep(key, answer)
        if (!ended.signal.aborted) set({ key, answer, problem: null })
      },
      (err) => {
        const problem = problemOf(err)
        if (problem && !ended.signal.aborted) set({ key, answer: null, problem })
      })
    return () => ended.abort()
  }, [key])
  return askedOf(key, came, kept.get(key))
}

/**
 * What there is of a question: what came of another one is there only while it loads.
 * @param {string} key '' asks nothing
 * @param {Came} came
 * @param {Answer} [had] its answer, if that was remembered
 * @returns {Asked}
 */
export function askedOf(key, came, had) {
  if (!key) return { answer: null, problem: null, loading: false }
  if (had) return { answer: had, problem: null, loading: false }
  const loading = came.key !== key
  return { answer: came.answer, problem: loading ? null : came.problem, loading }
}

/** @param {Store} store reports whether what an event led to may still change */
const growing = (store) => !!store.get().live && !store.get().live?.ended

/** @param {string} key @param {Answer} answer */
function keep(key, answer) {
  if (kept.size >= keptMax) kept.delete(/** @type {string} */ (kept.keys().next().value))
  kept.set(key, answer)
}
