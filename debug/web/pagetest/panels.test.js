// Tests of what the panels compute; node --test runs them, from TestThePagesModules.
import assert from 'node:assert/strict'
import test from 'node:test'
import { align, differences } from '../page/panels/align.js'
import { helpFor, matching, recall } from '../page/panels/commands.js'
import { withFirst } from '../page/panels/kept.js'
import { markdown, nextName, permalink, plain } from '../page/panels/notes.js'
import { placeText, placeName } from '../page/panels/place.js'
import { cellText, columnsOf, csv, csvCell, examples, jsonl } from '../page/panels/rows.js'
import { drawingOf, geometry, stepAt } from '../page/panels/sketches.js'
import { keyOf, loadMore, openable, stateRows } from '../page/panels/staterows.js'
import { byteOffset, clip, indexOfByte, visible, visibleText, wordAt } from '../page/panels/text.js'
import { keyMoves, valueRows } from '../page/panels/tree.js'
import { entries, isOpenable, kindOf, parseExact, pathInto, preview, sizeOf, toText } from '../page/panels/value.js'
import { scrollFor, windowOf } from '../page/panels/window.js'
import { askedOf, lineCutter } from '../page/panels/ask.js'

test('what has no shape of its own shows as a dot', () => {
  assert.equal(visible('a\u001b[31m\u202e\u200b\n<b>'), 'a·[31m···<b>')
  assert.equal(visibleText('a\n\tb\u0000'), 'a\n\tb·')
  assert.equal(visible('日本 🙂 é'), '日本 🙂 é')
  assert.equal(visible('\ud800x'), '·x')
})

test('a text is not cut within a character', () => {
  assert.equal(clip('abcdef', 4), 'abc…')
  assert.equal(clip('a🙂🙂', 3), 'a…')
  assert.equal(clip('abc', 3), 'abc')
})

test('places in a text are told in bytes and found again', () => {
  const text = 'SELECT "é日🙂" FROM kv'
  for (let i = 0; i <= text.length; i++) {
    if (text.charCodeAt(i) >= 0xdc00 && text.charCodeAt(i) < 0xe000) continue // within a pair
    assert.equal(indexOfByte(text, byteOffset(text, i)), i)
  }
  assert.deepEqual(wordAt('WHEN kv.cout > 3', 5), [5, 12])
  assert.deepEqual(wordAt('a > ', 4), [4, 4])
  assert.deepEqual(wordAt('a > b', 2), [2, 3])
})

test('values have a kind, a size and members', () => {
  const kinds = { '1': 'number', '"x"': 'text', null: 'null', true: 'bool', '[]': 'list', '{}': 'map', '{"$set":[1]}': 'set', '{"$ts":"t"}': 'time', '{"$f":"NaN"}': 'number', '{"$b":"AA=="}': 'bytes', '{"$map":[[1,2]]}': 'map', '{"$set":1,"x":2}': 'map' }
  for (const [text, kind] of Object.entries(kinds)) assert.equal(kindOf(JSON.parse(text)), kind, text)
  assert.equal(kindOf(undefined), 'absent')
  assert.equal(sizeOf({ $set: [1, 2] }), 2)
  assert.equal(isOpenable({ $ts: 'x' }), false)
  assert.deepEqual(entries({ $map: [[1, 'a'], [true, 'b']] }).map((e) => [e.key, e.step, e.value]), [['1', '1', 'a'], ['true', 'true', 'b']])
  assert.deepEqual(entries({ 'a b': 1, c: 2 }, 1).map((e) => [e.key, e.step, e.word]), [['c', '"c"', true]])
})

test('paths are those of the server', () => {
  const [x] = entries({ x: 1 })
  const [odd] = entries({ 'a"]': 1 })
  assert.equal(pathInto('kv.items', x, true), 'kv.items["x"]')
  assert.equal(pathInto('kv.items["x"]', x, false), 'kv.items["x"].x')
  assert.equal(pathInto('l', entries([5])[0], false), 'l[0]')
  assert.equal(pathInto('l', odd, false), 'l["a\\"]"]')
  assert.deepEqual(openable('kv.items["a].b"].c[0]'), ['kv.items', 'kv.items["a].b"]', 'kv.items["a].b"].c'])
  assert.deepEqual(openable('kv.count'), [])
  assert.deepEqual(openable('`odd[name`["x"]'), ['`odd[name`'])
})

test('a preview costs no more than it shows', () => {
  assert.equal(preview({ a: { $ts: '2026-01-01T00:00:01Z' }, 'b c': [1, 2.5, null] }), '{a: 2026-01-01T00:00:01Z, "b c": [1, 2.5, null]}')
  assert.equal(preview('<b>\u202e'), '"<b>·"')
  const deep = []
  for (let i = 0; i < 100000; i++) deep.push({ i, text: 'x'.repeat(100) })
  assert.equal(preview(deep, 50).length, 50)
  assert.equal(preview({ $set: ['x'] }), '{"x"}')
})

test('ints are exact where the engine has their text', () => {
  const v = parseExact('{"n":18446744073709551615,"f":1.5,"m":3}')
  assert.equal(v.f, 1.5)
  assert.equal(v.m, 3)
  if (typeof v.n === 'bigint') assert.equal(toText(v.n), '18446744073709551615')
  assert.equal(toText({ n: 12n }).replace(/\s/g, ''), '{"n":12}')
})

test('a tree is walked like a tree', () => {
  const rows = valueRows({ a: { b: 1 }, c: 2 }, new Map([['/0', 10]]), 'kv.x')
  assert.deepEqual(rows.map((r) => [r.level, r.open, r.data.path]), [[1, true, 'kv.x["a"]'], [2, null, 'kv.x["a"].b'], [1, null, 'kv.x["c"]']])
  assert.equal(keyMoves(rows, 0, 'ArrowRight'), 1)
  assert.equal(keyMoves(rows, 0, 'ArrowLeft'), 'toggle')
  assert.equal(keyMoves(rows, 1, 'ArrowLeft'), 0)
  assert.equal(keyMoves(rows, 1, 'ArrowRight'), null)
  assert.equal(keyMoves(rows, 2, 'Home'), 0)
  assert.equal(keyMoves(rows, 0, 'x'), null)
  const long = valueRows(Array.from({ length: 1000 }, (_, i) => i), new Map())
  assert.equal(long.length, 201)
  assert.deepEqual(long[200].data, { more: '', to: 400 })
})

test('the state lists what is open, and says where there is more', () => {
  const child = (path, more = {}) => ({ key: path, path, type: 'map', size: 2, text: '{}', ...more })
  const listings = new Map([[keyOf(0, ''), { known: true, children: [child('kv.items', { changed: true })], more: 7 }], [keyOf(1, ''), { known: false, children: [] }]])
  const rows = stateRows([{ name: 'n1' }, { name: 'n2' }, { name: 'n3' }], listings, new Set([keyOf(0, ''), keyOf(1, ''), keyOf(2, '')]), [], null)
  assert.deepEqual(rows.map((r) => [r.level, r.open]), [[1, true], [2, false], [2, null], [1, null], [1, true], [2, null]])
  assert.match(rows[1].class, /changed/)
  assert.deepEqual(rows[2].data, { more: true, key: keyOf(0, ''), skip: 1 })
  const next = { known: true, children: [child('kv.more')] }
  const longer = loadMore(listings, keyOf(0, ''), 1, next)
  const more = longer.get(keyOf(0, ''))
  assert.deepEqual([more.children.length, more.more], [2, undefined])
  assert.equal(loadMore(longer, keyOf(0, ''), 1, next), longer) // asked for twice
  assert.equal(listings.get(keyOf(0, '')).children.length, 1)
})

test('only the rows that are seen are drawn', () => {
  assert.deepEqual(windowOf(0, 100, 20, 1000), [0, 13])
  assert.deepEqual(windowOf(2000, 100, 20, 1000), [92, 113])
  assert.deepEqual(windowOf(1e9, 100, 20, 10), [10, 10])
  assert.deepEqual(windowOf(0, 100, 20, 0), [0, 0])
  assert.equal(scrollFor(100, 100, 20, 2), 40)
  assert.equal(scrollFor(0, 100, 20, 9), 100)
  assert.equal(scrollFor(60, 100, 20, 4), 60)
})

test('a place is its node and number, whatever else is named', () => {
  assert.equal(placeText({ node: 'n1', seq: 3, name: 'Put' }), 'n1:3') // an event of an answer
  assert.equal(placeText({ node: 0, name: 'n1', seq: 3, time: '' }), 'n1:3')
  assert.equal(placeText(null), 'START')
  assert.equal(placeName({ node: 'n\u202e1', seq: 3 }), 'n·1:3')
})

const rows = [
  { row: { from: '2026-01-01T00:00:01.5Z/0', to: null, cuts: 3, values: { 'kv.x': { n1: 1 }, m: '=1+1' }, event: { node: 'n1', seq: 2 } }, places: [{ node: 0, name: 'n1', seq: 2 }], span: [0, 2 ** 32] },
  { row: { from: '2026-01-01T00:00:02Z/0', to: '2026-01-01T00:00:03Z/0', cuts: 1, values: { 'kv.x': {}, m: 'a "b", c' }, event: null, incomplete: true }, places: [], span: [0, 2 ** 31] },
]

test('rows are a table, and files', () => {
  const columns = columnsOf(rows)
  assert.deepEqual(columns.map((c) => c.title), ['at', 'from', 'lasts', 'cuts', 'kv.x', 'm', 'incomplete'])
  assert.deepEqual(columns.map((c) => cellText(c, rows[0])), ['n1:2', '00:00:01.5', 'to the end', '3', '{n1: 1}', '=1+1', ''])
  assert.equal(cellText(columns[2], rows[1]), '500 ms')
  assert.equal(csv(rows).split('\r\n')[1], "n1:2,2026-01-01T00:00:01.5Z/0,to the end,3,\"{\"\"n1\"\":1}\",'=1+1,")
  assert.equal(JSON.parse(jsonl(rows).split('\n')[1]).values.m, 'a "b", c')
  assert.deepEqual(columnsOf([{ row: { name: 'kv.x', type: 'int' } }]).map((c) => c.title), ['name', 'type'])
  assert.deepEqual(columnsOf([{ row: { group: { g: 1 }, values: { n: 2 } } }]).map((c) => c.title), ['g', 'n'])
  assert.equal(csvCell('-5'), '-5')
  assert.equal(csvCell('-x'), "'-x")
})

test('examples speak of what there is', () => {
  const some = examples(['inv.a', 'node.up'])
  assert.ok(some.some((e) => e.text.includes('FROM inv WHEN CHANGED(inv.a)')))
  assert.ok(!some.some((e) => e.text.includes('kv.')))
  assert.equal(examples([]).length, 3)
})

const table = [{ name: 'goto', aliases: ['g'], short: 'go to a moment' }, { name: 'step', aliases: ['s'], short: 'go on' }, { name: 'state', short: 'show variables' }]

test('the palette finds commands by what they are called and do', () => {
  assert.deepEqual(matching(table, 'st').map((c) => c.name), ['step', 'state'])
  assert.deepEqual(matching(table, 'moment').map((c) => c.name), ['goto'])
  assert.equal(matching(table, '').length, 3)
  assert.equal(helpFor(table, 'goto n1:3')?.name, 'goto')
  assert.equal(helpFor(table, 'g n1:3')?.name, 'goto')
  assert.equal(helpFor(table, 's'), undefined)
  assert.equal(helpFor(table, 's 3')?.name, 'step')
})

test('lines come back like in a shell', () => {
  const past = { lines: ['b', 'a'], at: -1, typed: '' }
  assert.deepEqual([1, 1, 1, -1, -1].map((by) => recall(past, 'ty', by)), ['b', 'a', 'a', 'b', 'ty'])
  assert.deepEqual(withFirst(['a', 'b'], 'b'), ['b', 'a'])
  assert.deepEqual(withFirst(['a'], 'x'.repeat(5000)), ['a'])
})

test('two events are held against each other where they differ', () => {
  const here = { kind: 'recv', name: 'Put', data: { k: 'x', v: [1, 2] }, effects: [{ kind: 'send', name: 'A', peer: 'n2' }], changes: [{ path: 'kv.a', value: 1 }] }
  const there = { kind: 'recv', name: 'Put', data: { k: 'x', v: [1, 3], w: 1 }, changes: [{ path: 'kv.b', value: 1 }] }
  assert.deepEqual(align(here, there).filter((r) => r.differs).map((r) => [r.what, r.here, r.there]), [
    ['data.v[1]', 2, 3], ['data.w', undefined, 1], ['effect 1', { kind: 'send', name: 'A', to: 'n2' }, undefined], ['kv.a', 1, undefined], ['kv.b', undefined, 1]])
  assert.ok(align(here, undefined).every((r) => r.differs))
  assert.deepEqual(align(undefined, undefined), [])
  const long = (n) => Array.from({ length: 100 }, () => n)
  assert.equal(differences('l', long(1), long(2)).length, 1)
})

test('the notebook as Markdown says nothing that its notes don’t', () => {
  const marks = [{ name: 'm2', note: '# *x* <script>\n[a](b)', place: { node: 'n1', seq: 4, time: '2026-01-01T00:00:01Z' } }]
  const text = markdown('a_b', marks, 'http://127.0.0.1:1/#tab=state&view=1_2&event=n2%3A1')
  assert.ok(text.includes('\\# \\*x\\* \\<script\\>\n\\[a\\](b)'))
  assert.ok(text.startsWith('# Notebook of a\\_b'))
  assert.equal(permalink('http://h/#tab=state&view=1_2&event=x', marks[0]), 'http://h/#tab=state&cut=n1%3A4')
  assert.equal(nextName(marks), 'm3')
  assert.equal(plain('a|b'), 'a\\|b')
})

test('a drawn pattern becomes lanes, events and messages', () => {
  const sketch = { lanes: ['', 'n2', ''], steps: [{ from: 0, to: 1, name: 'Put' }, { from: 1, to: 0, name: '' }, { from: 0, to: 1, name: 'X', lost: true }], within: '' }
  assert.deepEqual(drawingOf(sketch), {
    lanes: [{ name: 'a' }, { name: 'b', node: 'n2' }],
    events: [{ lane: 0 }, { lane: 1 }, { lane: 0 }],
    messages: [{ from: 0, to: 1, name: 'Put' }, { from: 1, to: 2 }, { from: 2, to: -1, name: 'X', lost: true, lane: 1 }],
  })
  const g = geometry(sketch)
  assert.equal(stepAt(g, g.lanes[1] + 3), 1)
  assert.equal(g.steps.length, 3)
  assert.deepEqual(drawingOf({ lanes: ['', '', ''], steps: [{ from: 2, to: 2, name: 'Tick' }], within: ' 1s ' }), { lanes: [{ name: 'c' }], events: [{ lane: 0, name: 'Tick' }], messages: [], within: '1s' })
})

test('lines come whole however they are cut', () => {
  const lines = []
  const cut = lineCutter((l) => lines.push(l))
  for (const piece of ['{"a"', ':1}\n\n{"b":2}\n{"c', '":3}\n']) cut(piece)
  assert.deepEqual(lines, ['{"a":1}', '{"b":2}', '{"c":3}'])
})


test('what came of another question is there only while the new one loads', () => {
  const of1 = { key: '1', answer: { parts: [1] }, problem: null }
  assert.deepEqual(askedOf('1', of1), { answer: of1.answer, problem: null, loading: false })
  assert.deepEqual(askedOf('2', of1), { answer: of1.answer, problem: null, loading: true })
  assert.deepEqual(askedOf('', of1), { answer: null, problem: null, loading: false })
  assert.deepEqual(askedOf('2', of1, { parts: [2] }), { answer: { parts: [2] }, problem: null, loading: false })
  assert.equal(askedOf('2', { key: '1', answer: null, problem: { text: 'no' } }).problem, null)
})
