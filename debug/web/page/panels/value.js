// @ts-check
// Recorded values, in the JSON form that the server gives them: sets, times, special
// floats, bytes and maps with other keys than texts are objects of one reserved key.
import { clip, visible } from './text.js'

/** @typedef {'absent'|'null'|'bool'|'number'|'text'|'time'|'bytes'|'list'|'set'|'map'} Kind */
/** @typedef {{key: string, step: string, word: boolean, value: unknown}} Entry */

const reserved = new Set(['$set', '$f', '$ts', '$b', '$map'])

/** @param {unknown} v @returns {v is Record<string, unknown>} */
const isObject = (v) => typeof v === 'object' && v !== null && !Array.isArray(v)

/**
 * The reserved key of a value, '' if it has none.
 * @param {unknown} v
 */
function special(v) {
  if (!isObject(v)) return ''
  const keys = Object.keys(v)
  return keys.length === 1 && reserved.has(keys[0]) ? keys[0] : ''
}

/** @type {Record<string, Kind>} */
const specialKinds = { $set: 'set', $f: 'number', $ts: 'time', $b: 'bytes', $map: 'map' }

/**
 * @param {unknown} v
 * @returns {Kind}
 */
export function kindOf(v) {
  if (v === undefined) return 'absent'
  if (v === null) return 'null'
  if (Array.isArray(v)) return 'list'
  switch (typeof v) {
    case 'boolean':
      return 'bool'
    case 'number':
    case 'bigint':
      return 'number'
    case 'string':
      return 'text'
  }
  const key = special(v)
  return key ? specialKinds[key] : 'map'
}

/** @param {unknown} v reports whether there is something inside of it */
export const isOpenable = (v) => sizeOf(v) > 0

/** How many members or entries a value has. @param {unknown} v */
export function sizeOf(v) {
  if (Array.isArray(v)) return v.length
  const key = special(v)
  const inside = key ? /** @type {any} */ (v)[key] : v
  if (key === '$set' || key === '$map') return Array.isArray(inside) ? inside.length : 0
  return !key && isObject(v) ? Object.keys(v).length : 0
}

const word = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * A key as it stands in a path, in brackets, and as it is shown.
 * @param {unknown} key
 * @param {unknown} value
 * @returns {Entry}
 */
function entry(key, value) {
  const text = typeof key === 'string'
  return { key: text ? visible(key) : visible(toText(key)), step: toText(key), word: text && word.test(key), value }
}

/**
 * What is inside of a value, from one place on.
 * @param {unknown} v
 * @param {number} from
 * @param {number} to
 * @returns {Entry[]}
 */
export function entries(v, from = 0, to = Infinity) {
  if (Array.isArray(v)) return v.slice(from, to).map((m, i) => entry(from + i, m))
  const inside = special(v) ? /** @type {any} */ (v)[special(v)] : null
  if (Array.isArray(inside) && special(v) === '$set') {
    return inside.slice(from, to).map((m, i) => ({ key: String(from + i), step: '', word: false, value: m }))
  }
  if (Array.isArray(inside)) return inside.slice(from, to).map(([k, m]) => entry(k, m))
  if (special(v) || !isObject(v)) return []
  return Object.keys(v).slice(from, to).map((k) => entry(k, v[k]))
}

/**
 * The path of what is one step inside of another. The first step into a variable is
 * always in brackets.
 * @param {string} path
 * @param {Entry} e
 * @param {boolean} first
 */
export function pathInto(path, e, first) {
  if (!e.step) return path // there is no way into a set
  return e.word && !first ? `${path}.${e.key}` : `${path}[${e.step}]`
}

/**
 * The JSON form of a value, on one line.
 * @param {unknown} v
 * @returns {string}
 */
export function toText(v) {
  if (typeof v === 'bigint') return String(v)
  if (v === undefined) return '—'
  return JSON.stringify(v, (_, m) => (typeof m === 'bigint' ? rawNumber(m) : m)) ?? 'null'
}

/** @param {bigint} n */
function rawNumber(n) {
  const raw = /** @type {any} */ (JSON).rawJSON
  return raw ? raw(String(n)) : Number(n)
}

/**
 * A value on a line, of about n characters: it costs no more for a large value.
 * @param {unknown} v
 * @param {number} n
 * @returns {string}
 */
export function preview(v, n = 120) {
  const out = { text: '' }
  write(v, n, out)
  return clip(visible(out.text), n)
}

/** @param {unknown} v @param {number} n @param {{text: string}} out */
function write(v, n, out) {
  if (out.text.length > n) return
  const kind = kindOf(v)
  switch (kind) {
    case 'list':
    case 'set':
    case 'map':
      writeMembers(v, kind, n, out)
      return
    case 'text':
      out.text += JSON.stringify(clip(/** @type {string} */ (v), n + 1))
      return
  }
  const key = special(v)
  out.text += key ? String(/** @type {any} */ (v)[key]) : toText(v)
}

/** @param {unknown} v @param {Kind} kind @param {number} n @param {{text: string}} out */
function writeMembers(v, kind, n, out) {
  out.text += kind === 'list' ? '[' : '{'
  let first = true
  for (const e of entries(v, 0, n)) {
    if (!first) out.text += ', '
    first = false
    if (out.text.length > n) return
    if (kind === 'map') out.text += `${e.word ? e.key : e.step}: `
    write(e.value, n, out)
  }
  out.text += kind === 'list' ? ']' : '}'
}

/**
 * JSON.parse that keeps ints exact, where the browser lets it.
 * @param {string} text
 * @returns {any}
 */
export function parseExact(text) {
  if (!/\d{16}/.test(text)) return JSON.parse(text)
  return JSON.parse(text, function (_, v) {
    const source = arguments[2]?.source
    return typeof v === 'number' && !Number.isSafeInteger(v) && source && /^-?\d+$/.test(source) ? BigInt(source) : v
  })
}
