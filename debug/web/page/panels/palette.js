// @ts-check
// The command palette: the same table that scripts have, with what commands say.
import { html, useEffect, useRef, useState } from '../vendor/htm-preact.js'
import { useStore } from '../store.js'
import { byteOffset } from './text.js'
import { kept, keep } from './kept.js'
import { Parts } from './parts.js'
import { helpFor, matching, recall } from './commands.js'
import { placeName, Problem } from './place.js'

/** @typedef {import('../types').Store} Store */
/** @typedef {import('../types').Answer} Answer */
/** @typedef {import('../types').Command} Command */
/** @typedef {{line: string, answer: Answer|null, text?: string, remedy?: string}} Said */

/** How many answers the drawer keeps. */
const saidMax = 30

/** What was said, which closing the drawer keeps. @type {WeakMap<Store, Said[]>} */
const allSaid = new WeakMap()

/** @param {{store: Store}} props */
export function Palette({ store }) {
  const shown = useStore(store, (s) => s.palette)
  return shown ? html`<${Drawer} store=${store} />` : null
}

/** @param {{store: Store}} props */
function Drawer({ store }) {
  const [line, setLine] = useState('')
  const [said, setSaid] = useState(allSaid.get(store) || [])
  const [table, setTable] = useState(/** @type {Command[]} */ ([]))
  const [running, setRunning] = useState('')
  const input = useRef(/** @type {HTMLInputElement|null} */ (null))
  const end = useRef(/** @type {HTMLElement|null} */ (null))
  useEffect(() => {
    const before = document.activeElement
    input.current?.focus()
    store.api.commands().then(setTable, () => {})
    return () => before instanceof HTMLElement && before.focus()
  }, [])
  useEffect(() => end.current?.scrollIntoView({ block: 'nearest' }), [said])
  const run = async (/** @type {string} */ text) => {
    const asked = text.trim()
    if (!asked || running) return
    setRunning(asked)
    setLine('')
    keep('commands', asked)
    /** @type {any} */
    let problem = null
    const answer = await store.act.command(asked, { failed: (p) => (problem = p) })
    const next = [...(allSaid.get(store) || []), { line: asked, answer, ...problem }].slice(-saidMax)
    allSaid.set(store, next)
    setSaid(next)
    setRunning('')
  }
  const close = () => store.set({ palette: false })
  return html`<div class="p-drawer" role="dialog" aria-label="Commands" onKeyDown=${(/** @type {KeyboardEvent} */ e) => e.key === 'Escape' && (e.stopPropagation(), close())}>
    <div class="p-said" aria-live="polite" tabindex=${said.length ? 0 : -1} role="log" aria-label="What commands said">
      ${said.map((s, i) => html`<${SaidBlock} key=${i} store=${store} said=${s} />`)}
      ${running ? html`<p class="p-dim">: ${running} …</p>` : null}<span ref=${end}></span>
    </div>
    <${Line} store=${store} line=${line} onLine=${setLine} onRun=${run} table=${table} input=${input} />
    <button type="button" class="p-close" aria-label="close the commands" onClick=${close}>×</button>
  </div>`
}

/** @param {{store: Store, said: Said}} props */
function SaidBlock({ store, said }) {
  return html`<div class="p-block"><div class="p-prompt"><span aria-hidden="true">:</span> ${said.line}${said.answer?.moved ? html`<span class="p-dim"> → ${placeName(said.answer.place)}</span>` : null}</div>
    ${said.answer ? html`<${Parts} store=${store} answer=${said.answer} />` : html`<${Problem} problem=${{ text: said.text || '', remedy: said.remedy }} />`}</div>`
}

/**
 * @param {{store: Store, line: string, onLine: (line: string) => void, onRun: (line: string) => void, table: Command[], input: {current: HTMLInputElement|null}}} props
 */
function Line({ store, line, onLine, onRun, table, input }) {
  const [offer, setOffer] = useState(/** @type {{head: string, list: string[], tail: string, at: number}|null} */ (null))
  const past = useRef({ lines: kept('commands'), at: -1, typed: '' })
  const asked = useRef(0)
  const complete = async (/** @type {string} */ text) => {
    const mine = ++asked.current
    const at = input.current?.selectionStart ?? text.length
    const a = text ? await store.api.complete(text, byteOffset(text, at)).catch(() => null) : null
    if (mine !== asked.current) return
    const list = (a?.candidates || []).slice(0, 40)
    setOffer(a && list.length && /\s/.test(text.trimStart()) && !(list.length === 1 && a.head + list[0] + a.tail === text) ? { head: a.head, list, tail: a.tail, at: -1 } : null)
  }
  const type = (/** @type {string} */ text) => {
    past.current.at = -1
    onLine(text)
    complete(text)
  }
  const take = (/** @type {number} */ i) => {
    if (!offer) return
    const text = offer.head + offer.list[i]
    onLine(text + offer.tail)
    setOffer(null)
    input.current?.focus()
    if (!offer.tail && !/[.:(]$/.test(text)) complete(text)
  }
  const named = /\s/.test(line.trimStart()) // else the table itself is what is offered
  const run = () => {
    setOffer(null)
    past.current = { lines: [line.trim(), ...past.current.lines.filter((l) => l !== line.trim())], at: -1, typed: '' }
    onRun(line)
  }
  const keydown = (/** @type {KeyboardEvent} */ e) => {
    if (e.key === 'Escape') return
    e.stopPropagation()
    if (e.key === 'Enter') offer && offer.at >= 0 ? take(offer.at) : run()
    else if (e.key === 'Tab' && !e.shiftKey && !named) matching(table, line)[0] && type(matching(table, line)[0].name + ' ')
    else if (e.key === 'Tab' && !e.shiftKey && offer) offer.list.length === 1 || offer.at >= 0 ? take(Math.max(0, offer.at)) : setOffer({ ...offer, at: 0 })
    else if (e.key === 'ArrowDown' && offer && offer.at >= 0) setOffer({ ...offer, at: Math.min(offer.at + 1, offer.list.length - 1) })
    else if (e.key === 'ArrowUp' && offer && offer.at >= 0) setOffer({ ...offer, at: offer.at - 1 })
    else if (e.key === 'ArrowUp' || e.key === 'ArrowDown') onLine(recall(past.current, line, e.key === 'ArrowUp' ? 1 : -1))
    else return
    e.preventDefault()
  }
  return html`<div class="p-line-in">
    <${Help} line=${line} table=${table} onPick=${(/** @type {string} */ name) => (type(name + ' '), input.current?.focus())} />
    ${offer ? html`<div class="p-offers" role="listbox" id="p-command-offer" aria-label="Completions">${offer.list.map((c, i) => html`<button type="button" tabindex="-1" role="option" id=${`p-command-${i}`}
      aria-selected=${String(i === offer.at)} class=${i === offer.at ? 'active' : ''} onClick=${() => take(i)}>${c}</button>`)}</div>` : null}
    <div class="p-prompt-in"><span aria-hidden="true">:</span><input ref=${input} value=${line} spellcheck=${false} autocomplete="off" autocapitalize="off" aria-label="A command" placeholder="a command: goto, where, find, query, …"
      role="combobox" aria-expanded=${String(!!offer)} aria-controls="p-command-offer" aria-activedescendant=${offer && offer.at >= 0 ? `p-command-${offer.at}` : undefined}
      onInput=${(/** @type {any} */ e) => type(e.target.value)} onKeyDown=${keydown} /></div>
  </div>`
}

/** @param {{line: string, table: Command[], onPick: (name: string) => void}} props */
function Help({ line, table, onPick }) {
  const one = helpFor(table, line)
  if (one) {
    return html`<div class="p-helpline"><code>${one.name}${one.args ? ' ' + one.args : ''}</code> <span>${one.short}</span>
      ${one.examples?.length ? html` <span class="p-dim">like: ${one.examples.slice(0, 2).map((e, i) => html`${i ? ', ' : ''}<code>${e}</code>`)}</span>` : null}</div>`
  }
  const list = matching(table, line)
  if (!list.length) return null
  return html`<div class="p-commands" aria-label="The table of commands">${list.map((c) => html`<button type="button" class="p-command" title=${c.short} onClick=${() => onPick(c.name)}><b>${c.name}</b>${c.aliases?.length ? html` <kbd>${c.aliases[0]}</kbd>` : null} <span class="p-dim">${c.short}</span></button>`)}</div>`
}
