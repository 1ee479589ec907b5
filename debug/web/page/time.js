// @ts-check
// Timestamps: RFC 3339 with microseconds and a logical part, and what is shown of them.

/** Units of the axis of time in a second: 2³². */
export const second = 2 ** 32

const form = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z(?:\/(\d+))?$/

/**
 * Parses the text form of a Timestamp: 2⁻³² s since 1970, as the recording has it.
 * @param {string} text
 * @returns {bigint|null}
 */
export function parseTimestamp(text) {
  const m = form.exec(text)
  if (!m) return null
  const seconds = Date.parse(m[1] + 'Z') / 1000
  if (!Number.isFinite(seconds) || seconds < 0) return null
  const nanos = BigInt((m[2] || '').padEnd(9, '0'))
  return (BigInt(seconds) << 32n) | (((nanos << 16n) / 1000000000n) << 16n) | BigInt(m[3] || 0)
}

/**
 * Where a Timestamp is on the axis of time: since the first event.
 * @param {string} text
 * @param {string} first
 * @returns {number|undefined}
 */
export function timeAt(text, first) {
  const t = parseTimestamp(text)
  const f = parseTimestamp(first)
  return t === null || f === null ? undefined : Number(t - f)
}

/**
 * The text form of a coordinate of the axis of time, in UTC.
 * @param {number} at
 * @param {string} first
 */
export function timestampAt(at, first) {
  const f = parseTimestamp(first)
  if (f === null) return ''
  const t = f + BigInt(Math.max(0, Math.round(at)))
  const micros = ((((t >> 16n) & 0xffffn) * 1000000n + 0xffffn) >> 16n) // rounded up
  const ms = Number(t >> 32n) * 1000
  const at0 = new Date(ms + (micros === 1000000n ? 1000 : 0))
  return at0.toISOString().slice(0, 19) + '.' + String(micros % 1000000n).padStart(6, '0') + 'Z'
}

/** The time of day of a Timestamp's text form, as it is shown. @param {string} text */
export function clock(text) {
  const m = /T(\d\d:\d\d:\d\d(?:\.\d+)?)Z?/.exec(text)
  return m ? m[1] : text
}

/**
 * A duration, for people: 12.3 ms.
 * @param {number} seconds
 */
export function duration(seconds) {
  const a = Math.abs(seconds)
  /** @param {number} v @param {string} unit */
  const put = (v, unit) => `${trim(v)} ${unit}`
  if (a === 0) return '0 s'
  if (a < 1e-3) return put(seconds * 1e6, 'µs')
  if (a < 1) return put(seconds * 1e3, 'ms')
  if (a < 120) return put(seconds, 's')
  if (a < 7200) return put(seconds / 60, 'min')
  if (a < 172800) return put(seconds / 3600, 'h')
  return put(seconds / 86400, 'd')
}

/** @param {number} v three digits that count */
function trim(v) {
  const a = Math.abs(v)
  return String(Number(v.toFixed(a >= 100 ? 0 : a >= 10 ? 1 : 2)))
}

/** A number with separators. @param {number} n */
export const grouped = (n) => Math.round(n).toString().replace(/\B(?=(\d{3})+$)/g, ',')
