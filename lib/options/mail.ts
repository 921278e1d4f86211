import type { Mailer } from '../../types/mailer.ts'
import type { AccountsOptions, LinkOptions, MailOptions } from '../../types/options.ts'
import type { Duration } from '../../types/policy.ts'
import { DURATION_FORMAT, parseDuration } from '../duration.ts'
import { createLinks, type Links } from '../mail/links.ts'
import { checkMembers, MAIL_KINDS, refuse } from './members.ts'

const MINUTE_MS = 60_000

export interface MailSettings {
  readonly mailer: Mailer
  readonly appName: string
  /** Without a slash at its end. */
  readonly appUrl: string
  readonly messages: NonNullable<MailOptions['messages']>
  readonly links: Links
  readonly linkTtl: LinkTtl
}

/** For how long the links in mail work, in milliseconds. */
type LinkTtl = Readonly<Record<keyof Links, number>>

/** `null` without a mailer. @param appUrl without a slash at its end */
export function resolveMail ({ mailer, mail, links }: Pick<AccountsOptions, 'mailer' | 'mail' | 'links'>, appUrl: string): MailSettings | null {
  if (mailer === undefined) {
    for (const [option, value] of Object.entries({ mail, links })) if (value !== undefined) refuse(option, 'is of no use without a mailer')
    return null
  }
  checkMailer(mailer)
  const { appName = new URL(appUrl).host, messages = {}, linkTtl = {} } = checked(mail, 'mail')
  if (typeof appName !== 'string' || !/^[^\p{C}\p{Zl}\p{Zp}]{1,100}$/u.test(appName) || appName.trim() !== appName) refuse('mail.appName', 'must be 1 to 100 characters in one line, without spaces around')
  checkMembers(messages, 'mail.messages')
  for (const kind of MAIL_KINDS) checkFunction(messages[kind], `mail.messages.${kind}`)
  const makers = checked(links, 'links')
  for (const [name, maker] of Object.entries(makers)) checkFunction(maker, `links.${name}`)
  return { mailer, appName, appUrl, messages, links: createLinks(appUrl, makers), linkTtl: resolveLinkTtl(linkTtl) }
}

/** OWASP Forgot Password: what lets somebody in ends soon. */
function resolveLinkTtl (options: NonNullable<MailOptions['linkTtl']>): LinkTtl {
  checkMembers(options, 'mail.linkTtl')
  const ttl = (name: keyof Links, byDefault: Duration, most: Duration) => {
    const milliseconds = parseDuration(options[name] ?? byDefault) ?? refuse(`mail.linkTtl.${name}`, DURATION_FORMAT)
    return milliseconds >= MINUTE_MS && milliseconds <= parseDuration(most)! ? milliseconds : refuse(`mail.linkTtl.${name}`, `must be from 1m to ${most}`)
  }
  return { resetPassword: ttl('resetPassword', '15m', '30m'), verifyEmail: ttl('verifyEmail', '1d', '7d'), changeEmail: ttl('changeEmail', '1h', '1d') }
}

function checked<Group extends MailOptions | LinkOptions> (group: Group | undefined, path: 'mail' | 'links'): Group | Partial<Group> {
  if (group === undefined) return {}
  checkMembers(group, path)
  return group
}

function checkMailer (mailer: unknown): void {
  if (mailer instanceof Promise) refuse('mailer', 'is a promise: await it')
  if (typeof mailer !== 'object' || mailer === null) return refuse('mailer', `must be a mailer, not ${mailer === null ? 'null' : typeof mailer}`)
  const { send, verify, close } = mailer as Partial<Record<keyof Mailer, unknown>>
  if (send === undefined) refuse('mailer.send', 'is missing')
  for (const [name, verb] of Object.entries({ send, verify, close })) checkFunction(verb, `mailer.${name}`)
}

function checkFunction (value: unknown, option: string): void {
  if (value !== undefined && typeof value !== 'function') refuse(option, `must be a function, not ${value === null ? 'null' : typeof value}`)
}
