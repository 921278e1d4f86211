import type { Html } from '../../types/mailer.ts'

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** What this module has made; an object of somebody else's that looks the same is escaped. */
const made = new WeakSet<object>()

/**
 * Tag of templates that are HTML: every value is escaped, for text and for attributes in quotes. Other templates of this
 * tag stand as they are, lists are joined, `null`, `undefined` and `false` are nothing.
 */
export function html (strings: TemplateStringsArray, ...values: readonly unknown[]): Html {
  const markup = strings.reduce((sum, part, index) => sum + write(values[index - 1]) + part)
  const fragment = Object.freeze({ [Symbol.toStringTag]: 'Html' as const, toString: () => markup })
  made.add(fragment)
  return fragment
}

function write (value: unknown): string {
  if (value === null || value === undefined || value === false) return ''
  if (Array.isArray(value)) return value.map(write).join('')
  return isHtml(value) ? String(value) : String(value).replace(/[&<>"']/g, character => ESCAPES[character]!)
}

export const isHtml = (value: unknown): value is Html => typeof value === 'object' && value !== null && made.has(value)
