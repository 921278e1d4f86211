import { fail } from 'node:assert/strict'
import type { Mail } from '../../../types/mailer.ts'

/** A token of a link has 43 characters of base64url; what ends a sentence does not belong to the link. */
const LINK = /https?:\/\/[^\s<>"]*?(?<![\w-])([\w-]{43})(?![\w-])(?:[^\s<>"]*[^\s<>".,;:!?)])?/g

/** The link in a mail that leads on with a one-time token, wherever in it the token stands. @throws an AssertionError unless there is exactly one */
export const linkOf = (mail: Pick<Mail, 'text'>): string => find(mail)[0]

/** The one-time token in that link, for `/auth/password/reset` or `/auth/email/verify`. @throws the same */
export const tokenOf = (mail: Pick<Mail, 'text'>): string => find(mail)[1]!

function find ({ text }: Pick<Mail, 'text'>): RegExpExecArray {
  const links = [...text.matchAll(LINK)]
  return links.length === 1 ? links[0]! : fail(`${links.length} links with a token in: ${text}`)
}
