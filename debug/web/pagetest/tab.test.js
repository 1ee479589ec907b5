// Which session a tab has. node --test runs it, from pagemodules_test.go.
import assert from 'node:assert/strict'
import test from 'node:test'
import { tabName } from '../page/api.js'

/** What a tab of a browser keeps; a duplicate begins with the same. */
function tab(kept = {}) {
  globalThis.sessionStorage = { getItem: (k) => kept[k] ?? null, setItem: (k, v) => void (kept[k] = v) }
  return kept
}

/** The locks of a browser, whose tabs hold them until they are closed. */
function browser() {
  const held = new Set()
  return {
    held,
    request(name, { signal }, hold) {
      assert.ok(signal instanceof AbortSignal)
      if (held.has(name)) return Promise.reject(new DOMException('', 'TimeoutError'))
      held.add(name)
      return hold({ name })
    },
  }
}

test('a reload keeps the session, a duplicate of the tab has another', async () => {
  const locks = browser()
  const kept = tab()
  const first = await tabName(locks)
  const copy = { ...kept }
  locks.held.clear() // a reload closes the page before
  assert.equal(await tabName(locks), first)
  tab(copy)
  const second = await tabName(locks)
  assert.notEqual(second, first)
  assert.equal(copy['hindcast-tab'], second)
})

test('without locks and storage a tab has a session all the same', async () => {
  tab({ 'hindcast-tab': 'page-x' })
  assert.equal(await tabName(null), 'page-x')
  delete globalThis.sessionStorage
  assert.match(await tabName(browser()), /^page-\w+$/)
})
