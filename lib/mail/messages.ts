import type { Mail, MailContent, MailContext, MailKind, MailMessage } from '../../types/mailer.ts'
import { beforeDeadline } from '../clock.ts'
import type { MailSettings } from '../options/mail.ts'
import { isHtml } from './html.ts'
import { layHtml, layText } from './layout.ts'
import { describeThrown } from './reason.ts'
import { textOf } from './texts.ts'

/** A text, ready to send. */
type Content = Pick<Mail, 'subject' | 'text' | 'html'>

/** What the sender knows of a mail; what the application calls itself and where it is comes from the options. */
type Occasion<Kind extends MailKind> = Pick<MailContext<Kind>, 'data' | 'user' | 'locale'>

/** Write a mail. It never rejects: a text of the host's own that fails gives way to the package's. */
export type Render = <Kind extends MailKind>(kind: Kind, occasion: Occasion<Kind>) => Promise<Content>

/** Of a host's own text. */
const PATIENCE_MS = 5000
const MAX_SUBJECT = 200

/** @param onFailure is told of a host's own text that failed; `reason` holds no link */
export function createMessages ({ appName, appUrl, messages }: Pick<MailSettings, 'appName' | 'appUrl' | 'messages'>, onFailure: (kind: MailKind, reason: string) => void, patience = PATIENCE_MS): Render {
  return async (kind, { data, user, locale }) => {
    const context: MailContext<typeof kind> = Object.freeze({ kind, data: cleanMembers(data), user: cleanMembers(user), locale, appName, appUrl })
    const message = messages[kind] as MailMessage<typeof kind> | undefined
    const given = message === undefined
      ? null
      : await askHost(message, context, patience).catch((error: unknown) => {
        onFailure(kind, describe(error, context))
        return null
      })
    if (given !== null) return given
    const text = textOf(context)
    return { subject: clean(text.subject), text: layText(text), html: String(layHtml(text)) }
  }
}

async function askHost<Kind extends MailKind> (message: MailMessage<Kind>, context: MailContext<Kind>, patience: number): Promise<Content | null> {
  const content = await beforeDeadline(async () => await message(context), patience)
  return content === null || content === undefined ? null : checkContent(content, context)
}

/** @throws a TypeError: a mail without its link, or without words, is worse than one in another style */
function checkContent (content: MailContent, { data }: MailContext): Content {
  if (typeof content !== 'object') throw new TypeError(`it is of type ${typeof content}`)
  const { subject, text, html } = content
  if (typeof subject !== 'string' || clean(subject) === '' || subject.length > MAX_SUBJECT) throw new TypeError(`subject must be a text of 1 to ${MAX_SUBJECT} characters`)
  if (typeof text !== 'string' || text.trim() === '') throw new TypeError('text must be a text')
  if (!isHtml(html) && (typeof html !== 'string' || html.trim() === '')) throw new TypeError('html must be a text')
  if ('link' in data && !text.includes(data.link)) throw new TypeError('text must hold the link')
  return { subject: clean(subject), text, html: String(html) }
}

/** What begins a line or a header, hides, or turns the direction of what follows (Trojan Source, CVE-2021-42574). */
const UNSAFE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]+/gu

const clean = (text: string) => text.replace(UNSAFE, ' ').trim()

/** Longer than any name or address that we store; a users table of the host's own may hold anything. */
const MAX_FIELD = 320

function cleanMembers<Group extends object> (group: Group): Group {
  const cleaned = Object.entries(group).map(([name, value]) => {
    if (typeof value !== 'string' || name === 'link') return [name, value] as const
    const characters = [...clean(value)]
    return [name, characters.length <= MAX_FIELD ? characters.join('') : `${characters.slice(0, MAX_FIELD - 1).join('')}…`] as const
  })
  // The same members with values of the same types.
  return Object.freeze(Object.fromEntries(cleaned)) as Group
}

/** Wherever in the link its token stands. */
function describe (error: unknown, { data, appUrl }: MailContext): string {
  return describeThrown(error, 'link' in data ? data.link.slice(new URL(appUrl).origin.length).match(/[\w-]{16,}/g) ?? [] : [])
}
