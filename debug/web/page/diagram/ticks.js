// @ts-check
// The marks of the ruler.
import { parseTimestamp, second } from '../time.js'
import { roundStep } from './view.js'

/** @typedef {import('../types').Axis} Axis */
/** @typedef {import('../types').View} View */

/**
 * @typedef {object} Tick
 * @property {number} at
 * @property {string} label
 * @property {boolean} strong
 */

/** Steps of more than a second, in seconds. */
const longSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400]

/** @param {number} least seconds */
function timeStep(least) {
  if (least < 1) return Math.min(1, roundStep(least))
  return longSteps.find((s) => s >= least) || Math.ceil(least / 86400) * 86400
}

/** @param {number} n */
const two = (n) => String(n).padStart(2, '0')

/**
 * The time of day of seconds since midnight, and the day if that isn't the first.
 * @param {number} s
 */
function clockOf(s) {
  const day = Math.floor(s / 86400)
  const t = Math.floor(s - day * 86400)
  return `${two(Math.floor(t / 3600))}:${two(Math.floor(t / 60) % 60)}:${two(t % 60)}${day > 0 ? ` +${day}d` : ''}`
}

/**
 * @param {View} view
 * @param {number} width pixels
 * @param {string} first the time of the first event
 * @param {number} spacing pixels between two labels, at least
 * @returns {{ticks: Tick[], lead: string}} lead stands at the left where no full second is
 */
export function timeTicks(view, width, first, spacing) {
  const f = parseTimestamp(first) ?? 0n
  const intoDay = Number((f >> 32n) % 86400n) + Number(f & 0xffffffffn) / second
  const from = view.from / second + intoDay
  const to = view.to / second + intoDay
  const step = timeStep(((to - from) / width) * spacing)
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9))
  /** @type {Tick[]} */
  const ticks = []
  for (let k = Math.ceil(from / step); k * step <= to && ticks.length < 500; k++) {
    const s = k * step
    const whole = Math.abs(s - Math.round(s)) < step / 1000
    const label = whole ? clockOf(Math.round(s)) : '.' + (s - Math.floor(s)).toFixed(digits).slice(2)
    ticks.push({ at: (s - intoDay) * second, label, strong: step < 1 ? whole : Math.round(s) % (step * 5) === 0 })
  }
  return { ticks, lead: step < 1 && !ticks.some((t) => t.strong) ? clockOf(Math.floor(from)) : '' }
}

/**
 * @param {View} view
 * @param {number} width
 * @param {number} spacing
 * @returns {Tick[]}
 */
export function numberTicks(view, width, spacing) {
  const step = Math.max(1, roundStep(((view.to - view.from) / width) * spacing))
  /** @type {Tick[]} */
  const ticks = []
  for (let k = Math.max(0, Math.ceil(view.from / step)); k * step <= view.to && ticks.length < 500; k++) {
    ticks.push({ at: k * step, label: (k * step).toString().replace(/\B(?=(\d{3})+$)/g, ','), strong: k % 5 === 0 })
  }
  return ticks
}
