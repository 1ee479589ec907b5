// What the page asks the session to do. node --test runs it, from pagemodules_test.go.
import assert from 'node:assert/strict'
import test from 'node:test'
import { createStore } from '../page/store.js'

/** A server that answers commands when it is told to, and knows what was asked. */
function server() {
  const lines = []
  const waiting = []
  return {
    lines,
    /** Answers the oldest command, and lets the page go on. */
    async answer(body = {}) {
      waiting.shift()?.resolve({ answer: { line: '', place: {}, moved: false, parts: [] }, at: { begin: true }, ...body })
      await new Promise((done) => setImmediate(done))
    },
    async fail(err) {
      waiting.shift()?.reject(err)
      await new Promise((done) => setImmediate(done))
    },
    api: {
      tab: 't',
      command(line, signal) {
        lines.push(line)
        return new Promise((resolve, reject) => {
          waiting.push({ resolve, reject })
          signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError')))
        })
      },
      places: async (texts) => texts.map(() => null),
    },
  }
}

test('steps of other lanes lose none and go where they were meant', async () => {
  const s = server()
  const store = createStore(s.api)
  store.set({ about: { nodes: [{ name: 'n1' }, { name: 'n2' }], spans: {}, index: {} } })
  void store.act.step(1)
  void store.act.step(1)
  void store.act.step(1)
  void store.act.step(1, 1)
  void store.act.step(1, 1)
  void store.act.step(-1, 0)
  for (let i = 0; i < 6; i++) await s.answer()
  assert.deepEqual(s.lines, ['step 1', 'step 2', 'step n2 2', 'back n1 1'])
})

test('a note that is changed is shown', async () => {
  for (const line of ['note m1 "another"', 'mark m2', 'unmark m2', 'u', 'redo']) {
    const s = server()
    const store = createStore(s.api)
    void store.act.command(line)
    await s.answer()
    assert.deepEqual(s.lines, [line, 'marks'])
  }
})

test('who asks is told why a command failed, and nothing older', async () => {
  const s = server()
  const store = createStore(s.api)
  store.set({ message: { kind: 'error', text: 'of before' } })
  const problems = []
  const asked = store.act.command('compare x', { failed: (p) => problems.push(p.text) })
  await s.fail(Object.assign(new Error('no such file'), { remedy: 'give another' }))
  assert.equal(await asked, null)
  assert.deepEqual(problems, ['no such file'])
})

test('a command that nobody waits for any more moves nothing', async () => {
  const s = server()
  const store = createStore(s.api)
  const ended = new AbortController()
  const asked = store.act.command('motif a -> b', { signal: ended.signal })
  ended.abort()
  assert.equal(await asked, null)
  assert.equal(store.get().busy, 0)
  assert.equal(store.get().message, null)
})
