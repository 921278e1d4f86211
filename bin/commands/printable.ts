/** What could steer a terminal, turn a line round or hide in it. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** One line of what others have chosen: users, a mail server, a database. */
const printable = (text: string): string => text.replace(UNPRINTABLE, '\uFFFD')

/** A text of ours, in which somebody else's words may stand. */
export const printableLines = (text: string): string => text.split('\n').map(printable).join('\n')

/** JSON that holds the same, and prints as harmlessly. */
export function printableJson (value: unknown): string {
  const escape = (character: string) => character.split('').map(unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  return JSON.stringify(value, null, 2).split('\n').map(line => line.replace(UNPRINTABLE, escape)).join('\n')
}

/** Rows under headings, in columns. */
export function toTable (headings: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const lines = [headings, ...rows].map(row => row.map(printable))
  const widths = headings.map((_, column) => Math.max(...lines.map(row => row[column]!.length)))
  return lines.map(row => row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()).join('\n')
}
