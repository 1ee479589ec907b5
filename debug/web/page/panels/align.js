// @ts-check
// Two events side by side.
import { entries, isOpenable, kindOf, pathInto, toText } from './value.js'

/** @typedef {{what: string, here: unknown, there: unknown, differs: boolean}} Aligned */

/** How many lines one value is told in. */
const linesMax = 60

/**
 * Where two values differ: they themselves, or what is inside of both.
 * @param {string} what the path of both
 * @param {unknown} a
 * @param {unknown} b
 * @param {boolean} first
 * @returns {Aligned[]}
 */
export function differences(what, a, b, first = true) {
  if (toText(a) === toText(b)) return []
  const kind = kindOf(a)
  if (kind !== kindOf(b) || (kind !== 'map' && kind !== 'list') || !isOpenable(a) || !isOpenable(b)) return [{ what, here: a, there: b, differs: true }]
  const inside = [new Map(entries(a).map((e) => [e.step, e])), new Map(entries(b).map((e) => [e.step, e]))]
  /** @type {Aligned[]} */
  const out = []
  for (const step of new Set([...inside[0].keys(), ...inside[1].keys()])) {
    const one = inside[0].get(step)
    const other = inside[1].get(step)
    const at = pathInto(what, /** @type {any} */ (one || other), first && kind === 'list')
    out.push(...differences(at, one?.value, other?.value, false))
    if (out.length > linesMax) return [{ what, here: a, there: b, differs: true }]
  }
  return out
}

/**
 * What two events have, line by line, those that differ marked. Effects are held
 * against each other by place, changes by path.
 * @param {any} here undefined: it ends
 * @param {any} there
 * @returns {Aligned[]}
 */
export function align(here, there) {
  /** @type {Aligned[]} */
  const out = []
  const add = (/** @type {string} */ what, /** @type {unknown} */ a, /** @type {unknown} */ b) => {
    if (a === undefined && b === undefined) return
    const differ = differences(what, a, b)
    out.push(...(differ.length ? differ : [{ what, here: a, there: b, differs: false }]))
  }
  for (const field of ['kind', 'name', 'machine', 'peer', 'id', 'data']) add(field, here?.[field], there?.[field])
  const effects = [here?.effects || [], there?.effects || []]
  for (let i = 0; i < Math.max(effects[0].length, effects[1].length); i++) add(`effect ${i + 1}`, effect(effects[0][i]), effect(effects[1][i]))
  const changes = [byPath(here), byPath(there)]
  for (const path of new Set([...changes[0].keys(), ...changes[1].keys()])) add(path, changes[0].get(path), changes[1].get(path))
  return out
}

/** @param {any} f */
function effect(f) {
  if (!f) return undefined
  const { kind, name, peer, id, data } = f
  return { kind, ...(name ? { name } : {}), ...(peer ? { to: peer } : {}), ...(id ? { id } : {}), ...(data !== undefined ? { data } : {}) }
}

/** @param {any} e @returns {Map<string, unknown>} */
const byPath = (e) => new Map((e?.changes || []).map((/** @type {any} */ c) => [c.path, c.value]))
