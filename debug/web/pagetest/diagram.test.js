// What the diagram computes. node --test runs it, from pagemodules_test.go.
import test from 'node:test'
import assert from 'node:assert/strict'
import { decodeFrame } from '../page/api.js'
import { parseTimestamp, timeAt, timestampAt, clock, duration } from '../page/time.js'
import { parseLink, parseRanges, printLink, printRanges } from '../page/permalink.js'
import { clampView, covers, fromX, roundStep, toX, widened } from '../page/diagram/view.js'
import { numberTicks, timeTicks } from '../page/diagram/ticks.js'
import { laneY, layoutLanes, others, splitLanes, visibleRows } from '../page/diagram/layout.js'
import { arrowAt, nodeAt } from '../page/diagram/hit.js'
import { partSpots } from '../page/diagram/hits.js'
import { namePlace } from '../page/diagram/messages.js'
import { countIn } from '../page/diagram/cells.js'
import { denseEvents } from '../page/diagram/events.js'
import { brief } from '../page/diagram/tracks.js'
import { namesWidth } from '../page/diagram/names.js'

/** A random number, the same in every run. */
function chance(seed) {
  return () => {
    seed = (seed * 1664525 + 1013904223) >>> 0
    return seed / 2 ** 32
  }
}

test('a frame is decoded as the server encodes it', () => {
  const b = []
  const u16 = (n) => b.push(n & 255, n >> 8)
  const u32 = (n) => { u16(n & 65535); u16(n >>> 16) }
  b.push(...Buffer.from('HCF1'))
  u32(5); u32(2); u32(70003)
  u32(2); u16(0); u16(1); u32(3); u16(4); u16(160); u32(70000); u32(0)
  u32(0); u32(1); u16(2); u16(4)
  const f = decodeFrame(new Uint8Array(b).buffer)
  assert.equal(f.columns, 5)
  assert.equal(f.events, 70003)
  assert.deepEqual([...f.lanes[0].columns], [0, 4])
  assert.deepEqual([...f.lanes[0].classes], [1, 160])
  assert.deepEqual([...f.lanes[0].counts], [3, 70000])
  assert.deepEqual(f.lanes[1].down, [[2, 4]])
  assert.throws(() => decodeFrame(new TextEncoder().encode('{"error":"something long"}').buffer), /no frame/)
  assert.throws(() => decodeFrame(new ArrayBuffer(3)), /no frame/)
})

test('a part of a frame has the events of its columns', () => {
  const lane = { columns: Uint16Array.of(0, 5, 9), classes: Uint16Array.of(1, 1, 1), counts: Uint32Array.of(2, 3, 4), down: [] }
  const frame = { axis: 'order', view: { from: 100, to: 199 }, columns: 10, nodes: [0], lanes: [lane], events: 9 }
  assert.equal(countIn(frame, { from: 100, to: 199 }), 9)
  assert.equal(countIn(frame, { from: 140, to: 165 }), 3)
  assert.equal(countIn(frame, { from: 111, to: 138 }), 0)
})

test('coordinates and pixels lead back to each other', () => {
  const next = chance(1)
  for (let i = 0; i < 200; i++) {
    const from = next() * 1e12
    const view = { from, to: from + 10 + next() * 1e10 }
    const x = next() * 1900
    assert.ok(Math.abs(toX(view, 1900, fromX(view, 1900, x)) - x) < 1e-2)
  }
})

test('a view is neither outside of the run nor narrower than can be drawn', () => {
  const next = chance(2)
  const span = { from: 0, to: 1e9 }
  for (let i = 0; i < 500; i++) {
    const from = (next() - 0.5) * 4e9
    const v = clampView({ from, to: from + (next() - 0.2) * 3e9 }, span, 'time')
    assert.ok(v.to - v.from >= 64 - 1e-6, JSON.stringify(v))
    assert.ok(v.from >= -0.021e9 && v.to <= 1.021e9, JSON.stringify(v))
  }
  assert.deepEqual(clampView({ from: NaN, to: 3 }, span, 'order'), span)
  const one = clampView({ from: 7, to: 7 }, { from: 7, to: 7 }, 'order') // one event
  assert.ok(one.from < 7 && one.to > 7)
})

test('what is asked for covers what is seen', () => {
  const view = { from: -10.5, to: 99.25 }
  assert.ok(covers(widened(view, 0), view))
  assert.ok(covers(widened(view, 0.5), { from: -30, to: 120 }))
  assert.ok(!covers(widened(view, 0), { from: -10, to: 101 }))
})

test('timestamps are read to the tick and written as they were', () => {
  assert.equal(parseTimestamp('1970-01-01T00:00:01.5Z/3'), (1n << 32n) + (1n << 31n) + 3n)
  assert.equal(parseTimestamp('yesterday'), null)
  const first = '2026-11-22T10:04:58.089860Z/0'
  for (const text of ['2026-11-22T10:04:58.089860Z', '2026-11-22T10:05:01.006547Z', '2026-11-22T10:05:10.404435Z', '2026-11-23T00:00:00.000000Z']) {
    assert.equal(timestampAt(timeAt(text, first), first), text)
  }
  assert.equal(clock('2026-11-22T10:05:01.006547Z/0'), '10:05:01.006547')
  assert.equal(duration(0.0123), '12.3 ms')
  assert.equal(duration(90), '90 s')
})

test('permalinks say what was put into them', () => {
  const link = {
    axis: 'order', view: { from: -12.5, to: 1e12 + 0.25 }, cut: 'a b:c/ü#&=:12', selected: 'n2:3', tab: 'query', lanes: [3, 0, 1, 2], collapsed: [1, 5, 6, 7],
    filter: 'n', pins: ['MAX(kv.count) - 1', 'kv.items["a&b"]'], query: 'SELECT a FROM b WHEN a > 1',
  }
  assert.deepEqual(parseLink('#' + printLink(link)), link)
  assert.deepEqual(parseLink(''), {})
  assert.deepEqual(parseLink('#axis=colour&view=9_1&tab=nonsense&lanes=x,-1&cut='), {})
  assert.equal(printRanges([0, 1, 2, 5, 7, 8]), '0-2,5,7-8')
  assert.equal(parseRanges('0-999999999', 50).length, 50)
})

test('ticks are round, in view, and far enough from each other', () => {
  const first = '2026-11-22T23:59:58.500000Z/0'
  const second = 2 ** 32
  for (const width of [1e-5, 1e-3, 0.2, 3, 70, 4000, 3e5]) {
    const view = { from: 0, to: width * second }
    const { ticks, lead } = timeTicks(view, 1000, first, 80)
    assert.ok(ticks.length >= 1 && ticks.length <= 14, `${width}: ${ticks.length}`)
    assert.ok(ticks.every((t) => t.at >= -1 && t.at <= view.to + 1))
    assert.ok(lead || width > 1 || ticks.some((t) => t.label.includes(':')), String(width))
  }
  const { ticks } = timeTicks({ from: 0, to: 3 * second }, 1000, first, 80)
  assert.ok(ticks.some((t) => t.label === '00:00:00 +1d' && Math.abs(t.at - 1.5 * second) < 1))
  assert.deepEqual(numberTicks({ from: 0, to: 40 }, 400, 90).map((t) => t.label), ['0', '10', '20', '30', '40'])
  assert.equal(roundStep(0.0031), 0.005)
})

test('lanes that are collapsed, or have other names, are merged into the last row', () => {
  const nodes = ['alpha', 'beta', 'gamma', 'delta'].map((name) => ({ name, events: 1 }))
  const state = { about: { nodes }, lanes: [2, 0, 1, 3], collapsed: new Set([0]), laneFilter: 'TA' }
  const split = splitLanes(state)
  assert.deepEqual(split, { own: [1, 3], merged: [2, 0] })
  const l = layoutLanes(split, 4, 300)
  assert.deepEqual(l.rows, [1, 3, others])
  assert.equal(laneY(l, 2), laneY(l, 0))
  assert.ok(laneY(l, 2) > laneY(l, 3))
  assert.deepEqual(visibleRows(l, 0, 100, 0), [0, 1])
  const many = layoutLanes({ own: Array.from({ length: 10000 }, (_, i) => i), merged: [] }, 10000, 700)
  assert.equal(many.pitch, 20)
  const [a, b] = visibleRows(many, 100000, 700, 2)
  assert.ok(a === 4998 && b === 5037, `${a} ${b}`)
  assert.equal(nodeAt({ layout: l, scroll: 0 }, 150), 3)
  assert.equal(nodeAt({ layout: l, scroll: 0 }, 250), -1)
})

test('the arrow nearest to the pointer is found', () => {
  const arrows = [{ x0: 0, y0: 0, x1: 100, y1: 100, kind: 'there' }, { x0: 0, y0: 100, x1: 100, y1: 0, kind: 'lost' }]
  assert.equal(arrowAt(arrows, 20, 22, 5), arrows[0])
  assert.equal(arrowAt(arrows, 80, 22, 5), arrows[1])
  assert.equal(arrowAt(arrows, 50, 5, 5), null)
})

test('of what is found close together only ticks are drawn', () => {
  const { alone, close } = partSpots([{ x: 50, y: 10 }, { x: 10.2, y: 10 }, { x: 55, y: 10 }, { x: 10, y: 10 }, { x: 52, y: 30 }, { x: 80, y: 10 }], 12)
  assert.deepEqual(alone, [{ x: 10, y: 10 }, { x: 80, y: 10 }, { x: 52, y: 30 }])
  assert.deepEqual(close, [{ x: 50, y: 10 }, { x: 55, y: 10 }])
  assert.equal(partSpots(Array.from({ length: 5000 }, (_, i) => ({ x: i / 10, y: 0 })), 12).close.length, 501)
})

test('the name of a message stands between lanes', () => {
  const arrow = (rows) => ({ x0: 0, y0: 40, x1: 100, y1: 40 + rows * 80, kind: 'there', m: {} })
  for (const rows of [1, 2, 3, 4, -1, -2, -4]) {
    const { y } = namePlace(arrow(rows), 80)
    assert.equal(Math.abs((y - 40) % 80), 40, `${rows} rows: ${y}`)
  }
  assert.equal(namePlace({ ...arrow(2), kind: 'lost' }, 80).y, 120)
})

test('the column of names has room for the word beside a name', () => {
  const about = (...nodes) => ({ about: { nodes }, live: null, tracks: [] })
  assert.equal(namesWidth(about({ name: 'n1', events: 3 })), 112)
  assert.ok(namesWidth(about({ name: 'server-1', events: 3 }, { name: 'server-2', events: 0 })) >= 8 * 7.4 + 90)
  const live = { nodes: [{ node: 0, silent: 'gone' }] }
  assert.ok(namesWidth({ ...about({ name: 'server-1', events: 3 }), live }) > namesWidth(about({ name: 'server-1', events: 3 })))
  assert.equal(namesWidth({ ...about({ name: 'n1', events: 3 }), tracks: [{}] }), 168)
  assert.equal(namesWidth(about({ name: 'x'.repeat(500), events: 3 })), 200)
})

test('events that would hide each other are dense, a few that touch aren’t', () => {
  const scene = { width: 1000, view: { from: 0, to: 1000 }, layout: { rowOf: [0, 1] } }
  const events = [[0, 10], [1, 11], [0, 12], [0, 14], [1, 15], [0, 16.5], [0, 19], [0, 25], [0, 26], [0, 26], [0, 26], [0, 26]].map(([node, at], seq) => ({ node, at, seq, kind: 'recv' }))
  assert.deepEqual([...denseEvents(scene, events)].map((e) => e.seq), [0, 2, 3, 5, 6])
  assert.equal(denseEvents({ ...scene, view: { from: 0, to: 100 } }, events).size, 0)
})

test('values of tracks are told in a few letters', () => {
  assert.equal(brief({ $ts: '2026-11-22T11:29:32.774048Z/4' }), '11:29:32.774048')
  assert.equal(brief({ $ts: 'x', y: 1 }), '{"$ts":"x","y":1}')
  assert.equal(brief(null), '–')
})
