// Runs of more than 24 days, whose coordinates along time JavaScript's numbers don't
// hold to the unit. node --test runs it, from pagemodules_test.go.
import assert from 'node:assert/strict'
import test from 'node:test'
import { createApi, placeOf } from '../page/api.js'
import { clampView, toX } from '../page/diagram/view.js'
import { brief, numberOf } from '../page/diagram/tracks.js'
import { cellText, columnsOf } from '../page/panels/rows.js'

const day = 86400 * 2 ** 32
const year = 365 * day

/** The page's requests, answered with a text. */
function answering(text) {
  const asked = []
  globalThis.document = { baseURI: 'http://127.0.0.1/' }
  globalThis.fetch = async (url) => {
    asked.push(String(url))
    return new Response(text)
  }
  return asked
}

test('what lies behind the first 24 days is asked for', async () => {
  const asked = answering('{"events":[],"messages":[],"count":0,"shown":0}')
  const api = createApi('t')
  await api.events('time', { from: 30 * day, to: 56 * year }, null)
  const q = new URL(asked[0]).searchParams
  assert.equal(Number(q.get('from')), 30 * day)
  assert.equal(Number(q.get('to')), 56 * year)
  await api.events('time', { from: -5, to: 2 ** 70 }, null)
  const most = new URL(asked[1]).searchParams
  assert.equal(most.get('from'), '0')
  assert.match(most.get('to'), /^\d{20}$/)
  assert.ok(BigInt(most.get('to')) < 2n ** 64n, most.get('to'))
})

test('places behind the first 24 days have coordinates to count with', () => {
  const p = placeOf({ name: 'n1', node: 0, seq: 3, time: 'x', timeAt: 40n * BigInt(day) + 1n, order: 7, depth: 2 })
  assert.equal(p.timeAt, 40 * day)
  assert.equal(toX({ from: 39 * day, to: 41 * day }, 100, p.timeAt), 50)
  assert.equal(p.depth, 2)
  assert.equal('depth' in placeOf({ name: 'n1', node: 0, seq: 3, time: 'x', timeAt: 1 }), false)
})

test('rows that hold for months say how long', () => {
  const row = { row: { from: '2026-01-01T00:00:00Z', to: '2026-03-01T00:00:00Z' }, span: [0, 50n * BigInt(day) + 1n] }
  const lasts = columnsOf([row]).find((c) => c.title === 'lasts')
  assert.equal(cellText(lasts, row), '50 d')
})

test('a view far from the beginning is as wide as numbers there can tell apart', () => {
  for (const at of [0, day, 40 * day, year, 56 * year, 2 ** 63]) {
    const v = clampView({ from: at, to: at }, { from: 0, to: 2 ** 64 }, 'time')
    assert.ok(v.to - v.from >= 64, `${at}: ${v.from} to ${v.to}`)
    const x = [0, 0.25, 0.5, 0.75].map((p) => v.from + p * (v.to - v.from))
    assert.equal(new Set(x).size, 4, `${at}: ${x}`)
  }
})

test('ints are shown as they are, wherever a command says them', async () => {
  answering('{"answer":{"parts":[{"variable":{"node":"n1","path":"x","value":9007199254740993}}]},"at":{"name":"n1","node":0,"seq":1,"time":"x","timeAt":9007199254740993}}')
  const a = await createApi('t').command('state')
  const exact = JSON.parse('9007199254740993', (_, v, context) => (context?.source ? BigInt(context.source) : v))
  assert.equal(a.answer.parts[0].variable.value, exact) // where JSON can be read exactly
  assert.equal(a.at.timeAt, 9007199254740992)
  assert.equal(brief(9007199254740993n), '9007199254740993')
  assert.equal(numberOf(9007199254740993n), 9007199254740992)
})
