// @ts-check
// Two events side by side.
import { toText } from './value.js'

/** @typedef {{what: string, here: unknown, there: unknown, differs: boolean}} Aligned */

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
    out.push({ what, here: a, there: b, differs: toText(a) !== toText(b) })
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
