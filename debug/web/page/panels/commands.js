// @ts-check
// The table of commands, as the palette reads it.

/** @typedef {import('../types').Command} Command */

/** @param {string} line */
const firstWord = (line) => line.trimStart().split(/\s/)[0]

/**
 * The command that a line has the whole name of.
 * @param {Command[]} table
 * @param {string} line
 */
export function helpFor(table, line) {
  const name = firstWord(line)
  const found = table.find((c) => c.name === name || c.aliases?.includes(name))
  // While the name may still go on the others are listed, too.
  return found && (/\s/.test(line.trimStart()) || !table.some((c) => c !== found && c.name.startsWith(name))) ? found : undefined
}

/**
 * The commands that a line may become: those whose name begins with its first word,
 * then those that say it anywhere.
 * @param {Command[]} table
 * @param {string} line
 * @returns {Command[]}
 */
export function matching(table, line) {
  const word = firstWord(line).toLowerCase()
  if (!word) return table
  const begin = table.filter((c) => c.name.startsWith(word) || c.aliases?.includes(word))
  const say = table.filter((c) => !begin.includes(c) && `${c.name} ${c.short}`.toLowerCase().includes(word))
  return [...begin, ...say]
}

/**
 * Goes through lines that were typed before, like a shell: back with 1, forward with
 * -1, to what was being typed at last.
 * @param {{lines: string[], at: number, typed: string}} past lines[0] is the last
 * @param {string} line
 * @param {number} by
 */
export function recall(past, line, by) {
  if (past.at < 0) past.typed = line
  past.at = Math.min(Math.max(past.at + by, -1), past.lines.length - 1)
  return past.at < 0 ? past.typed : past.lines[past.at]
}
