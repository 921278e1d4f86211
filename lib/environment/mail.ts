import type { Mailer } from '../../types/mailer.ts'
import type { MailOptions } from '../../types/options.ts'
import { FST_ACCOUNTS_OPTION_INVALID } from '../errors.ts'
import { given } from './given.ts'
import type { Reader } from './reader.ts'

type Smtp = ReturnType<typeof readSmtp>

/** How long a link to a new password works, by either of two names. */
export function readMailOptions (read: Reader): MailOptions | undefined {
  const names = ['PASSWORD_RESET_TOKEN_EXPIRY_IN_MINS', 'PASSWORD_RESET_TOKEN_EXPIRY_IN_MINUTES'] as const
  const [short, long] = names.map(name => read.integer(name, 1, 30))
  if (short !== undefined && long !== undefined && short !== long) read.refuse(names[1], `contradicts ${names[0]}: set one of them`)
  const minutes = short ?? long
  return minutes === undefined ? undefined : { linkTtl: { resetPassword: `${minutes}m` } }
}

/** `null` without `SMTP_HOST`: then there is no mail, and what else is said of it has no effect. */
export function readSmtp (read: Reader) {
  const host = read.text('SMTP_HOST')
  const port = read.integer('SMTP_PORT', 1, 65_535)
  const user = read.text('SMTP_USER')
  const password = read.text('SMTP_PASSWORD')
  const isSecure = read.boolean('SMTP_SECURE')
  const allowUnauthorizedCerts = read.boolean('ALLOW_UNAUTHORIZED_CERTS')
  const from = read.text('SENDER_EMAIL')
  if (host === undefined) return null
  if (from === undefined) read.refuse('SENDER_EMAIL', 'is missing, as there is SMTP_HOST')
  if (user === undefined && password !== undefined) read.refuse('SMTP_USER', 'is missing, as there is SMTP_PASSWORD')
  if (user !== undefined && password === undefined) read.refuse('SMTP_PASSWORD', 'is missing, as there is SMTP_USER')
  if (isSecure === false && port === 465) read.refuse('SMTP_SECURE', 'is false, but on port 465 TLS begins with the first byte')
  return { host, from, ...given({ port, user, password, allowUnauthorizedCerts }), ...(isSecure === undefined ? {} : chooseEncryption(isSecure, port, user !== undefined)) }
}

/** Ports of mail have their way of TLS: 465 from the first byte, 587 and 25 by `STARTTLS` (RFC 8314, RFC 6409, RFC 3207). */
function chooseEncryption (isSecure: boolean, port: number | undefined, hasPassword: boolean): { readonly secure: boolean, readonly requireTls?: boolean } {
  if (isSecure) return port === 587 || port === 25 ? { secure: false, requireTls: true } : { secure: true }
  // A password does not cross a network in the clear, whatever is wished for.
  return hasPassword || port === undefined || port === 587 ? { secure: false } : { secure: false, requireTls: false }
}

/** What the options of the mailer are called here. */
const NAMES: Readonly<Record<string, string>> = { 'smtp.host': 'SMTP_HOST', from: 'SENDER_EMAIL' }

/** The mailer, by an adapter that is loaded only now: not every host has its package. What it refuses goes to `read`. */
export async function createMailer ({ from, ...smtp }: NonNullable<Smtp>, read: Reader): Promise<Mailer | undefined> {
  try {
    const { nodemailerMailer } = await import('../adapters/nodemailer/index.ts')
    return nodemailerMailer({ ...smtp, host: smtp.host }, { from: from! })
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_MODULE_NOT_FOUND') return read.refuse('SMTP_HOST', 'needs the package "nodemailer": npm install nodemailer')
    if (error instanceof FST_ACCOUNTS_OPTION_INVALID && NAMES[error.option] !== undefined) return read.refuse(NAMES[error.option]!, error.why)
    throw error
  }
}
