// @ts-check
// Rows of a query as a table, as text and as files.
import { clock, duration, second } from '../time.js'
import { visible } from './text.js'
import { preview, toText } from './value.js'

/** @typedef {import('../types').Place} Place */
/** @typedef {import('../types').Row} Row */

/**
 * A row and where it is: span is from when to when it holds, along the axis of time.
 * @typedef {{row: any, places?: Place[], span?: [number, number]}} TableRow
 */

/** A column: what a row has there, undefined if nothing. @typedef {{title: string, of: (r: TableRow) => unknown, kind?: 'place'|'time'}} RowColumn */

/** What isn't a column of its own. */
const known = new Set(['values', 'group', 'event', 'events', 'from', 'to', 'at', 'cuts', 'each', 'witness', 'edge', 'incomplete'])

/**
 * The columns of some rows, in the order in which they are shown.
 * @param {TableRow[]} rows
 * @returns {RowColumn[]}
 */
export function columnsOf(rows) {
  const sample = rows.slice(0, 200)
  const keys = (/** @type {(r: any) => any} */ part) => [...new Set(sample.flatMap((r) => Object.keys(part(r.row) || {})))]
  const has = (/** @type {string} */ key) => sample.some((r) => r.row[key] !== undefined)
  /** @type {RowColumn[]} */
  const out = []
  if (sample.some((r) => r.places?.length)) out.push({ title: 'at', of: (r) => r.places?.[0], kind: 'place' })
  for (const key of ['edge', 'from', 'at']) if (has(key) && !(key === 'at' && out.length)) out.push({ title: key, of: (r) => r.row[key], kind: 'time' })
  if (has('from') && has('to')) out.push({ title: 'lasts', of: lasts })
  if (sample.some((r) => r.row.cuts > 1)) out.push({ title: 'cuts', of: (r) => r.row.cuts })
  for (const part of ['each', 'group', 'values']) {
    for (const key of keys((row) => row[part])) out.push({ title: key, of: (r) => r.row[part]?.[key] })
  }
  for (const key of keys((row) => row)) if (!known.has(key)) out.push({ title: key, of: (r) => r.row[key] })
  for (const key of ['witness', 'events', 'incomplete']) if (has(key)) out.push({ title: key, of: (r) => r.row[key] })
  return out
}

/** @param {TableRow} r */
function lasts(r) {
  if (r.row.to === null) return 'to the end'
  return r.span ? duration((Number(r.span[1]) - Number(r.span[0])) / second) : ''
}

/**
 * A cell as text.
 * @param {RowColumn} column
 * @param {TableRow} row
 * @param {number} max
 */
export function cellText(column, row, max = 200) {
  const v = column.of(row)
  if (v === undefined) return ''
  if (column.kind === 'place') return visible(`${/** @type {Place} */ (v).name || 'START'}:${/** @type {Place} */ (v).seq || 0}`)
  if (column.kind === 'time' && typeof v === 'string') return clock(v)
  return typeof v === 'string' ? visible(v.slice(0, max)) : preview(v, max)
}

/**
 * The rows as JSON Lines, as hindcast query -o jsonl prints them.
 * @param {TableRow[]} rows
 */
export const jsonl = (rows) => rows.map((r) => toText(r.row) + '\n').join('')

/**
 * The rows as comma-separated values (RFC 4180).
 * @param {TableRow[]} rows
 */
export function csv(rows) {
  const columns = columnsOf(rows)
  const lines = [columns.map((c) => csvCell(c.title))]
  for (const r of rows) lines.push(columns.map((c) => csvCell(csvText(c, r))))
  return lines.map((l) => l.join(',') + '\r\n').join('')
}

/** @param {RowColumn} column @param {TableRow} row */
function csvText(column, row) {
  const v = column.of(row)
  if (v === undefined || v === null) return ''
  if (column.kind === 'place') return `${/** @type {Place} */ (v).name || 'START'}:${/** @type {Place} */ (v).seq || 0}`
  return typeof v === 'string' ? v : toText(v)
}

/**
 * A cell in quotes if need be. What a spreadsheet would take for a formula is kept
 * from it by an apostrophe: the text is whoever's.
 * @param {string} text
 */
export function csvCell(text) {
  const safe = /^[=+@\t\r-]/.test(text) && !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? "'" + text : text
  return /[",\r\n]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe
}

/**
 * Statements that make sense of a History with these variables.
 * @param {string[]} variables
 * @returns {{title: string, text: string}[]}
 */
export function examples(variables) {
  const own = variables.filter((v) => !/^(node|net)\./.test(v))
  const one = own.find((v) => v === 'kv.count') || own[0] || variables[0]
  const out = [{ title: 'All variables', text: 'SHOW VARIABLES' }, { title: 'All nodes', text: 'SHOW NODES' }, { title: 'Kinds of events', text: 'SHOW EVENTS' }]
  if (one) {
    const log = one.slice(0, one.indexOf('.'))
    out.push({ title: `When ${one} changed`, text: `SELECT ${one} FROM ${log} WHEN CHANGED(${one}) EMIT CUTS LIMIT 100` })
    out.push({ title: `When nodes disagreed about ${one}`, text: `SELECT ${one} FROM ${log} WHEN COUNT(DISTINCT ${one}) > 1` })
  }
  if (variables.includes('kv.items')) {
    out.push({ title: 'Stale copies', text: 'SELECT kv.items[k].version FROM kv, node FOR EACH k IN KEYS(kv.items)\nWHEN (kv.items[k].version < MAX(kv.items[k].version) AND node.up) LINK SAME_NODE' })
  }
  if (variables.includes('node.up')) out.push({ title: 'When a node was down', text: 'SELECT node.up FROM node WHEN NOT node.up' })
  return out
}
